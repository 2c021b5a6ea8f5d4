"""What tests start ends with them, even if they are killed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, bound, is_alive
from tests.support.waiting import eventually

STARTER = (
    "import subprocess, time; from tests.support.processes import bound\n"
    "print(subprocess.Popen(bound('sleep', '600')).pid, flush=True); time.sleep(600)"
)


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs util-linux")
def test_a_server_ends_with_a_killed_test_run() -> None:
    command = bound(sys.executable, "-c", STARTER)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        # Before, setpriv has not yet asked for the signal.
        eventually(lambda: _command(server).startswith(b"sleep"), "it runs")
        starter.send_signal(signal.SIGKILL)

    eventually(lambda: not _command(server), "it ends")


def _command(pid: int) -> bytes:
    """The command of a process; empty if it has ended. Source: proc(5)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def test_a_number_of_no_process_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    assert not is_alive(ended.pid)
    assert is_alive(os.getpid())
