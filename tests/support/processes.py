"""Processes of Kodiai that tests start, with none of the tests' own settings in their environment."""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
FORKED = str(ROOT / "tests" / "support" / "forked.py")


def bound(*command: str) -> list[str]:
    """Return a command that is ended with the process that starts it, however that ends, where util-linux is there.

    For the kernel that is the thread that starts it: it has to outlive the command.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig=TERM", "--", *command] if setpriv else list(command)


def is_alive(pid: int) -> bool:
    """Return whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment without its settings of Kodiai, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KODIAI_")}
    own = {
        "DJANGO_SETTINGS_MODULE": "kodiai.settings",
        "KODIAI_ENV_FILE": os.devnull,
        "KODIAI_GITHUB_APP_FILE": os.devnull,
        "PYTHONPATH": str(ROOT),
    }
    return kept | own | settings


def python(*arguments: str, cwd: Path = ROOT, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with these arguments to its end, in `environment`. What it imports may be there already: `forked`."""
    return _run(forked(*arguments), cwd, settings)


def fresh_python(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """The same where the test is about what is imported."""
    return _run([sys.executable, *arguments], ROOT, settings)


def _run(command: list[str], cwd: Path, settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env=environment(**settings), cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def forked(*arguments: str) -> list[str]:
    """Return the command of `python *arguments` that saves its imports; see `tests.support.forked`."""
    return [sys.executable, "-I", "-S", FORKED, "run", _forking(), *arguments]


@cache
def _forking() -> str:
    """Start the process that forks, which ends with this one; return where it listens."""
    folder = tempfile.TemporaryDirectory(prefix="kodiai-forked-")
    path = f"{folder.name}/socket"
    server = subprocess.Popen(
        [sys.executable, FORKED, "serve", path], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    server.stdout.readline()
    _kept.append((folder, server))
    return path


_kept: list[object] = []
"""What ends with this process."""
