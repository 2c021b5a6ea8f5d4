"""Deployments under load: processes are replaced or restarted, and no delivery is refused or lost."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kodiai.supervisor import SILENT_SECONDS
from sandbox import Fault, FaultKind
from tests.e2e.deliveries import all_are_done_once, pulls_of, stream
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.ops04

MAX = 24
"""Pull requests of a stream."""
CONCLUSIONS = "SELECT conclusion FROM reviews_review WHERE repo = 'octo/bots' AND finished_at IS NOT NULL"


@pytest.fixture(scope="module")
def kodiai(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kodiai]:
    """A Kodiai with a settings file."""
    folder = tmp_path_factory.mktemp("kodiai")
    settings = folder / ".env"
    settings.write_text("KODIAI_BOT_ALLOW_LIST=\n")
    with running_kodiai(folder, workers=2, KODIAI_ENV_FILE=str(settings), KODIAI_GRACE_SECONDS="8") as running:
        yield running


def replace_all(kodiai: Kodiai, outcome: str = "all processes were replaced") -> None:
    """Have all processes replaced and wait until the log shows the outcome."""
    before = told(kodiai, outcome)
    kodiai.process.send_signal(signal.SIGHUP)
    eventually(lambda: told(kodiai, outcome) > before, outcome)


def told(kodiai: Kodiai, event: str) -> int:
    return sum(entry["event"] == event for entry in kodiai.events())


def settings_of(kodiai: Kodiai) -> Path:
    return Path(kodiai.environment["KODIAI_ENV_FILE"])


def test_processes_are_replaced_under_load_without_a_loss(kodiai: Kodiai) -> None:
    pulls = pulls_of(kodiai, "replaced", MAX)
    bots = kodiai.github.create_repository("octo/bots", files={"a.py": "x = 1\n"})
    of_a_bot = bots.open_pull_request(changes={"a.py": "x = 2\n"}, author="renovate[bot]")
    kodiai.send(of_a_bot)
    eventually(lambda: kodiai.rows(CONCLUSIONS) == [("skipped",)], "the run ends")
    first_workers, first_server = kodiai.workers(), kodiai.web_servers()
    settings_of(kodiai).write_text("KODIAI_BOT_ALLOW_LIST=renovate\n")

    began = time.monotonic()
    with (
        socket.create_connection(("127.0.0.1", int(kodiai.url.rpartition(":")[2])), timeout=PATIENCE) as opened,
        stream(kodiai, "replaced", pulls) as sent,
    ):
        eventually(lambda: sent.statuses, "deliveries come")
        replace_all(kodiai)
        # The last of the old ones is gone while deliveries come.
        eventually(lambda: not set(first_workers) & set(kodiai.workers()), "the first workers have ended")
        eventually(lambda: not set(first_server) & set(kodiai.web_servers()), "the first web server has ended")
        # A connection that was open before is served by the new one, if it had not to wait for longer than it may.
        opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        served = opened.recv(100).startswith(b"HTTP/1.1 200")
        assert served or time.monotonic() - began > SILENT_SECONDS

    assert set(sent.statuses) == {202}
    all_are_done_once(kodiai, "replaced", pulls, sorted(sent.accepted))
    # The new processes have read the settings file again.
    kodiai.send(of_a_bot)
    eventually(lambda: ("success",) in [tuple(row) for row in kodiai.rows(CONCLUSIONS)], "the new worker reviews it")


def test_what_was_accepted_before_a_stop_is_done_after_it(kodiai: Kodiai) -> None:
    pulls = pulls_of(kodiai, "stopped", MAX)
    # What is running when the signal comes: its answer is held until Kodiai has ended.
    held = kodiai.github.fail("graphql", Fault(FaultKind.APPLIED_THEN_DELAYED))

    with stream(kodiai, "stopped", pulls) as sent:
        assert held.reached.wait(PATIENCE)
        eventually(lambda: len(sent.accepted) > MAX // 2, "deliveries come")
        status = kodiai.end()
    held.release()

    assert status == 0
    assert set(sent.statuses) == {202, 0}
    stored = kodiai.rows("SELECT delivery_id FROM reviews_delivery WHERE delivery_id LIKE 'stopped-%'")
    assert {(f"stopped-{index}",) for index in sent.accepted} <= set(stored)
    kodiai.start()
    # An answer may be cut off after the delivery was stored; that one is done too.
    all_are_done_once(kodiai, "stopped", pulls, sorted(int(row[0].rpartition("-")[2]) for row in stored))


def test_settings_with_which_nothing_starts_replace_nothing(kodiai: Kodiai) -> None:
    running = eventually(kodiai.workers, "a worker is there")
    settings_of(kodiai).write_text("KODIAI_RETENTION_DAYS=a year\n")

    replace_all(kodiai, "databases not prepared, the old processes stay")

    pulls = pulls_of(kodiai, "kept", 1)
    assert kodiai.send(pulls[0], delivery_id="kept-0").status_code == 202
    all_are_done_once(kodiai, "kept", pulls)
    assert kodiai.workers() == running
    settings_of(kodiai).write_text("")
