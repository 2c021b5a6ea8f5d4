"""`/setup`: make the first administrator, then connect to GitHub with one click.

Without an administrator the page opens only with the token that `manage.py setup_link` prints, so that nobody is first
but who can read the server's settings. After that it is for administrators.
"""

import json
import os
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import validate_host
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from kodiai import app_manifest
from kodiai.configuration import app_file
from kodiai.configuration.addresses import WebAddress
from kodiai.configuration.kinds import Unreadable
from kodiai.supervisor import request_replacement

SESSION = "github-app-setup"
"""Where the session keeps the state of a registration that was sent to GitHub."""
WEBHOOK_PATH = "/webhooks/github"
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class ConnectForm(forms.Form):
    """What is asked before GitHub makes the App."""

    name = forms.CharField(max_length=app_manifest.MAX_NAME, help_text="No other App on GitHub may have it.")
    organisation = forms.RegexField(
        r"^[A-Za-z0-9][A-Za-z0-9-]{0,99}$", required=False, help_text="Empty: the App belongs to your own account."
    )
    github = forms.CharField(label="GitHub", help_text="Of GitHub Enterprise Server: https://HOST")
    webhook_url = forms.CharField(label="Webhook URL", help_text="GitHub must reach it.")

    def clean_github(self) -> str:
        """Return the web address without a path."""
        address = _web_address(self.cleaned_data["github"])
        if address.count("/") > 2:
            raise forms.ValidationError("Give the address of the web site without a path: https://HOST")
        if not address.startswith("https://") and address != app_manifest.default_web():
            raise forms.ValidationError("It must begin with https://, or the key would be sent in the clear.")
        return address

    def clean_webhook_url(self) -> str:
        """Return an address that Kodiai answers to."""
        address = _web_address(self.cleaned_data["webhook_url"])
        host, slash, path = address.partition("://")[2].partition("/")
        if slash + path != WEBHOOK_PATH:
            raise forms.ValidationError(f"It must end with {WEBHOOK_PATH}.")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if not validate_host(name.lower(), settings.ALLOWED_HOSTS):
            raise forms.ValidationError(f"Add {name} to KODIAI_ALLOWED_HOSTS first: webhooks are answered with 400.")
        return address

    def clean(self) -> dict[str, Any]:
        """Refuse a webhook URL that GitHub cannot reach, or only in the clear. A GitHub without TLS is a test's."""
        webhook, github = self.cleaned_data.get("webhook_url", ""), self.cleaned_data.get("github", "")
        if webhook and github.startswith("https://"):
            if urlsplit(webhook).hostname in LOCAL:
                self.add_error("webhook_url", "GitHub cannot reach this machine by that name: give its public one.")
            elif not webhook.startswith("https://"):
                self.add_error(
                    "webhook_url",
                    "It must begin with https://. Behind a proxy with TLS set KODIAI_HTTPS=true (docs/deployment.md).",
                )
        return self.cleaned_data


def _web_address(text: str) -> str:
    try:
        return WebAddress("https://kodiai.example.org").parse(text.strip())
    except Unreadable as unreadable:
        raise forms.ValidationError(f"It {unreadable}.") from unreadable


def setup_token() -> str:
    """Return the token that opens `/setup` while there is no administrator. It follows from the secret key."""
    return salted_hmac(__name__, "the first administrator", algorithm="sha256").hexdigest()[:40]


def has_administrator() -> bool:
    """Return whether somebody can log in as an administrator."""
    return get_user_model()._default_manager.filter(is_superuser=True, is_active=True).exists()


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest) -> HttpResponse:
    """Show where the set-up stands, and take its next step."""
    if not has_administrator():
        return _first_administrator(request)
    if closed := _closed(request):
        return closed
    if named := _named_in_environment():
        return render(request, "setup.html", {"named": named, "slug": settings.KODIAI_GITHUB_APP_SLUG})
    if request.method != "POST":
        return _page(request, ConnectForm(initial=_suggested(request)))
    form = ConnectForm(request.POST)
    return _send_to_github(request, form.cleaned_data) if form.is_valid() else _page(request, form, status=400)


