"""What the doctor asks GitHub: is it there, does the key fit the App, what is granted, do webhooks arrive."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.http.request import validate_host
from django.utils import timezone

from kodiai.doctor.results import Result, Status, ok
from reviews.github.app import RESOLVE_PERMISSIONS, TOKEN_PERMISSIONS, AppClient
from reviews.github.errors import GitHubError, NotConfigured, RateLimited, Refused, Unavailable
from reviews.github.facts import REDELIVERY_WINDOW
from reviews.github.schemas import HookDelivery, Installation, OwnApp

SECONDS, START_SECONDS = 60.0, 10.0
"""The longest that all questions to GitHub may take, by hand and at start."""
TIMEOUT = httpx.Timeout(5)
PERMISSIONS = TOKEN_PERMISSIONS | {"issues": "read", "merge_queues": "read"}
"""What the App needs: the manifest (docs/app-manifest.json) asks for it. Two are for events alone."""
EVENTS = (
    "pull_request",
    "issue_comment",
    "pull_request_review_comment",
    "check_run",
    "check_suite",
    "merge_group",
)
LEVELS = ("read", "write", "admin")
MAX_SKEW = timedelta(seconds=30)
"""GitHub refuses a token of the App that was issued in the future, or is valid for over ten minutes; Kodiai dates it a
minute back. Source: GitHub docs, "Generating a JSON Web Token (JWT) for a GitHub App"."""
RECENT_DELIVERIES = 30
"""Webhooks that are looked at, the newest first."""
WEBHOOK_PATH = "/webhooks/github"
WHY = {
    400: "set KODIAI_ALLOWED_HOSTS to the host of the webhook URL; if it is, the log has the reason",
    401: "make KODIAI_GITHUB_WEBHOOK_SECRET the secret of the App's webhook",
    403: "let the proxy pass POST /webhooks/github",
    404: "end the App's webhook URL with /webhooks/github",
    405: "end the App's webhook URL with /webhooks/github",
    413: "let the proxy take bodies of 25 MB",
    415: "set the content type of the App's webhook to application/json",
    502: "start `manage.py run`, and let the proxy reach it; GitHub may also not reach this host",
    503: "set KODIAI_GITHUB_WEBHOOK_SECRET; if it is set, check the database",
    504: "see why Kodiai takes longer than the ten seconds that GitHub waits",
}
"""What to do about each answer to a webhook."""


def examine() -> list[Result]:
    """Ask everything, within `SECONDS`."""
    return _within(SECONDS, _everything)


def app_key() -> list[Result]:
    """Ask whether the key fits the App, within `START_SECONDS`; return only what is wrong. It needs no database."""
    results = _within(START_SECONDS, _app_alone) if _is_configured() else []
    return [result for result in results if result.status is not Status.OK]


def _is_configured() -> bool:
    return bool(settings.KODIAI_GITHUB_APP_ID and settings.KODIAI_GITHUB_PRIVATE_KEY)


def _within(seconds: float, ask: Callable[[], Iterator[Result]]) -> list[Result]:
    """Collect results in a thread that is left behind when time is up: looking up a host name has no time-out."""
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.extend(ask()), name="doctor-github", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return [*results, Result("GitHub", Status.UNKNOWN, f"it did not answer within {seconds:.0f} seconds", _REACH)]
    return results


_REACH = "check the network, a proxy (HTTPS_PROXY) and KODIAI_GITHUB_API_URL"


def _app_alone() -> Iterator[Result]:
    with AppClient() as github:
        yield from _ask("App key", lambda: _app(github.app()))


def _everything() -> Iterator[Result]:
    reached = _reach()
    yield from reached
    if not _is_configured():
        mend = "open /setup, or set KODIAI_GITHUB_APP_ID and KODIAI_GITHUB_PRIVATE_KEY_FILE"
        yield Result("App key", Status.ERROR, "the App is not configured", mend)
        return
    if any(result.status is Status.UNKNOWN for result in reached):
        yield Result("App key", Status.UNKNOWN, "not compared with the App: GitHub was not reached", _REACH)
        return
    with AppClient() as github:
        app: list[OwnApp] = []

        def known() -> Iterator[Result]:
            app.append(github.app())
            return _app(app[0])

        yield from _ask("App key", known)
        if not app:
            return
        yield from _ask("App", lambda: _requested(app[0]))
        yield from _ask("installations", lambda: _installations(list(github.installations())))
        yield from _ask("webhook URL", lambda: _webhook_url(github))
        yield from _ask("webhooks", lambda: _webhooks(github))


def _ask(check: str, ask: Callable[[], Iterator[Result]]) -> Iterator[Result]:
    """Yield what `ask` finds; say what GitHub's refusal or silence means."""
    try:
        yield from ask()
    except NotConfigured as error:
        yield Result(check, Status.ERROR, str(error), "generate a private key on the page of this very App")
    except RateLimited as error:
        yield Result(check, Status.UNKNOWN, str(error), "try again later")
    except Refused as error:
        mend = "check KODIAI_GITHUB_APP_ID, KODIAI_GITHUB_PRIVATE_KEY and KODIAI_GITHUB_API_URL"
        yield Result(check, Status.ERROR, str(error), mend)
    except (Unavailable, GitHubError) as error:
        yield Result(check, Status.UNKNOWN, str(error), _REACH)


