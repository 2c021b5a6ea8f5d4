"""`make demo`: every check passes, failures are reported, and no process is left running."""

import fcntl
import http.client
import io
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from django.core.management.base import CommandError
from rich.console import Console

from kodiai.demo.console import Check, DemoConsole
from kodiai.demo.environment import FOLDER, ROOT, TELEMETRY_DATABASE
from kodiai.demo.processes import LOCK
from kodiai.management.commands.demo import summarise
from tests.support.processes import bound

SECONDS = 300
"""Time limit of a demo, which takes ten seconds on an idle machine."""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_demo() -> Iterator[Start]:
    """Starts demos, in one test at a time since they share a folder, and stops them."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str, **environment: str) -> "subprocess.Popen[str]":
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KODIAI_", "DJANGO_")) and name not in ("DATABASE_URL", "HOST", "PORT")
        }
        demo = subprocess.Popen(
            bound(sys.executable, str(ROOT / "manage.py"), "demo", *options),
            env=ours | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(demo)
        return demo

    FOLDER.parent.mkdir(exist_ok=True)
    with (FOLDER.parent / "demo-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield start
        for demo in started:
            if demo.poll() is None:
                demo.kill()
            demo.communicate()


def read_until(demo: "subprocess.Popen[str]", text: str) -> str:
    """Return the demo's output up to the line with `text`."""
    assert demo.stdout is not None
    read = ""
    for line in demo.stdout:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} is missing:\n{read}")


def test_every_check_passes(start_demo: Start) -> None:
    demo = start_demo("--once")
    output, errors = demo.communicate(timeout=SECONDS)

    assert demo.returncode == 0, output + errors
    assert "✗" not in output
    headings = re.findall(r"^(\d)\. .*━", output, re.MULTILINE)
    assert headings == ["1", "2", "3", "4"]
    for point in (
        "✓ one review is published, by the App",
        "✓ still one review on GitHub",
        "✓ still one telemetry row",
        "✓ its text contains: Analysis is partial due to API limits.",
        "✓ one telemetry row, whose degradation path is the limit",
        "✓ the database was locked all the time",
        "✓ afterwards the pending row is recorded, once",
        "✓ the login opens the admin",
        "✓ the token opens the API",
    ):
        assert point in output
    assert "kodiai:review" not in output, "the marker is not shown"


def test_it_runs_on_after_failed_checks_until_it_is_stopped(start_demo: Start) -> None:
    operators = {
        "KODIAI_GITHUB_API_URL": "http://127.0.0.1:9",
        "KODIAI_GITHUB_WEBHOOK_SECRET": "of the real App",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:9/real",
    }
    demo = start_demo(**operators)
    address = re.search(r"Kodiai listens on http://127\.0\.0\.1:(\d+)", read_until(demo, "Kodiai listens on"))
    assert address is not None
    stranger = sqlite3.connect(TELEMETRY_DATABASE, isolation_level=None)
    stranger.execute("BEGIN EXCLUSIVE")
    first = read_until(demo, "✗")
    stranger.close()
    rest = read_until(demo, "Ctrl-C ends the demo.")

    broken = "✗ one telemetry row, nothing degraded: expected ['none'], got []"
    assert broken in first
    assert "checks failed:" in rest
    assert broken in rest
    assert "/admin/  name: demo  password: " in rest
    web = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=SECONDS)
    web.request("GET", "/admin/login/")
    assert web.getresponse().status == 200
    web.close()

    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=SECONDS)
    assert "Stopped." in rest
    assert demo.returncode == 0
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", int(address[1]))) != 0


def test_it_reports_that_kodiai_died(start_demo: Start) -> None:
    demo = start_demo("--once")
    kodiai = re.search(r"as process (\d+)", read_until(demo, "Kodiai listens on"))
    assert kodiai is not None
    os.kill(int(kodiai[1]), signal.SIGKILL)
    _, errors = demo.communicate(timeout=SECONDS)

    assert demo.returncode == 1
    assert "Kodiai ended with status -9. The last lines of its log:" in errors


def test_it_reports_a_port_in_use(start_demo: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        demo = start_demo("--once", PORT=str(port))
        _, errors = demo.communicate(timeout=SECONDS)

    assert demo.returncode == 1
    assert f"Port {port} on 127.0.0.1 is already in use. Without PORT, the demo uses a free port." in errors


def test_it_does_not_disturb_another_demo(start_demo: Start) -> None:
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        demo = start_demo("--once")
        _, errors = demo.communicate(timeout=SECONDS)

    assert demo.returncode == 1
    assert f"Another demo is running in {FOLDER}. End it first." in errors


def test_a_failed_check_shows_the_expected_and_the_actual_value() -> None:
    output = io.StringIO()
    checks = [Check("one review", expected=1, actual=1), Check("one row", expected=1, actual=2)]

    with pytest.raises(CommandError, match=r"(?s)^1 of 2 checks failed:.*✗ one row: expected 1, got 2$"):
        summarise(checks, DemoConsole(Console(file=output)), once=True)
    assert "The last lines of Kodiai's log:" in output.getvalue()


def test_a_suggestion_is_shown_as_a_change() -> None:
    output = io.StringIO()
    review = {
        "user": {"login": "kodiai[bot]"},
        "body": "### Kodiai: 1 finding\n\n<!-- kodiai:review 0123 -->",
        "comments": [{"path": "app.py", "line": 2, "body": "**minor** Not so.\n\n```suggestion\nb = 2\n```"}],
    }
    DemoConsole(Console(file=output)).review("octo/demo#1", review, {"app.py": "a = 1\nb = 1\n"})

    shown = [line.strip("│ ").rstrip() for line in output.getvalue().splitlines()]
    assert shown.index("app.py:2") < shown.index("minor Not so.") < shown.index("- b = 1") < shown.index("+ b = 2")
    assert "0123" not in output.getvalue()
