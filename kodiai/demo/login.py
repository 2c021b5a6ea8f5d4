"""A log-in for the demo's admin that ends with the demo."""

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
    """Make a superuser with a password that nobody has used before."""
    login = Login("demo", secrets.token_urlsafe(9))
    User.objects.create_superuser(login.name, password=login.password)
    return login


def log_in(url: str, login: Login) -> int:
    """Log in to the admin as a browser does; return the status of the page that comes then, 401 for the form again."""
    with httpx.Client(base_url=url, trust_env=False) as browser:
        browser.get("/admin/login/")
        form = {"username": login.name, "password": login.password}
        browser.post("/admin/login/", data=form | {"csrfmiddlewaretoken": browser.cookies.get("csrftoken", "")})
        return browser.get("/admin/").status_code
