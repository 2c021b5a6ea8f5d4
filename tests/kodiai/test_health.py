"""Health, readiness and system checks."""

import pytest
from django.core.checks import run_checks
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from kodiai import health

pytestmark = pytest.mark.database


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)


def test_it_is_alive_without_asking_the_database(client: Client) -> None:
    # Without the mark of the database, a query here is an error.
    assert client.get("/healthz").json() == {"status": "alive"}


@pytest.mark.django_db
def test_it_is_ready_when_migrated_with_nothing_waiting(client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "database": "ok",
        "migrations": "applied",
        "oldest_waiting_seconds": None,
        "last_run_seconds": {},
        "github": "ok",
        "github_unreachable_since": None,
    }


@pytest.mark.django_db
def test_a_missing_migration_makes_it_not_ready(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'reviews'")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert "manage.py migrate" in answer.json()["migrations"]


@pytest.mark.django_db
def test_a_database_that_fails_makes_it_not_ready(client: Client) -> None:
    with connection.execute_wrapper(_fail):
        answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"


def _fail(*args: object) -> object:
    raise OperationalError("the server closed the connection")


@pytest.mark.django_db  # Django's own checks ask the database what it can do, the first time in a process
@pytest.mark.parametrize("name", ["KODIAI_GITHUB_WEBHOOK_SECRET", "KODIAI_GITHUB_APP_ID", "KODIAI_GITHUB_PRIVATE_KEY"])
def test_a_missing_setting_is_a_check_error_but_migrate_runs(settings: Settings, name: str) -> None:
    setattr(settings, name, [] if name.endswith("SECRET") else "")

    (problem,) = [message for message in run_checks() if str(message.id).startswith("kodiai.")]

    assert name in problem.msg
    assert not [message for message in run_checks(databases=["default"]) if str(message.id).startswith("kodiai.")]
