"""SQLite's file is locked for long and its disk is full, and Kodiai goes on by itself afterwards."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.disks import filled, small_disk
from tests.e2e.outages import Deliveries, alive, ready
from tests.support.databases import POSTGRES_URL
from tests.support.running_kodiai import SMALL, Kodiai, running_kodiai
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.ops04,
    pytest.mark.skipif(bool(POSTGRES_URL), reason="these go with the suite on SQLite"),
]

LONG = os.environ.get("KODIAI_TEST_LONG") == "1"
LEAST_SECONDS = 30.0 if LONG else 0.0
"""For which the file stays locked at the least; longer than web server and worker wait for it in any case."""
WORKER_FAILS = ("database failed, rescheduling the run", "periodic tasks failed", "periodic task failed")
"""What the log says then of a worker, of its runs or of its periodic tasks."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("disk"), megabytes=24) as disk:
        yield disk


@pytest.fixture(scope="module")
def kodiai(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kodiai]:
    """One Kodiai for all of these tests: it is never started again. Its log is on another disk."""
    folder = tmp_path_factory.mktemp("kodiai")
    url = f"sqlite:///{disk}/kodiai.sqlite3"
    with running_kodiai(folder, workers=2, DATABASE_URL=url, KODIAI_LEASE_SECONDS="6") as running:
        yield running


@pytest.fixture
def deliveries(kodiai: Kodiai, request: pytest.FixtureRequest) -> Deliveries:
    repo = f"octo/{request.node.name.replace('_', '-')[-60:]}"
    return Deliveries(kodiai, kodiai.github.create_repository(repo, files=SMALL))


@contextmanager
def locked(kodiai: Kodiai) -> Iterator[None]:
    """Somebody writes and does not end, as a backup by other means may."""
    with closing(sqlite3.connect(kodiai.database.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 10000")
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_long_lock_loses_nothing_and_uses_no_attempt(deliveries: Deliveries) -> None:
    kodiai = deliveries.kodiai
    held = deliveries.send_held_at("search")

    with locked(kodiai):
        since = time.monotonic()
        assert deliveries.send_many(12) == [503] * 12
        held.release()
        assert alive(kodiai)
        eventually(lambda: ready(kodiai) == 503, "Kodiai is not ready")
        eventually(lambda: deliveries.logged("database failed, rescheduling the run"), "the worker has waited in vain")
        while time.monotonic() - since < LEAST_SECONDS:
            assert deliveries.send() == 503

    deliveries.all_end_well()
    assert set(deliveries.attempts().values()) == {0}


def test_a_full_disk_loses_nothing_and_uses_no_attempt(deliveries: Deliveries, disk: Path) -> None:
    kodiai = deliveries.kodiai
    held = deliveries.send_held_at("search")

    with filled(disk):
        # SQLite uses the space that its log has already before it asks for more.
        eventually(lambda: deliveries.send() == 503, "a delivery is refused")
        eventually(lambda: ready(kodiai) == 503, "Kodiai is not ready")
        assert alive(kodiai)
        held.release()
        eventually(lambda: deliveries.logged(*WORKER_FAILS), "the worker has failed to write too")
        assert set(deliveries.send_many(6)) <= {202, 503}

    deliveries.all_end_well()
    assert set(deliveries.attempts().values()) == {0}
