"""Security headers and error pages: a strict policy that every page holds, and errors that reveal nothing."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from kodiai.logins import MAX_FAILURES
from reviews.models import Delivery, Review
from telemetry.models import Execution, RateLimitEvent
from tests.support.factories import ExecutionFactory, RateLimitEventFactory
from tests.support.processes import python
from tests.support.webhooks import deliver, pull_request_payload

SOURCES = {"src", "href", "action", "poster", "data", "srcset", "formaction"}


class Forbidden(HTMLParser):
    """Collects what a page needs that a policy of `'self'` alone does not let it have."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside = ""
        if tag == "style" or (
            tag == "script" and "src" not in given and given.get("type") in (None, "text/javascript")
        ):
            self._inside = tag
        if tag in ("iframe", "object", "embed", "base"):
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.found.append(f"<{tag} {name}={value!r}>")
            away = value and (value.startswith("//") or value.partition(":")[0] in ("http", "https", "javascript"))
            if name in SOURCES and away and tag != "a":
                self.found.append(f"<{tag} {name}={value!r}>")
            if name == "href" and value and value.lower().lstrip().startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value!r}>")

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip():
            self.found.append(f"inline {self._inside}: {data.strip()[:60]}")
            self._inside = ""


def needs_nothing_forbidden(answer: HttpResponse) -> None:
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    page = Forbidden()
    page.feed(answer.content.decode())
    assert page.found == []


@pytest.fixture
def rows(client: Client, db: None) -> Iterator[None]:
    deliver(client, pull_request_payload(), delivery_id="d-1")
    RateLimitEventFactory(delivery_id="d-1")
    ExecutionFactory(delivery_id="d-1")
    return


def pages() -> list[str]:
    """One of each kind of page that the admin has."""
    user, delivery = User.objects.get().pk, Delivery.objects.get().pk
    found = ["/admin/", "/admin/password_change/", "/admin/auth/", "/admin/auth/user/", "/admin/auth/user/add/"]
    found += [f"/admin/auth/user/{user}/{kind}/" for kind in ("change", "password", "history", "delete")]
    found += ["/admin/auth/group/", "/admin/auth/group/add/", f"/admin/reviews/delivery/{delivery}/history/"]
    found += ["/admin/authtoken/tokenproxy/", "/admin/authtoken/tokenproxy/add/", "/api/"]
    for model in (Delivery, Review, RateLimitEvent, Execution):
        name = f"/admin/{model._meta.app_label}/{model._meta.model_name}"
        found += [f"{name}/", f"{name}/?q=d-1", f"{name}/{model.objects.get().pk}/change/"]
    return found


def test_the_check_itself_sees_what_a_browser_would_run() -> None:
    for bad in ("<script>1</script>", "<b onclick=x>", "<a href='javascript:x'>", "<img src=//evil>", "<svg onload=x>"):
        page = Forbidden()
        page.feed(bad)
        assert page.found, bad


def test_admin_pages_hold_the_content_security_policy(admin_client: Client, rows: None) -> None:
    for page in pages():
        answer = admin_client.get(page)
        assert answer.status_code == 200, page
        needs_nothing_forbidden(answer)


def test_login_pages_hold_the_content_security_policy(db: None) -> None:
    client = Client(REMOTE_ADDR="192.0.2.77")
    needs_nothing_forbidden(client.get("/admin/login/"))
    for _ in range(MAX_FAILURES):
        client.post("/admin/login/", {"username": "nobody", "password": "x"})
    locked = client.post("/admin/login/", {"username": "nobody", "password": "x"})
    cache.clear()

    assert locked.status_code == 429
    needs_nothing_forbidden(locked)


