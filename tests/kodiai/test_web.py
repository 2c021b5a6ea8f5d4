"""The web server fails at start with a clear message."""

import os
import socket
import subprocess
import sys

from tests.support.runs import ROOT


def test_a_port_in_use_is_reported_in_a_sentence(tmp_path: os.PathLike[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = {
            "PATH": os.environ["PATH"],
            "KODIAI_ENV_FILE": os.devnull,
            "KODIAI_SECRET_KEY": "x" * 50,
            "DATABASE_URL": f"sqlite:///{tmp_path}/kodiai.sqlite3",
        }
        refused = subprocess.run(
            [sys.executable, "manage.py", "run", "--port", port],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert last == f"CommandError: Port {port} is already in use. Set another one with PORT or --port."
