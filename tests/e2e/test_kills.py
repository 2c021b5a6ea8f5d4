"""Workers are killed (SIGKILL) at random moments: every run ends, once."""

import os
import random
import signal
import subprocess
import time

import pytest

from tests.e2e.conftest import Kodiai, eventually

pytestmark = [pytest.mark.ops04, pytest.mark.xdist_group("e2e")]

RUNS = 15
KILLS = 5


def workers(kodiai: Kodiai) -> list[int]:
    """The worker processes of this Kodiai, which are children of its supervisor."""
    found = subprocess.run(
        ["pgrep", "-P", str(kodiai.process.pid), "-f", "manage.py worker"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def test_every_run_ends_once_while_its_workers_are_killed(kodiai: Kodiai) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    repo = kodiai.github.create_repository("octo/killed", files={"a.py": "x = 1\n"})
    pulls = [
        repo.open_pull_request(changes={"a.py": f"import os\nx = {number}\n"}, author=f"author-{number}")
        for number in range(RUNS)
    ]
    for number, pull in enumerate(pulls):
        assert kodiai.send(pull, delivery_id=f"killed-{number}").json()["status"] == "queued"

    for _ in range(KILLS):
        pids = eventually(lambda: workers(kodiai), "a worker is there")
        # Not a wait for a condition: the moment of the kill is what is drawn.
        time.sleep(chance.uniform(0.0, 1.5))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def left() -> int:
        query = "SELECT count(*) FROM reviews_delivery WHERE delivery_id LIKE 'killed-%' AND status != 'done'"
        return int(kodiai.rows(query)[0][0])

    deadline = time.monotonic() + 90
    while left():
        assert time.monotonic() < deadline, f"{left()} runs did not end (seed {seed})"
        time.sleep(0.1)
    eventually(
        lambda: kodiai.rows("SELECT count(*) FROM executions WHERE delivery_id LIKE 'killed-%'") == [(RUNS,)],
        f"each run has its execution (seed {seed})",
    )
    assert [len(pull.reviews) for pull in pulls] == [1] * RUNS, f"seed {seed}"
    for table in ("rate_limit_events", "executions"):
        rows = kodiai.rows(f"SELECT delivery_id, count(*) FROM {table} WHERE delivery_id LIKE 'killed-%' GROUP BY 1")
        assert sorted(rows) == sorted((f"killed-{number}", 1) for number in range(RUNS)), f"{table}, seed {seed}"
    assert kodiai.rows("SELECT count(*) FROM reviews_review WHERE lease_owner != ''") == [(0,)]
