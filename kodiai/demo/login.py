"""A temporary login to the demo's admin and API."""

import secrets
from dataclasses import dataclass

import httpx
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token


@dataclass(frozen=True)
class Login:
    """A superuser of the demo's database; `token` is for the API."""

    name: str
    password: str
    token: str


def make_login() -> Login:
    """Create a superuser with a random password and a token."""
    name, password = "demo", secrets.token_urlsafe(9)
    user = User.objects.create_superuser(name, password=password)
    return Login(name, password, Token.objects.create(user=user).key)


def log_in(url: str, login: Login) -> int:
    """Log in to the admin as a browser does, and return the status of its first page."""
    with httpx.Client(base_url=url, trust_env=False) as browser:
        browser.get("/admin/login/")
        form = {"username": login.name, "password": login.password}
        browser.post("/admin/login/", data=form | {"csrfmiddlewaretoken": browser.cookies.get("csrftoken", "")})
        return browser.get("/admin/").status_code


def call_api(url: str, login: Login) -> int:
    """Ask the API for rate-limit events, and return the status of the answer."""
    headers = {"Authorization": f"Bearer {login.token}"}
    return httpx.get(f"{url}/api/v1/rate-limit-events/", headers=headers, trust_env=False).status_code
