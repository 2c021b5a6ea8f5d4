"""A worker that is told to stop stops, however often and whenever it is told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, eventually
from tests.runs import process_environment

MOST_SIGNALS = 5_000


@pytest.mark.django_db(transaction=True)
def test_an_idle_worker_ends_well_when_it_is_told_many_times_at_once(tmp_path: Path) -> None:
    """The supervisor, the process group and Linux (a parent that died) may all tell it in the same moment."""
    for attempt in range(3):
        log = tmp_path / f"{attempt}.log"
        with log.open("wb") as output:
            worker = subprocess.Popen(
                [sys.executable, "manage.py", "worker"], env=process_environment(), cwd=ROOT, stderr=output
            )
            try:
                eventually(lambda log=log: "worker started" in log.read_text(), "the worker is at work")
                for _ in range(MOST_SIGNALS):
                    if worker.poll() is not None:
                        break
                    os.kill(worker.pid, signal.SIGTERM)
                # Python gives signals back to the system at its very end: one that comes even later ends the process.
                assert worker.wait(30) in (0, -signal.SIGTERM)
            finally:
                worker.kill()
        assert "worker stopped" in log.read_text()
