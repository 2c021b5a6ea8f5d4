"""A telemetry store of its own may fail in every way and stops no review, seen from a process of its own."""

import json
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from reviews.maintenance.recovery import flush_outbox
from reviews.models import Delivery, Review
from reviews.publishing.previous_comments import review_markers
from sandbox import PullRequest
from telemetry.models import RateLimitEvent
from tests.reviews.runs.test_store_outages import BOUND, published
from tests.support.processes import python
from tests.support.runs import admit, process_settings, run, start_process

pytestmark = [pytest.mark.slow, pytest.mark.ops05, pytest.mark.django_db(transaction=True)]


@contextmanager
def file_locked(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield f"sqlite:///{path}"


@contextmanager
def file_gone(path: Path) -> Iterator[str]:
    yield f"sqlite:///{path.parent / 'is-a-folder'}"


@contextmanager
def file_is_no_database(path: Path) -> Iterator[str]:
    other = path.with_name("no-database.sqlite3")
    other.write_bytes(b"this is no database" * 1000)
    yield f"sqlite:///{other}"


@contextmanager
def table_missing(path: Path) -> Iterator[str]:
    yield f"sqlite:///{path.with_name('empty.sqlite3')}"


@contextmanager
def connection_refused(path: Path) -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can answer there
        yield f"postgresql://postgres@127.0.0.1:{taken.getsockname()[1]}/telemetry"


@contextmanager
def server_that_never_answers(path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://postgres@127.0.0.1:{server.getsockname()[1]}/telemetry"


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Path:
    """A store without rows, to be copied."""
    store = tmp_path_factory.mktemp("store") / "telemetry.sqlite3"
    manage(f"sqlite:///{store}", "migrate", "--database", "telemetry", "--verbosity", "0")
    return store


def process_delivery(delivery: Delivery, store: str) -> list[dict[str, Any]]:
    """Process a delivery in a process whose telemetry store is `store`; return its log."""
    with start_process(delivery, KODIAI_TELEMETRY_DATABASE_URL=store) as process:
        _, log = process.communicate()
    assert process.returncode == 0, log
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def manage(store: str, *arguments: str) -> None:
    done = python("manage.py", *arguments, **process_settings(KODIAI_TELEMETRY_DATABASE_URL=store))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "outage",
    [file_locked, file_gone, file_is_no_database, table_missing, connection_refused, server_that_never_answers],
)
def test_a_store_of_its_own_may_fail_in_every_way(
    pull: PullRequest, migrated: Path, tmp_path: Path, outage: Any
) -> None:
    store = Path(shutil.copy(migrated, tmp_path))
    (tmp_path / "is-a-folder").mkdir()
    healthy = run(admit(pull))
    expected = published(pull)
    RateLimitEvent.objects.all().delete()
    delivery = admit(pull)

    failing: AbstractContextManager[str] = outage(store)
    with failing as url:
        log = process_delivery(delivery, url)

    assert published(pull) == expected
    assert len(review_markers(pull.reviews[-1]["body"])) == 2
    assert Review.objects.get(delivery=delivery).duration < healthy.duration + BOUND
    (warning,) = [entry for entry in log if entry["level"] == "warning" and "rate_limit_event" in entry]
    assert warning["rate_limit_event"]["delivery_id"] == delivery.delivery_id
    assert warning["rate_limit_event"]["degradation_path"] == "none"

    manage(f"sqlite:///{store}", "maintain")
    with closing(sqlite3.connect(store)) as rows:
        assert rows.execute("SELECT delivery_id FROM rate_limit_events").fetchall() == [(delivery.delivery_id,)]
        assert rows.execute("SELECT delivery_id FROM executions").fetchall() == [(delivery.delivery_id,)]
    assert flush_outbox() == 0