@never_cache
@require_safe
def created(request: HttpRequest) -> HttpResponse:
    """Take the code that GitHub redirects with, fetch the App's credentials, and store them."""
    if not has_administrator():
        return redirect("setup")
    if closed := _closed(request):
        return closed
    # Each state is good for one answer.
    sent: dict[str, Any] = request.session.pop(SESSION, {})
    state = request.GET.get("state", "")
    is_ours = constant_time_compare(state, sent.get("state", "")) and bool(state)
    if not is_ours or time.time() > sent["at"] + app_manifest.CODE_SECONDS:
        return _page(request, problem="This answer belongs to no registration that was begun here. Begin again.")
    if _named_in_environment():
        return redirect("setup")
    api = app_manifest.api_of(sent["github"])
    try:
        app = app_manifest.convert(api, request.GET.get("code", ""))
        values = {
            app_file.APP_ID: str(app.id),
            "KODIAI_GITHUB_APP_SLUG": app.slug.lower(),
            "KODIAI_GITHUB_PRIVATE_KEY": app.pem,
            "KODIAI_GITHUB_WEBHOOK_SECRET": app.webhook_secret,
            "KODIAI_GITHUB_API_URL": api,
        }
        app_file.write(settings.KODIAI_GITHUB_APP_FILE, values, settings.SECRET_KEY)
    except app_manifest.ConversionFailed as failed:
        return _page(request, problem=str(failed))
    except OSError as error:
        problem = f"{settings.KODIAI_GITHUB_APP_FILE} cannot be written ({error.strerror}): set KODIAI_GITHUB_APP_FILE "
        return _page(request, problem=f"{problem}to a file that Kodiai may write, delete the App, and begin again.")
    request_replacement()
    return redirect("setup")


def _closed(request: HttpRequest) -> HttpResponse | None:
    """Return the log-in page for a stranger; None for an administrator. Raises `PermissionDenied` for other users."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.path, reverse("admin:login"))
    if not request.user.is_superuser:
        raise PermissionDenied
    return None


def _first_administrator(request: HttpRequest) -> HttpResponse:
    """Let whoever has the token make the first administrator."""
    token = request.POST.get("token", "") or request.GET.get("token", "")
    if not constant_time_compare(token, setup_token()):
        return render(request, "setup.html", {"is_closed": True}, status=403)
    form: UserCreationForm[Any] = UserCreationForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        context = {"form": form, "token": token, "is_first": True}
        return render(request, "setup.html", context, status=400 if form.errors else 200)
    user = form.save(commit=False)
    user.is_staff = user.is_superuser = True
    with transaction.atomic():
        user.save()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("setup")


def _page(
    request: HttpRequest, form: ConnectForm | None = None, *, problem: str = "", status: int = 200
) -> HttpResponse:
    stored = _stored()
    connected = settings.KODIAI_GITHUB_APP_ID
    context = {
        "form": form or ConnectForm(initial=_suggested(request)),
        "problem": problem,
        "connected": connected,
        "slug": stored.get("KODIAI_GITHUB_APP_SLUG") or settings.KODIAI_GITHUB_APP_SLUG,
        "waits": stored.get(app_file.APP_ID, "") not in ("", connected),
        "is_supervised": "KODIAI_SUPERVISOR" in os.environ,
        "install": app_manifest.install_url(settings.KODIAI_GITHUB_APP_SLUG),
    }
    return render(request, "setup.html", context, status=400 if problem else status)


def _send_to_github(request: HttpRequest, asked: dict[str, str]) -> HttpResponse:
    """Show the form that carries the manifest to GitHub. Only this page may send a form there."""
    state = secrets.token_urlsafe(32)
    request.session[SESSION] = {"state": state, "github": asked["github"], "at": time.time()}
    redirect_url = request.build_absolute_uri(reverse("setup-created"))
    base_url = asked["webhook_url"].removesuffix(WEBHOOK_PATH)
    document = app_manifest.manifest(asked["name"], base_url, asked["webhook_url"], redirect_url)
    context = {
        "action": app_manifest.registration_url(asked["github"], asked["organisation"], state),
        "manifest": json.dumps(document),
        "document": document,
    }
    response = render(request, "setup.html", context)
    response._csp_update = {"form-action": [asked["github"]]}  # type: ignore[attr-defined]  # django-csp reads it
    return response


def _suggested(request: HttpRequest) -> dict[str, str]:
    return {
        "name": "kodiai",
        "github": app_manifest.default_web(),
        "webhook_url": request.build_absolute_uri(WEBHOOK_PATH),
    }


def _stored() -> dict[str, str]:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    try:
        return app_file.read(settings.KODIAI_GITHUB_APP_FILE, keys)
    except (app_file.Undecryptable, OSError):
        return {}


def _named_in_environment() -> str:
    """Return a setting that the environment or `.env` has, which would take precedence over what is stored here."""
    names = ("KODIAI_GITHUB_APP_ID", "KODIAI_GITHUB_PRIVATE_KEY", "KODIAI_GITHUB_PRIVATE_KEY_FILE")
    return next((name for name in names if os.environ.get(name, "").strip()), "")