def _reach() -> list[Result]:
    """Reach GitHub without credentials, and compare the clocks. Any answer will do."""
    url = settings.KODIAI_GITHUB_API_URL
    try:
        answer = httpx.get(f"{url}/rate_limit", timeout=TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        message = f"{url} cannot be reached: {type(error).__name__}: {error}"
        return [Result("GitHub", Status.UNKNOWN, message, _REACH)]
    results = [ok("GitHub", f"{url} answers")]
    try:
        skew = datetime.now(UTC) - parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, TypeError):
        return [*results, Result("clock", Status.UNKNOWN, "GitHub's answer has no date")]
    seconds = abs(skew.total_seconds())
    if abs(skew) > MAX_SKEW:
        direction = "ahead of" if skew > timedelta(0) else "behind"
        message = f"it is {seconds:.0f} s {direction} GitHub's: the App's key may be refused, and times are wrong"
        return [*results, Result("clock", Status.ERROR, message, "synchronise it: timedatectl set-ntp true")]
    return [*results, ok("clock", f"within {max(1, round(seconds))} s of GitHub's")]


def _app(app: OwnApp) -> Iterator[Result]:
    """Compare the App with the settings. GitHub answered, so the key fits the id."""
    yield ok("App key", f"it fits the App {app.id} ({app.slug})")
    if app.slug and app.slug.lower() != settings.KODIAI_GITHUB_APP_SLUG.lower():
        message = f"KODIAI_GITHUB_APP_SLUG is {settings.KODIAI_GITHUB_APP_SLUG}, and the App's slug is {app.slug}: "
        message += "mentions are not understood, and own comments not recognised"
        yield Result("App", Status.ERROR, message, f"set KODIAI_GITHUB_APP_SLUG to {app.slug}")


def _requested(app: OwnApp) -> Iterator[Result]:
    """Compare what the App requests with what Kodiai needs."""
    yield from _report_missing("App", "requests", app.permissions, app.events, "change it on the App's page on GitHub")


def _installations(installations: list[Installation]) -> Iterator[Result]:
    """Compare what each installation grants with what Kodiai needs."""
    if not installations:
        mend = "install it: on the App's page, Install App"
        yield Result("installations", Status.WARNING, "the App is installed nowhere", mend)
    for installation in installations:
        login = installation.account.login if installation.account else str(installation.id)
        page = installation.html_url or "the installation's page"
        if installation.suspended_at:
            yield Result(f"@{login}", Status.WARNING, "suspended: nothing is reviewed there", f"unsuspend it: {page}")
            continue
        mend = f"an owner has to accept what the App requests: {page}"
        yield from _report_missing(f"@{login}", "grants", installation.permissions, installation.events, mend)


def _report_missing(
    check: str, does: str, permissions: Mapping[str, str], events: list[str], mend: str
) -> Iterator[Result]:
    missing = [
        f"{name}: {level}"
        for name, level in needed_permissions().items()
        if name not in permissions or not _at_least(permissions[name], level)
    ]
    unheard = [event for event in EVENTS if event not in events]
    for what, names in (("permissions", missing), ("events", unheard)):
        if names:
            yield Result(check, Status.WARNING, f"it {does} too few {what}: missing {', '.join(names)}", mend)
    if not missing and not unheard:
        yield ok(check, f"it {does} what Kodiai needs")


def needed_permissions() -> dict[str, str]:
    """Return the permissions that the App needs with these settings."""
    return PERMISSIONS | (RESOLVE_PERMISSIONS if settings.KODIAI_RESOLVE_THREADS else {})


def _at_least(granted: str, needed: str) -> bool:
    return granted in LEVELS and LEVELS.index(granted) >= LEVELS.index(needed)


def _webhook_url(github: AppClient) -> Iterator[Result]:
    """Look at where GitHub sends webhooks, and in which form."""
    config = github.hook_config()
    mend = "change it on the App's page on GitHub, under Webhook"
    parts = urlsplit(config.url or "")
    if not config.url:
        yield Result("webhook URL", Status.ERROR, "the App has none, so GitHub sends nothing", mend)
    elif parts.path != WEBHOOK_PATH:
        yield Result("webhook URL", Status.WARNING, f"{config.url} does not end with {WEBHOOK_PATH}", mend)
    elif not validate_host((parts.hostname or "").lower(), settings.ALLOWED_HOSTS):
        message = f"its host {parts.hostname} is not in KODIAI_ALLOWED_HOSTS: webhooks are answered with 400"
        yield Result("webhook URL", Status.ERROR, message, f"add {parts.hostname} to KODIAI_ALLOWED_HOSTS")
    elif config.content_type not in ("json", ""):
        message = "GitHub sends forms, which are answered with 415"
        yield Result("webhook URL", Status.ERROR, message, "set its content type to application/json")
    else:
        yield ok("webhook URL", config.url)


def _webhooks(github: AppClient) -> Iterator[Result]:
    """Look at how the last webhooks were answered. Source: GitHub's own list, of the last three days."""
    since = timezone.now() - REDELIVERY_WINDOW
    attempts = list(itertools.islice(github.hook_deliveries(since), RECENT_DELIVERIES))
    if not attempts:
        mend = "open a pull request, or see whether the App is installed and its webhook active"
        yield Result("webhooks", Status.WARNING, "GitHub sent none in three days", mend)
        return
    failed = [attempt for attempt in attempts if not 200 <= attempt.status_code < 300]
    summary = f"{len(failed)} of the last {len(attempts)} failed"
    if not failed:
        yield ok("webhooks", f"the last {len(attempts)} were accepted")
    elif failed[0] is attempts[0]:
        yield Result("webhooks", Status.ERROR, f"{summary}, the newest with {failed[0].status_code}", _why(failed[0]))
    else:
        message = f"{summary}, the newest of them with {failed[0].status_code}; later ones were accepted"
        yield Result("webhooks", Status.WARNING, message, "`manage.py redeliver` asks GitHub to send them again")


def _why(attempt: HookDelivery) -> str:
    return WHY.get(attempt.status_code, "see Recent Deliveries on the App's page, under Advanced, and Kodiai's log")
