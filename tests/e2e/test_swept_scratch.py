"""A process that is killed while analyzers run leaves code on the disk; a worker that starts removes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.processes import ROOT
from tests.support.runs import process_settings
from tests.support.waiting import eventually

ANALYSES = """
import sys
from reviews.engines import confinement, scratch
with scratch.directory() as directory, open("/dev/null", "r+b") as ignored:
    open(directory + "/a.py", "w").close()
    print(directory, flush=True)
    confinement.run(["/bin/sh", "-c", "while :; do read -r line < /dev/zero; done"], directory, ignored, ignored)
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_sweeps_what_a_killed_process_left(tmp_path: Path) -> None:
    environment = processes.environment(TMPDIR=str(tmp_path), **process_settings())
    with subprocess.Popen(
        [sys.executable, "-c", ANALYSES], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().strip())
        killed.kill()
    assert (left / "a.py").exists()

    with subprocess.Popen(
        [sys.executable, "manage.py", "worker"], env=environment, cwd=ROOT, stderr=subprocess.DEVNULL
    ) as worker:
        try:
            eventually(lambda: not left.exists(), "it is removed")
        finally:
            worker.kill()
