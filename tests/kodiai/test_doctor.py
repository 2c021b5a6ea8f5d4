"""The doctor names what is wrong with an installation, and what to do."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone
from pytest_django import Settings

from kodiai.doctor import examine, exit_status, machine
from kodiai.doctor import github as github_checks
from kodiai.doctor.github import EVENTS, PERMISSIONS
from kodiai.doctor.results import Result, Status
from reviews.models import DeliveryStatus, PeriodicTask
from sandbox import Fault, FaultKind, Sandbox
from sandbox.app import key_pair
from tests.support.factories import DeliveryFactory
from tests.support.processes import python
from tests.support.runs import process_settings

MANIFEST = json.loads((Path(configured.BASE_DIR) / "docs" / "app-manifest.json").read_text())


@pytest.fixture
def healthy(github: Sandbox, settings: Settings) -> Sandbox:
    """An installation on which everything is right."""
    settings.ALLOWED_HOSTS = ["kodiai.example.org"]
    github.create_repository("octo/demo")
    github.hook.send(f"{github.url}/rate_limit", "ping", github.webhook("ping", {}))
    return github


def found(**options: Any) -> dict[str, Result]:
    """The result of each check; of several the worst."""
    order = list(Status)
    return {result.check: result for result in sorted(examine(**options), key=lambda each: order.index(each.status))}


def asked() -> dict[str, Result]:
    """What GitHub says."""
    return {result.check: result for result in github_checks.examine()}


def test_what_the_app_needs_is_what_the_manifest_asks_for() -> None:
    assert MANIFEST["default_permissions"] == PERMISSIONS
    assert tuple(MANIFEST["default_events"]) == EVENTS


@pytest.mark.django_db
@pytest.mark.database
def test_a_healthy_installation_gets_ok_on_every_line(healthy: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    PeriodicTask.objects.create(name="sweep", finished_at=timezone.now())
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(2**40, 2**39, 2**39))  # type: ignore[attr-defined]
    url = "https://kodiai.example.org/webhooks/github"
    healthy.hook._deliveries.clear()
    accepted = {
        "id": 1,
        "guid": "g",
        "delivered_at": datetime.now(UTC).isoformat(),
        "status_code": 202,
        "event": "ping",
    }
    healthy.fail("hook_deliveries", Fault(FaultKind.WRONG_JSON, body=[accepted]))
    results = examine()

    assert [result for result in results if result.status is not Status.OK] == []
    checks = {result.check for result in results}
    assert checks >= {"settings", "database", "cache", "queue", "worker", "analyzers", "confinement", "disk"}
    assert checks >= {"GitHub", "clock", "App key", "App", "@octo", "webhook URL", "webhooks"}
    assert url in {result.message for result in results}
    assert exit_status(results) == 0


def test_a_key_of_another_app_is_reported(healthy: Sandbox, settings: Settings) -> None:
    settings.KODIAI_GITHUB_APP_ID = "2"
    (result,) = github_checks.app_key()

    assert result.status is Status.ERROR
    assert "KODIAI_GITHUB_APP_ID" in result.mend
    assert exit_status([result]) == 1


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.STATUS, FaultKind.PRIMARY_LIMIT, FaultKind.WRONG_JSON])
def test_a_github_that_fails_is_unknown_not_wrong(healthy: Sandbox, kind: FaultKind) -> None:
    healthy.fail("app", Fault(kind), times=None)
    results = asked()

    assert results["App key"].status is Status.UNKNOWN
    assert exit_status(results.values()) == 2


def test_a_github_that_hangs_is_left_after_a_while(healthy: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_checks, "START_SECONDS", 0.2)
    healthy.fail("app", Fault(FaultKind.TIMEOUT), times=None)
    (result,) = github_checks.app_key()

    assert result.status is Status.UNKNOWN
    assert "did not answer" in result.message


def test_a_github_that_is_not_there_or_refuses_the_key_is_named(healthy: Sandbox, settings: Settings) -> None:
    healthy.fail("app", Fault(FaultKind.STATUS, status=401, message="A JSON web token could not be decoded"))
    (refused,) = github_checks.app_key()
    settings.KODIAI_GITHUB_API_URL = "http://127.0.0.1:9"
    results = asked()

    assert (refused.status, "KODIAI_GITHUB_PRIVATE_KEY" in refused.message) == (Status.ERROR, True)
    assert {result.status for result in results.values()} == {Status.UNKNOWN}
    assert "KODIAI_GITHUB_API_URL" in results["GitHub"].mend


@pytest.mark.parametrize(("minutes", "words"), [(3, "behind"), (-3, "ahead of")])
def test_a_clock_that_is_wrong_is_reported(healthy: Sandbox, minutes: int, words: str) -> None:
    there = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    healthy.fail("rate_limit", Fault(FaultKind.STATUS, status=401, headers={"Date": there}))
    result = asked()["clock"]

    assert result.status is Status.ERROR
    assert words in result.message


def test_an_installation_that_grants_too_little_is_named(healthy: Sandbox, settings: Settings) -> None:
    number = healthy.create_repository("acme/shop").installation_id
    healthy.withheld_permissions[number] = {"checks", "merge_queues"}
    settings.KODIAI_RESOLVE_THREADS = True
    results = asked()

    assert "checks: write, contents: write, merge_queues: read" in results["@acme"].message
    assert f"settings/installations/{number}" in results["@acme"].mend
    assert "contents: write" in results["@octo"].message
    healthy.suspended_installations.add(number)
    assert "suspended" in asked()["@acme"].message


def test_an_app_that_hears_too_little_is_named(healthy: Sandbox) -> None:
    app = {"id": healthy.app_id, "slug": "other", "permissions": {}, "events": ["pull_request"]}
    healthy.fail("app", Fault(FaultKind.WRONG_JSON, body=app))
    results = [result for result in github_checks.examine() if result.check == "App"]

    assert "KODIAI_GITHUB_APP_SLUG to other" in results[0].mend
    assert "contents: read" in results[1].message
    assert "merge_group" in results[2].message


@pytest.mark.parametrize(
    ("config", "mend"),
    [
        ({"url": "https://elsewhere.example/webhooks/github"}, "add elsewhere.example to KODIAI_ALLOWED_HOSTS"),
        ({"url": "https://kodiai.example.org/"}, "change it on the App's page"),
        ({}, "change it on the App's page"),
        ({"url": "https://kodiai.example.org/webhooks/github", "content_type": "form"}, "application/json"),
    ],
)
def test_a_webhook_url_that_leads_nowhere_is_reported(healthy: Sandbox, config: dict[str, str], mend: str) -> None:
    healthy.fail("hook_config", Fault(FaultKind.WRONG_JSON, body=config))

    assert mend in asked()["webhook URL"].mend


@pytest.mark.parametrize(
    ("status", "mend"), [(400, "ALLOWED_HOSTS"), (401, "WEBHOOK_SECRET"), (404, "/webhooks/github")]
)
def test_webhooks_that_were_refused_are_reported_with_why(healthy: Sandbox, status: int, mend: str) -> None:
    attempts = [
        {"id": n, "guid": str(n), "event": "push", "delivered_at": datetime.now(UTC).isoformat(), "status_code": code}
        for n, code in ((3, status), (2, 202), (1, status))
    ]
    healthy.fail("hook_deliveries", Fault(FaultKind.WRONG_JSON, body=attempts))
    newest = asked()["webhooks"]
    healthy.fail("hook_deliveries", Fault(FaultKind.WRONG_JSON, body=attempts[1:]))
    earlier = asked()["webhooks"]

    assert (newest.status, mend in newest.mend) == (Status.ERROR, True)
    assert (earlier.status, "redeliver" in earlier.mend) == (Status.WARNING, True)


@pytest.mark.django_db
@pytest.mark.database
def test_a_worker_that_gives_no_sign_of_life_is_reported() -> None:
    assert "none has ever worked" in found(offline=True)["worker"].message
    task = PeriodicTask.objects.create(name="sweep", finished_at=timezone.now() - timedelta(hours=3))
    dead = found(offline=True)["worker"]
    task.finished_at = timezone.now()
    task.save()

    assert (dead.status, "for 3 h" in dead.message) == (Status.ERROR, True)
    assert found(offline=True)["worker"].status is Status.OK


@pytest.mark.django_db
@pytest.mark.database
def test_a_queue_a_disk_and_analyzers_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    DeliveryFactory(status=DeliveryStatus.QUEUED, queued_at=timezone.now() - timedelta(hours=1))
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(2**40, 2**40, 2**20))  # type: ignore[attr-defined]
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name == "zizmor" else which(name, path=path))

    results = found(offline=True)

    assert (results["queue"].status, "1 deliveries wait" in results["queue"].message) == (Status.WARNING, True)
    assert results["disk"].status is Status.ERROR
    assert "zizmor" in results["analyzers"].message


@pytest.mark.slow
@pytest.mark.django_db
def test_the_command_answers_in_json_with_a_status(github: Sandbox) -> None:
    done = python("manage.py", "doctor", "--json", **process_settings(KODIAI_GITHUB_APP_ID="7"))
    answer = json.loads(done.stdout)
    results = {result["check"]: result for result in answer["results"]}

    assert done.returncode == answer["status"] == 1
    assert results["App key"]["status"] == "error"
    assert results["App key"]["mend"]
    assert github.private_key.splitlines()[3] not in done.stdout + done.stderr


def test_settings_that_cannot_be_read_are_lines_too() -> None:
    done = python("-m", "kodiai", "doctor", "--json", DATABASE_URL="foo", KODIAI_WORKERS="x")
    answer = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (1, "")
    assert [result["message"].split()[0] for result in answer["results"]] == [
        "KODIAI_SECRET_KEY",
        "DATABASE_URL",
        "KODIAI_WORKERS",
    ]


@pytest.mark.slow
def test_a_database_that_fails_is_a_line_without_its_password() -> None:
    password = "hunter2-hunter2"
    environment = {"DATABASE_URL": f"postgresql://mona:{password}@127.0.0.1:1/kodiai", "KODIAI_SECRET_KEY": "x" * 40}
    done = python("manage.py", "doctor", "--offline", **environment, KODIAI_GITHUB_PRIVATE_KEY=key_pair()[0])

    assert done.returncode == 1
    assert "error    database" in done.stdout
    assert "check DATABASE_URL" in done.stdout
    assert password not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    ("owner", "group", "mode", "mend"),
    [(0, 0, 0o600, ""), (0, 0, 0o640, "go="), (0, 99, 0o640, ""), (0, 99, 0o644, "g=r,o="), (99, 0, 0o660, "g=r,o=")],
)
def test_a_settings_file_is_read_by_kodiai_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, group: int, mode: int, mend: str
) -> None:
    file = tmp_path / ".env"
    file.touch()
    file.chmod(mode)
    os.chown(file, owner, group)
    monkeypatch.setenv("KODIAI_ENV_FILE", str(file))

    found = next((result.mend for result in machine._files() if result.check == ".env"), "")

    assert found == (mend and f"chmod {mend} {file}")
