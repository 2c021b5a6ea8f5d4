"""Processes of Kodiai that tests start, with none of the tests' own settings in their environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


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
    """Run Python with these arguments to its end, in `environment`."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(**settings), cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
