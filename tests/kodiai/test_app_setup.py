"""/setup: who may open it, what it asks GitHub for, and what it believes of the answer."""

import html
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from kodiai import app_manifest, app_setup
from kodiai.configuration import InvalidSettings, app_file, load
from sandbox import Fault, FaultKind, Sandbox
from tests.kodiai.test_app_manifest import MANIFEST
from tests.kodiai.test_pages import needs_nothing_forbidden
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.django_db

ANSWER = {app_file.APP_ID: "7", "KODIAI_GITHUB_APP_SLUG": "mine", "KODIAI_GITHUB_WEBHOOK_SECRET": "s3cret-of-the-hook"}
KEYS = ["present key" * 4, "former key" * 4]


@pytest.fixture(autouse=True)
def file(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the credentials, and an environment that names no App."""
    settings.KODIAI_GITHUB_APP_FILE = tmp_path / "var" / "github-app"
    for name in app_file.NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "var" / "github-app"


@pytest.fixture
def browser(github: Sandbox) -> Client:
    """The browser of an administrator."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def asked(sandbox: Sandbox, **changes: str) -> dict[str, str]:
    webhook = "https://testserver/webhooks/github"
    return {"name": "Kodiai of Octo", "organisation": "", "github": sandbox.url, "webhook_url": webhook, **changes}


def register(browser: Client, github: Sandbox, **changes: str) -> str:
    """Send the form, and the manifest to GitHub; return the address that GitHub redirects to."""
    page = browser.post("/setup", asked(github, **changes))
    action, manifest = (html.unescape(re.search(f'{name}="([^"]+)"', page.content.decode())[1]) for name in
                        ("method=\"post\" action", "manifest\" value"))  # type: ignore[index]  # fmt: skip
    answer = httpx.post(action, data={"manifest": manifest}, timeout=PATIENCE)
    assert answer.status_code == 302
    return answer.headers["location"]


def back(browser: Client, location: str) -> Any:
    return browser.get(location.removeprefix("http://testserver"), follow=True)


def test_the_first_administrator_needs_the_token_of_the_server(client: Client) -> None:
    for token in ("", "?token=", "?token=wrong"):
        answer = client.get(f"/setup{token}")
        assert (answer.status_code, b"manage.py setup_link" in answer.content) == (403, True)
    made = {"username": "root", "password1": "correct horse staple", "password2": "correct horse staple"}
    assert client.post("/setup", made).status_code == 403
    assert client.post("/setup", {**made, "token": app_setup.setup_token(), "password2": "x"}).status_code == 400
    assert not User.objects.exists()

    answer = client.post("/setup", {**made, "token": app_setup.setup_token()}, follow=True)
    assert b"Connect GitHub" in answer.content
    assert User.objects.get().is_superuser
    needs_nothing_forbidden(answer)
    # The token opens nothing any more.
    stranger = Client()
    answer = stranger.post("/setup", {**made, "username": "second", "token": app_setup.setup_token()})
    assert answer.headers["location"] == "/admin/login/?next=/setup"
    assert User.objects.count() == 1


@pytest.mark.parametrize("path", ["/setup", "/setup/created?code=c&state=s"])
def test_only_an_administrator_may_connect(path: str, browser: Client) -> None:
    staff = Client()
    staff.force_login(User.objects.create_user("staff", is_staff=True))

    assert staff.get(path).status_code == 403
    assert Client().get(path).headers["location"].startswith("/admin/login/")
    assert Client(enforce_csrf_checks=True).post("/setup", {}).status_code == 403


def test_the_app_is_made_and_its_credentials_are_stored(github: Sandbox, browser: Client, file: Path) -> None:
    location = register(browser, github, organisation="octo")

    (_, organisation, manifest) = next(iter(github.manifests.values()))
    assert organisation == "octo"
    assert manifest["default_permissions"] == MANIFEST["default_permissions"]
    assert manifest["default_events"] == MANIFEST["default_events"]
    assert manifest.keys() == MANIFEST.keys()
    assert (manifest["name"], manifest["public"]) == ("Kodiai of Octo", False)

    answer = back(browser, location)
    assert b"is stored" in answer.content or b"Connected to the App" in answer.content
    settings = {"KODIAI_SECRET_KEY": "a-key-for-tests-only-" + "0123456789" * 4, "KODIAI_GITHUB_APP_FILE": str(file)}
    configuration = load(settings, file.parent / "none")
    assert configuration.github_app_id == str(github.app_id)
    assert configuration.github_private_key == github.private_key.strip()
    assert configuration.github_webhook_secret == (github.webhook_secret,)
    assert configuration.github_api_url == github.url
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert github.webhook_secret.encode() not in file.read_bytes()
    # GitHub's answer is good for once.
    assert b"Begin again" in back(browser, location).content


def test_only_the_page_that_leads_to_github_may_post_there(github: Sandbox, browser: Client) -> None:
    def targets(answer: Any) -> str:
        return str(re.search("form-action ([^;]*)", answer["Content-Security-Policy"])[1])  # type: ignore[index]

    assert targets(browser.get("/setup")) == "'self'"
    assert targets(browser.post("/setup", asked(github))) == f"'self' {github.url}"
    assert targets(browser.post("/setup", asked(github, name=""))) == "'self'"
    assert targets(browser.get("/admin/")) == "'self'"


def test_an_answer_that_nobody_here_asked_for_is_refused(github: Sandbox, browser: Client, file: Path) -> None:
    location = register(browser, github)
    forged = re.sub("state=[^&]*", "state=forged", location)
    other = Client()
    other.force_login(User.objects.create_superuser("other"))

    assert b"belongs to no registration" in back(other, location).content
    assert b"belongs to no registration" in back(browser, forged).content
    # The attempt has used it up.
    assert b"belongs to no registration" in back(browser, location).content
    assert not file.exists()
    assert github.count("convert_manifest") == 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(FaultKind.STATUS, status=404), "an hour old, or used"),
        (Fault(FaultKind.RESET), "cannot be reached"),
        (Fault(FaultKind.WRONG_JSON, status=201), "not an App"),
        (Fault(FaultKind.APPLIED_THEN_RESET), "delete the App there"),
    ],
)
def test_a_failed_exchange_stores_nothing_and_says_why(
    github: Sandbox, browser: Client, file: Path, fault: Fault, said: str
) -> None:
    location = register(browser, github)
    github.fail("convert_manifest", fault)

    answer = back(browser, location)
    assert (answer.status_code, said in answer.content.decode()) == (400, True), answer.content
    assert not file.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"webhook_url": "https://elsewhere.example/webhooks/github"}, "KODIAI_ALLOWED_HOSTS"),
        ({"webhook_url": "https://testserver/hooks"}, "must end with /webhooks/github"),
        ({"webhook_url": "http://testserver/webhooks/github", "github": "https://github.com"}, "must begin with https"),
        ({"webhook_url": "https://localhost/webhooks/github", "github": "https://github.com"}, "public one"),
        ({"webhook_url": "javascript:alert(1)"}, "must be an address"),
        ({"github": "http://github.example"}, "must begin with https"),
        ({"github": "https://github.example/octo"}, "without a path"),
        ({"organisation": "octo/../mona"}, "valid value"),
        ({"name": "n" * 35}, "at most 34"),
    ],
)
def test_what_cannot_work_is_said_before_github_is_asked(
    github: Sandbox, browser: Client, changes: dict[str, str], said: str
) -> None:
    answer = browser.post("/setup", asked(github, **changes))

    assert (answer.status_code, said in html.unescape(answer.content.decode())) == (400, True), answer.content