def _explode(*arguments: Any, **options: Any) -> None:
    raise RuntimeError("the password is hunter2")


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_an_error_page_reveals_nothing(db: None, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    if status == 400:
        answer = client.get("/admin/login/", headers={"Host": "elsewhere.example"})
    elif status == 403:
        answer = client.post("/admin/login/", {"username": "a", "password": "b"})
    elif status == 404:
        answer = client.get("/who-asks?for=<script>")
    else:
        monkeypatch.setattr("kodiai.health._all_migrated", _explode)
        answer = client.get("/readyz")

    said = answer.content.decode()
    assert answer.status_code == status
    assert 'name="viewport" content="width=device-width' in said
    assert not [
        word
        for word in ("hunter2", "Traceback", "elsewhere", "who-asks", "<script", "settings", "DEBUG")
        if word in said
    ]
    needs_nothing_forbidden(answer)


def test_a_foreign_host_name_is_refused_before_anything_is_done(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["kodiai.example.org"]

    assert client.get("/admin/login/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/admin/login/", headers={"Host": "kodiai.example.org"}).status_code == 200


# Settings of a production set-up, in a process of their own

_SHOW = """
import django, json
django.setup()
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0, skip_checks=True)
User.objects.create_superuser("root", password="p")
browser = Client(enforce_csrf_checks=True, headers={"Host": "kodiai.example.org"})
page = browser.get("/admin/login/", secure=True)
token = browser.cookies["__Host-csrftoken"].value
answer = browser.post(
    "/admin/login/",
    {"username": "root", "password": "p", "csrfmiddlewaretoken": token},
    headers={"Referer": "https://kodiai.example.org/admin/login/"},
    secure=True,
)
plain = Client(headers={"Host": "kodiai.example.org"})
print(json.dumps({
    "debug": settings.DEBUG,
    "status": answer.status_code,
    "cookies": {name: dict(morsel.items()) for name, morsel in browser.cookies.items()},
    "hsts": page.headers.get("Strict-Transport-Security"),
    "plain": [plain.get("/admin/").status_code, plain.get("/healthz").status_code,
        plain.post("/webhooks/github", {}).status_code,
        plain.get("/admin/", headers={"X-Forwarded-Proto": "https"}).status_code],
}))
"""


@pytest.mark.slow
def test_https_binds_cookies_and_redirects_plain_requests() -> None:
    done = python(
        "-c", _SHOW, KODIAI_SECRET_KEY="k3y" * 20, KODIAI_HTTPS="true", KODIAI_ALLOWED_HOSTS="kodiai.example.org",
        KODIAI_GITHUB_WEBHOOK_SECRET="some-secret", DATABASE_URL="sqlite:///:memory:",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)

    assert shown["debug"] is False
    assert shown["status"] == 302
    assert shown["cookies"].keys() == {"__Host-csrftoken", "__Host-sessionid"}
    for cookie in shown["cookies"].values():
        assert cookie["secure"] is True
        assert cookie["httponly"] is True
        assert cookie["samesite"] == "Lax"
        assert cookie["path"] == "/"
        assert cookie["domain"] == ""
    assert "max-age=31536000" in shown["hsts"]
    # GitHub and a load balancer's health check may come from inside the network.
    # A header alone changes nothing: the front door believes it of named proxies.
    assert shown["plain"] == [301, 200, 415, 301]


@pytest.mark.parametrize(("origin", "names_it"), [("https://testserver", True), ("http://elsewhere.example", False)])
def test_a_refused_form_names_a_proxy_that_is_unknown(db: None, origin: str, names_it: bool) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/admin/login/")
    form = {"username": "a", "password": "b", "csrfmiddlewaretoken": client.cookies["csrftoken"].value}

    answer = client.post("/admin/login/", form, headers={"Origin": origin})

    assert answer.status_code == 403
    said = answer.content.decode()
    assert ("KODIAI_HTTPS=true" in said and "KODIAI_TRUSTED_PROXIES" in said) == names_it
    assert ("logged out in the meantime" in said) != names_it
    needs_nothing_forbidden(answer)
    assert client.post("/admin/login/", form).status_code == 200


@pytest.mark.parametrize("proxy", ["caddy", "10.0.0.1/8", "*"])
def test_a_proxy_that_is_no_address_is_a_check_error(settings: Settings, proxy: str) -> None:
    settings.KODIAI_TRUSTED_PROXIES = ["10.0.0.0/8", "::1", proxy]

    (error,) = [message for message in run_checks() if message.id == "kodiai.E009"]

    assert f"KODIAI_TRUSTED_PROXIES names '{proxy}'" in error.msg


@pytest.mark.parametrize("key", ["short", "django-insecure-" + "a1b2c3d4" * 6])
def test_a_guessable_secret_key_is_a_check_warning(settings: Settings, key: str) -> None:
    settings.SECRET_KEY = key

    (warning,) = [message for message in run_checks() if message.id == "kodiai.W001"]

    assert "KODIAI_SECRET_KEY can be guessed" in warning.msg
    assert "Make one with" in str(warning.hint)
    assert key not in warning.msg


def test_a_secret_may_come_from_a_file(tmp_path: Any) -> None:
    for name, value in (("key", "k3y" * 20 + "\n"), ("hook", "one,two\n"), ("database", "sqlite:///:memory:\n")):
        (tmp_path / name).write_text(value)
    show = "from django.conf import settings as s; print(s.SECRET_KEY, s.KODIAI_GITHUB_WEBHOOK_SECRET, s.DATABASES)"

    done = python(
        "-c", show, KODIAI_SECRET_KEY_FILE=f"{tmp_path}/key", KODIAI_GITHUB_WEBHOOK_SECRET_FILE=f"{tmp_path}/hook",
        DATABASE_URL_FILE=f"{tmp_path}/database",
    )  # fmt: skip
    assert done.stdout.startswith("k3y" * 20 + " ['one', 'two'] {'default': {'NAME': ':memory:'"), done.stderr

    missing = python("-c", show, KODIAI_SECRET_KEY_FILE=f"{tmp_path}/gone")
    assert missing.returncode != 0
    assert "KODIAI_SECRET_KEY_FILE cannot be read" in missing.stderr
