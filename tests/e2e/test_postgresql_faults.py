"""PostgreSQL fails in the ways that operators meet, and Kodiai goes on by itself after the repair."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.e2e.disks import filled, small_disk
from tests.e2e.outages import Deliveries, alive, ready
from tests.e2e.servers import FAST, IMMEDIATE, PostgresServer, running_postgres
from tests.support.databases import POSTGRES_URL
from tests.support.running_kodiai import SMALL, Kodiai, running_kodiai
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.ops04,
    pytest.mark.database,
    pytest.mark.skipif(not POSTGRES_URL, reason="these go with the suite on PostgreSQL"),
]

STEPS = ["pull", "files", "search", "graphql", "create_review"]
"""The calls to GitHub at which runs are held: each step but for that of telemetry, which lies between two of them."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres("max_connections=40") as server:
        yield server


@pytest.fixture(scope="module")
def disk(server: PostgresServer) -> Iterator[Path]:
    """Where the tables are kept."""
    with small_disk(server.folder / "disk", megabytes=64) as disk:
        if os.geteuid() == 0:
            shutil.chown(disk, "postgres")
        yield disk


@pytest.fixture(scope="module")
def kodiai(server: PostgresServer, disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kodiai]:
    """One Kodiai for all of these tests: it is never started again. It has one worker more than runs are held."""
    server.execute(
        "CREATE ROLE kodiai LOGIN",
        f"CREATE TABLESPACE small LOCATION '{disk}'",
        "CREATE DATABASE kodiai OWNER kodiai TABLESPACE small",
    )
    url = f"postgresql://kodiai@127.0.0.1:{server.port}/kodiai"
    folder = tmp_path_factory.mktemp("kodiai")
    with running_kodiai(folder, workers=len(STEPS) + 1, DATABASE_URL=url, KODIAI_LEASE_SECONDS="6") as running:
        yield running


@pytest.fixture
def deliveries(kodiai: Kodiai, request: pytest.FixtureRequest) -> Deliveries:
    name = "".join(character if character.isalnum() else "-" for character in request.node.name)[-60:]
    return Deliveries(kodiai, kodiai.github.create_repository(f"octo/{name}", files=SMALL))


def restarted_as_after_a_crash(server: PostgresServer) -> None:
    server.stop(IMMEDIATE)
    server.start()


def cut_connections(server: PostgresServer) -> None:
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kodiai'")


@pytest.mark.parametrize("interrupt", [restarted_as_after_a_crash, cut_connections])
def test_runs_go_on_when_their_connections_end_in_any_step(
    server: PostgresServer, deliveries: Deliveries, interrupt: Callable[[PostgresServer], None]
) -> None:
    held = [deliveries.send_held_at(step) for step in STEPS]

    interrupt(server)
    for fault in held:
        fault.release()

    # The worker that is idle has lost its connection too, and hears of new work again.
    eventually(lambda: deliveries.send() == 202, "deliveries are accepted again")
    deliveries.all_end_well()
    assert set(deliveries.attempts().values()) == {0}


# Faults that last until they are repaired


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    server.stop(FAST)
    try:
        yield
    finally:
        server.start()


@contextmanager
def read_only(server: PostgresServer) -> Iterator[None]:
    """Kodiai's connections may read and not write, as on a standby that nobody has promoted yet."""
    server.execute("ALTER ROLE kodiai SET default_transaction_read_only = on")
    cut_connections(server)
    try:
        yield
    finally:
        # Connections that are there stay read-only: it is for Kodiai to make new ones.
        server.execute("ALTER ROLE kodiai RESET default_transaction_read_only")


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """The server takes connections and requests, as its kernel does that for it, and answers nothing."""
    server.signal_all(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal_all(signal.SIGCONT)


@contextmanager
def table_locked(server: PostgresServer, table: str) -> Iterator[None]:
    """Somebody holds a lock on a table that keeps even readers out, as some `ALTER TABLE` does."""
    url = f"{server.url.rpartition('/')[0]}/kodiai"
    with psycopg.connect(url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def no_slot_left(server: PostgresServer) -> Iterator[None]:
    """Others hold all of the connections that Kodiai's role may have."""
    server.execute("ALTER ROLE kodiai CONNECTION LIMIT 0")
    cut_connections(server)
    try:
        yield
    finally:
        server.execute("ALTER ROLE kodiai CONNECTION LIMIT -1")


OUTAGES: dict[str, Callable[[PostgresServer], AbstractContextManager[None]]] = {
    "stopped": stopped,
    "read-only": read_only,
    "frozen": frozen,
    "deliveries-locked": lambda server: table_locked(server, "reviews_delivery"),
    "no-slot-left": no_slot_left,
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES.keys())
def test_an_outage_promises_nothing_and_loses_nothing(
    server: PostgresServer, deliveries: Deliveries, outage: Callable[[PostgresServer], AbstractContextManager[None]]
) -> None:
    kodiai = deliveries.kodiai
    held = deliveries.send_held_at("search")
    (first,) = deliveries.accepted
    assert deliveries.send() == 202

    with outage(server):
        assert deliveries.send_many(12) == [503] * 12
        assert alive(kodiai)
        eventually(lambda: ready(kodiai) == 503, "Kodiai is not ready")
        held.release()

    deliveries.all_end_well()
    attempts = deliveries.attempts()
    # After a freeze either may go on first: the run, or the sweep that finds its lease run out.
    assert attempts.pop(first) <= (outage is frozen)
    # Where the connection ended while a run was claimed, nobody knows whose it is, and its lease has to run out.
    assert set(attempts.values()) <= {0, 1}


def test_a_full_disk_loses_nothing(deliveries: Deliveries, disk: Path) -> None:
    """The disk of the tables: PostgreSQL itself ends when that of its log is full, and is then one that stopped."""
    with filled(disk):
        # PostgreSQL uses the space of the pages that it has before it asks for more.
        eventually(lambda: deliveries.send() == 503, "a delivery is refused")
        assert alive(deliveries.kodiai)

    deliveries.all_end_well()
    assert set(deliveries.attempts().values()) <= {0, 1}


def test_a_locked_telemetry_table_stops_no_review(server: PostgresServer, deliveries: Deliveries) -> None:
    with table_locked(server, "rate_limit_events"):
        assert deliveries.send() == 202
        eventually(lambda: set(deliveries.stored().values()) == {"done"}, "it is done")

    deliveries.all_end_well()
