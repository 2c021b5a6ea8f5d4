"""A temporary login to the demo's admin."""

import secrets
from dataclasses import dataclass

import httpx
from django.contrib.auth.models import User


@dataclass(frozen=True)
class Login:
    """A superuser of the demo's database."""

    name: str
    password: str


def make_login() -> Login:
    """Create a superuser with a random password."""
    login = Login("demo", secrets.token_urlsafe(9))
    User.objects.create_superuser(login.name, password=login.password)
    return login


def log_in(url: str, login: Login) -> int:
    """Log in to the admin as a browser does, and return the status of its first page."""
    with httpx.Client(base_url=url, trust_env=False) as browser:
        browser.get("/admin/login/")
        form = {"username": login.name, "password": login.password}
        browser.post("/admin/login/", data=form | {"csrfmiddlewaretoken": browser.cookies.get("csrftoken", "")})
        return browser.get("/admin/").status_code
