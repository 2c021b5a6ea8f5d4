"""A move from SQLite to PostgreSQL: every row, resumed where it was killed, and refused where it would mix two."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.support import processes
from tests.support.databases import POSTGRES_URL, Database, empty_database
from tests.support.processes import ROOT, bound
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.database,
    pytest.mark.skipif(not POSTGRES_URL, reason="it moves to PostgreSQL: set KODIAI_TEST_POSTGRES_URL"),
]

EVENTS = 5000
FILL = [
    "INSERT INTO reviews_delivery (id, delivery_id, event, event_type, status, ignore_reason, repo, repositories, "
    "head_sha, base_ref, base_sha, sender, author, addressed, command, failure, received_at, task_id) VALUES "
    "(7, 'd', 'pull_request', 'pull_request.opened', 'done', '', 'octo/déjà', '[\"octo/b\", {\"a\": 1.5}]', '', '', "
    "'', 'mona', 'mona', 1, '', 'a\ttab, a \\N, two\nlines', '2026-11-27 10:00:00.123456', '')",
    "INSERT INTO reviews_periodictask (name, due_at, outcome, failure) VALUES ('Ä', '2026-11-27', '', ''), "
    "('a', '2026-11-27', '', ''), ('B', '2026-11-27', '', '')",
    "INSERT INTO auth_user (id, username, password, is_superuser, first_name, last_name, email, is_staff, is_active, "
    "date_joined) VALUES (41, 'root', 'x', 1, '', '', '', 1, 1, '2026-11-27')",
    "INSERT INTO auth_user_user_permissions (user_id, permission_id) SELECT 41, max(id) FROM auth_permission",
]
FILL_TELEMETRY = [
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO rate_limit_events "
    "(id, created_at, delivery_id, repo, pr_number, event_type, cache_hit_rate, skipped_queries, retry_attempts, "
    "degradation_path) SELECT 3 * i, '2026-11-27 10:00:00.5', 'd' || i, 'octo/a', i, 'x', 0.1 * (i % 10), 0, 0, 'none' "
    "FROM n",
    # What only a legacy file holds.
    "UPDATE rate_limit_events SET created_at = 'garbage' WHERE id = 9",
]


class Move:
    """An installation on two SQLite files, and an empty database of PostgreSQL."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder, self.target = folder, Database(target)
        self.source, self.telemetry = (Database(f"sqlite:///{folder}/{name}.sqlite3") for name in ("main", "telemetry"))
        self.settings = {
            "DATABASE_URL": self.source.url,
            "KODIAI_TELEMETRY_DATABASE_URL": self.telemetry.url,
            "KODIAI_SECRET_KEY": "k" * 40,
        }

    def manage(self, *arguments: str, **settings: str) -> tuple[int, str]:
        done = processes.python(str(ROOT / "manage.py"), *arguments, cwd=self.folder, **self.settings | settings)
        return done.returncode, done.stdout + done.stderr

    def move(self) -> tuple[int, str]:
        """Move as the runbook says."""
        block = re.search(r"```console move\n\$ (.*)\n", (ROOT / "docs" / "runbook.md").read_text())
        assert block
        environment = processes.environment(**self.settings, TARGET=self.target.url)
        done = subprocess.run(
            ["bash", "-c", block[1]], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def count(self, table: str) -> int:
        return int(self.target.fetch(f"SELECT count(*) FROM {table}")[0][0])


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Move]:
    with empty_database(tmp_path) as url:
        move = Move(tmp_path, url)
        for alias in ("default", "telemetry"):
            assert move.manage("migrate", "-v0", "--database", alias) == (0, "")
        move.source.execute(*FILL)
        move.telemetry.execute(*FILL_TELEMETRY)
        yield move


def test_a_killed_move_goes_on_and_ends_equal(installation: Move) -> None:
    assert installation.manage("migrate", "-v0", DATABASE_URL=installation.target.url, KODIAI_TELEMETRY_DATABASE_URL="")
    with closing(psycopg.connect(installation.target.url)) as blocking:
        # The third batch waits for this row, which is never committed.
        blocking.execute(
            "INSERT INTO rate_limit_events (id, repo, event_type, cache_hit_rate, skipped_queries, retry_attempts, "
            "degradation_path) VALUES (13500, 'x', 'x', 0, 0, 0, 'none')"
        )
        command = bound(sys.executable, str(ROOT / "manage.py"), "move_database", installation.target.url)
        environment = processes.environment(**installation.settings)
        process = subprocess.Popen(command, env=environment, cwd=installation.folder, stderr=subprocess.DEVNULL)
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        eventually(lambda: installation.target.fetch(waiting) == [(1,)], "the move waits in the third batch")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert installation.count("rate_limit_events") == 4000
    eventually(lambda: installation.target.fetch(waiting) == [(0,)], "PostgreSQL has noticed")

    status, said = installation.move()
    assert status == 0, said
    assert re.search(rf"^rate_limit_events: {EVENTS} rows, equal, digest [0-9a-f]{{16}}$", said, re.MULTILINE)
    assert "DIFFERENT" not in said
    assert installation.count("rate_limit_events") == EVENTS
    columns = "id, repo, repositories::text, failure, addressed, received_at::text"
    assert installation.target.fetch(f"SELECT {columns} FROM reviews_delivery") == [
        (7, "octo/déjà", '["octo/b", {"a": 1.5}]', "a\ttab, a \\N, two\nlines", True, "2026-11-27 10:00:00.123456+00")
    ]
    unreadable = "SELECT extract(epoch FROM created_at)::int FROM rate_limit_events WHERE id = 9"
    assert installation.target.fetch(unreadable) == [(0,)]
    # New rows have keys of their own, and the identity holds.
    event = "INSERT INTO rate_limit_events (delivery_id, repo, event_type, cache_hit_rate, skipped_queries, "
    event += "retry_attempts, degradation_path) VALUES ('{}', 'r', 'x', 0, 0, 0, 'none') RETURNING id"
    assert installation.target.fetch(event.format("new")) == [(3 * EVENTS + 1,)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        installation.target.fetch(event.format("d5"))

    # One value differs, and no count.
    installation.target.execute(
        "DELETE FROM rate_limit_events WHERE delivery_id = 'new'",
        "UPDATE rate_limit_events SET retry_attempts = 1 WHERE id = 6",
    )
    status, said = installation.move()
    assert (status, f"rate_limit_events: {EVENTS} rows, DIFFERENT, {EVENTS} there" in said) == (1, True), said


def test_a_move_is_refused_while_kodiai_runs_or_to_a_used_target(installation: Move) -> None:
    with closing(installation.source.connect()) as connection:
        connection.execute("SELECT count(*) FROM reviews_delivery").fetchall()
        status, said = installation.move()
    assert (status, "Stop Kodiai" in said) == (1, True), said

    status, said = installation.manage("move_database", "sqlite:///other.sqlite3")
    assert (status, "must be postgresql://" in said) == (1, True), said

    installation.manage("migrate", "-v0", DATABASE_URL=installation.target.url, KODIAI_TELEMETRY_DATABASE_URL="")
    installation.target.execute(
        "INSERT INTO reviews_turn (installation_id, author, runs, started_at, used_seconds, used_at) "
        "VALUES (1, 'mona', 0, now(), 0, now())"
    )
    status, said = installation.move()
    assert (status, "not empty (reviews_turn has rows)" in said) == (1, True), said
    assert installation.count("reviews_delivery") == 0