def test_settings_of_the_environment_are_not_overruled(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KODIAI_GITHUB_APP_ID", "12")

    assert b"takes precedence" in browser.get("/setup").content
    assert b"takes precedence" in browser.post("/setup", {}).content


@pytest.mark.parametrize(
    ("configured", "web", "api"),
    [
        ("https://api.github.com", "https://github.com", "https://api.github.com"),
        ("https://git.example/api/v3", "https://git.example", "https://git.example/api/v3"),
        ("https://api.github.com", "https://git.example", "https://git.example/api/v3"),
        ("https://git.example/api/v3", "https://github.com", "https://api.github.com"),
        ("https://api.octo.ghe.com", "https://octo.ghe.com", "https://api.octo.ghe.com"),
        ("https://api.github.com", "https://octo.ghe.com", "https://api.octo.ghe.com"),
    ],
)
def test_each_kind_of_github_has_its_address(settings: Settings, configured: str, web: str, api: str) -> None:
    settings.KODIAI_GITHUB_API_URL = configured

    assert app_manifest.api_of(web) == api
    place = "github-apps" if configured == "https://git.example/api/v3" else "apps"
    assert urlsplit(app_manifest.install_url("mine")).path == f"/{place}/mine/installations/new"
    assert app_manifest.api_of(app_manifest.default_web()) == configured
    url = app_manifest.registration_url(web, "octo", "a b")
    assert urlsplit(url)[2:4] == ("/organizations/octo/settings/apps/new", "state=a+b")


def test_stored_credentials_give_way_to_the_environment(tmp_path: Path) -> None:
    app_file.write(tmp_path / "var" / "github-app", ANSWER, KEYS[0])
    secret = {"KODIAI_SECRET_KEY": KEYS[0]}

    def read(**environment: str) -> tuple[str, str, tuple[str, ...]]:
        found = load(secret | environment, tmp_path / ".env")
        return found.github_app_id, found.github_app_slug, found.github_webhook_secret

    assert read() == ("7", "mine", ("s3cret-of-the-hook",))
    assert read(KODIAI_GITHUB_WEBHOOK_SECRET="new,old") == ("7", "mine", ("new", "old"))
    assert read(KODIAI_GITHUB_APP_ID="7") == ("7", "mine", ("s3cret-of-the-hook",))
    # Another App: nothing of the stored one belongs to it.
    assert read(KODIAI_GITHUB_APP_ID="8") == ("8", "kodiai", ())
    environment = dict(secret)
    load(environment, tmp_path / ".env")
    assert environment == secret


def test_a_rotated_secret_key_still_reads_and_renews_the_file(tmp_path: Path) -> None:
    path = tmp_path / "var" / "github-app"
    app_file.write(path, ANSWER, KEYS[1])

    with pytest.raises(InvalidSettings, match="KODIAI_SECRET_KEY_FALLBACKS"):
        load({"KODIAI_SECRET_KEY": KEYS[0]}, tmp_path / ".env")
    both = {"KODIAI_SECRET_KEY": KEYS[0], "KODIAI_SECRET_KEY_FALLBACKS": KEYS[1]}
    assert load(both, tmp_path / ".env").github_app_id == "7"
    assert [app_file.renew(path, KEYS), app_file.renew(path, KEYS)] == [True, False]
    assert load({"KODIAI_SECRET_KEY": KEYS[0]}, tmp_path / ".env").github_app_id == "7"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(app_file.Undecryptable):
        app_file.read(path, KEYS)
