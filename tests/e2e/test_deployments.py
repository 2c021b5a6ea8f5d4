"""Deployments under load: processes are replaced or restarted, and no delivery is refused or lost."""

import signal
import socket
import sys
from pathlib import Path

import pytest

from sandbox import Fault, FaultKind
from tests.e2e.deliveries import all_are_done_once, pulls_of, stream
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.ops04, pytest.mark.xdist_group("e2e")]

MAX = 200
"""Pull requests of a stream."""


def replace_all(kodiai: Kodiai, outcome: str = "all processes were replaced") -> None:
    """Have all processes replaced and wait until the log shows the outcome."""
    before = told(kodiai, outcome)
    kodiai.process.send_signal(signal.SIGHUP)
    eventually(lambda: told(kodiai, outcome) > before, outcome)


def told(kodiai: Kodiai, event: str) -> int:
    return sum(entry["event"] == event for entry in kodiai.events())


def test_processes_are_replaced_under_load_without_a_loss(tmp_path: Path) -> None:
    with running_kodiai(tmp_path, workers=2) as kodiai:
        pulls = pulls_of(kodiai, "replaced", MAX)
        first_workers = eventually(kodiai.workers, "workers are there")

        with stream(kodiai, "replaced", pulls) as sent:
            eventually(lambda: sent.statuses, "deliveries come")
            for _ in range(2):
                replace_all(kodiai)
            # The last of the old ones is gone while deliveries come.
            eventually(lambda: not set(first_workers) & set(kodiai.workers()), "the first workers have ended")

        assert set(sent.statuses) == {202}
        all_are_done_once(kodiai, "replaced", pulls, sorted(sent.accepted))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux leaves a connection with the socket until it is used")
def test_an_open_connection_survives_a_replacement(tmp_path: Path) -> None:
    with running_kodiai(tmp_path) as kodiai:
        first = kodiai.web_servers()
        with socket.create_connection(("127.0.0.1", int(kodiai.url.rpartition(":")[2])), timeout=PATIENCE) as opened:
            replace_all(kodiai)
            eventually(lambda: not set(first) & set(kodiai.web_servers()), "the first web server has ended")

            opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

            assert opened.recv(100).startswith(b"HTTP/1.1 200")


def test_what_was_accepted_before_a_stop_is_done_after_it(tmp_path: Path) -> None:
    with running_kodiai(tmp_path, workers=2, KODIAI_GRACE_SECONDS="8") as kodiai:
        pulls = pulls_of(kodiai, "stopped", MAX)
        # What is running when the signal comes: its answer is held until Kodiai has ended.
        held = kodiai.github.fail("graphql", Fault(FaultKind.APPLIED_THEN_DELAYED))

        with stream(kodiai, "stopped", pulls) as sent:
            assert held.reached.wait(PATIENCE)
            eventually(lambda: len(sent.accepted) > 20, "deliveries come")
            status = kodiai.end()
        held.release()

        assert status == 0
        assert set(sent.statuses) == {202, 0}
        stored = kodiai.rows("SELECT delivery_id FROM reviews_delivery")
        assert {(f"stopped-{index}",) for index in sent.accepted} <= set(stored)
        kodiai.start()
        # An answer may be cut off after the delivery was stored; that one is done too.
        all_are_done_once(kodiai, "stopped", pulls, sorted(int(row[0].rpartition("-")[2]) for row in stored))


def test_new_processes_read_the_settings_file_again(tmp_path: Path) -> None:
    settings = tmp_path / ".env"
    settings.write_text("KODIAI_BOT_ALLOW_LIST=\n")
    with running_kodiai(tmp_path, KODIAI_ENV_FILE=str(settings)) as kodiai:
        repo = kodiai.github.create_repository("octo/bots", files={"a.py": "x = 1\n"})
        pull = repo.open_pull_request(changes={"a.py": "x = 2\n"}, author="renovate[bot]")
        kodiai.send(pull)
        conclusions = "SELECT conclusion FROM reviews_review WHERE finished_at IS NOT NULL"
        eventually(lambda: kodiai.rows(conclusions), "the run ends")
        assert {row[0] for row in kodiai.rows(conclusions)} == {"skipped"}
        settings.write_text("KODIAI_BOT_ALLOW_LIST=renovate\n")

        replace_all(kodiai)

        def is_reviewed() -> bool:
            kodiai.send(pull)
            return ("success",) in [tuple(row) for row in kodiai.rows(conclusions)]

        eventually(is_reviewed, "the new worker reviews it")


def test_settings_with_which_nothing_starts_replace_nothing(tmp_path: Path) -> None:
    settings = tmp_path / ".env"
    settings.write_text("")
    with running_kodiai(tmp_path, KODIAI_ENV_FILE=str(settings)) as kodiai:
        running = eventually(kodiai.workers, "a worker is there")
        settings.write_text("KODIAI_RETENTION_DAYS=a year\n")

        replace_all(kodiai, "databases not prepared, the old processes stay")

        pulls = pulls_of(kodiai, "kept", 1)
        assert kodiai.send(pulls[0], delivery_id="kept-0").status_code == 202
        all_are_done_once(kodiai, "kept", pulls)
        assert kodiai.workers() == running
