"""An analyzer that a hostile file has taken over loses its own findings, and reaches nothing else.

Each of them is a real process: a small script that does what an attacker would.
"""

import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from reviews import engines
from reviews.engines import confinement
from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import ruff
from reviews.findings import Finding
from sandbox import PullRequest
from tests.support.runs import ROOT, admit, run

Way = tuple[str, ...]

BEST, AS_ROOT, LIMITS = confinement._PREFIXES
NO_UTIL_LINUX: Way = ()
NOBODY = 65534


def works(way: Way) -> bool:
    return subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(
    params=[
        pytest.param(BEST, id="user"),
        pytest.param(AS_ROOT, id="root", marks=pytest.mark.slow),
        pytest.param(LIMITS, id="limits"),
        pytest.param(NO_UTIL_LINUX, id="no-util-linux", marks=pytest.mark.slow),
    ]
)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Each way of holding an analyzer in that this system has: what one machine cannot do, another can."""
    if not works(request.param):
        pytest.skip("this system does not allow it")
    monkeypatch.setattr(confinement, "confinement", lambda: request.param)
    return request.param


@pytest.fixture(autouse=True)
def _never_hang() -> Iterator[None]:
    """A test that waits for what never comes ends here, with an error."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[bytes, list[tuple[str, str]]]]:
    """Run a script as an analyzer beside ruff; return what it printed and what the review would say of it.

    Fails if ruff lost anything by it.
    """

    def analyse(script: str, **values: object) -> tuple[bytes, list[tuple[str, str]]]:
        source = tmp_path / "analyzer.py"
        source.write_text("import os, socket, sys, time\n" + textwrap.dedent(script).format(**values))
        printed = b""

        def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
            nonlocal printed
            printed = output
            return []

        analyzer = Analyzer("hostile", ("*.py",), (sys.executable, "-I", "-S", str(source)), read)
        monkeypatch.setattr(engines, "ANALYZERS", (analyzer, ruff.ANALYZER))
        found, ran, failures = engines.run_analyzers({"a.py": "import os\n"})
        assert [finding.rule for finding in found] == ["F401"]
        assert "ruff" in ran
        return printed, failures

    return analyse


Hostile = Callable[..., tuple[bytes, list[tuple[str, str]]]]


def test_one_that_prints_without_end_is_stopped_while_it_prints(
    way: Way, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "OUTPUT_LIMIT", 100_000)
    printed, failures = hostile("while True: os.write(1, b'x' * 4096)")
    assert (printed, failures) == (b"", [("hostile", "its output exceeds 100000 bytes")])


def test_endless_stderr_is_stopped_and_shortened(way: Way, hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "OUTPUT_LIMIT", 100_000)
    _, [(name, reason)] = hostile("while True: os.write(2, b'complaint ' * 400)")
    assert name == "hostile"
    assert "complaint" in reason
    assert len(reason) < 300


def test_endless_allocation_meets_the_memory_limit(way: Way, hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "MEMORY_LIMIT", 512 * 1024 * 1024)
    # It stops by itself at twice the limit, so that a broken limit harms no machine.
    _, failures = hostile("kept = [bytearray(16 * 1024 * 1024) for _ in range(64)]")
    [(name, reason)] = failures
    # There may be no memory left to say why.
    assert (name, reason.partition(":")[0]) == ("hostile", "it exited with status 1")


def test_a_busy_loop_ends_at_its_processor_time_limit(
    way: Way, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "CPU_LIMIT", 1)
    monkeypatch.setattr(confinement, "TIME_LIMIT", 30)
    _, [(name, reason)] = hostile("while True: pass")
    assert name == "hostile"
    # `unshare` does not hand on the signal.
    assert reason == ("it exited with status 1" if "unshare" in way else "it was killed by SIGKILL")


def test_one_that_waits_is_ended_when_its_time_is_up(
    way: Way, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "TIME_LIMIT", 2)
    assert hostile("if os.getcwd().startswith('/'): time.sleep(3600)")[1][0] == (
        "hostile",
        "it took longer than 2 seconds",
    )


def test_one_that_fills_the_disk_meets_the_limit_of_a_file(
    way: Way, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "OUTPUT_LIMIT", 100_000)
    script = """
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with open("huge", "wb", buffering=0) as file:
            for _ in range(1000):
                if file.write(b"x" * 4096) < 4096: break
        sys.exit(f"it got {{os.stat('huge').st_size}}")
    """
    assert hostile(script)[1] == [("hostile", "it exited with status 1: it got 100000")]


@pytest.mark.parametrize("leaves", ["os.setsid()", "pass"], ids=["leaves-the-group", "stays-in-the-group"])
def test_one_that_leaves_a_daemon_behind_leaves_nothing_behind(
    way: Way, hostile: Hostile, tmp_path: Path, leaves: str
) -> None:
    lock = tmp_path / "held-while-the-daemon-lives"
    script = """
        import fcntl
        ready, tell = os.pipe()
        if os.fork() == 0:
            {leaves}
            if os.fork():
                os._exit(0)
            held = open({lock!r}, "w")
            fcntl.flock(held, fcntl.LOCK_EX)
            os.write(tell, b"!")
            while True:
                os.write(1, b".")
                time.sleep(0.001)
        os.read(ready, 1)
    """
    _, failures = hostile(script, leaves=leaves, lock=str(lock))
    assert failures == []
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # waits for as long as the daemon lives


def test_one_that_goes_to_the_network_gets_nowhere(way: Way, hostile: Hostile) -> None:
    if way not in (BEST, AS_ROOT):
        pytest.skip("only a namespace denies the network")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script = "socket.create_connection(('127.0.0.1', {port}), timeout=5)"
        _, [(name, reason)] = hostile(script, port=listener.getsockname()[1])
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert name == "hostile"
    assert "unreachable" in reason


def test_a_missing_network_namespace_is_logged_once(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(confinement, "_PREFIXES", (("unshare", "--no-such-option", "--"), LIMITS))
    confinement.confinement.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert [hostile("print('[]')")[1] for _ in range(2)] == [[], []]
    finally:
        confinement.confinement.cache_clear()
    assert [record.message for record in caplog.records if "network" in record.message] == [
        "analyzers run with network access: this system does not allow namespaces"
    ]


def test_an_analyzer_finds_no_secrets_and_no_open_files(
    way: Way, hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KODIAI_GITHUB_PRIVATE_KEY", "the-key")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy")
    secret = tmp_path / "secret"
    secret.write_text("the-key")
    script = """
        import json
        fds = sorted(os.listdir("/proc/self/fd"), key=int)
        links = [os.readlink(f"/proc/self/fd/{{fd}}") for fd in fds if os.path.lexists(f"/proc/self/fd/{{fd}}")]
        print(json.dumps([dict(os.environ), links]))
    """
    with secret.open() as held:
        os.set_inheritable(held.fileno(), True)
        printed, failures = hostile(script)
    assert failures == []
    environment, links = json.loads(printed)
    # LC_CTYPE: Python's own doing at its start.
    assert set(environment) - {"LC_CTYPE"} == {"PATH", "HOME", "LANG", "RAYON_NUM_THREADS"}
    assert links[0] == "/dev/null"
    assert len(links) == 3
    assert "the-key" not in printed.decode()
    assert str(secret) not in links


def test_one_that_reads_the_environment_of_its_worker_is_refused(way: Way, hostile: Hostile) -> None:
    if way != BEST:
        pytest.skip("only a user namespace closes it")
    _, [(_, reason)] = hostile("open('/proc/{pid}/environ', 'rb').read()", pid=os.getpid())
    assert "PermissionError" in reason


AS_NOBODY = """
import sys
sys.path.insert(0, {root!r})
from reviews.engines import confinement
confinement.confinement = lambda: {way!r}
confinement.PROCESSES_LIMIT = confinement.USER_PROCESSES_LIMIT = 20
import tempfile
bomb = "i=0; while [ $i -lt 300 ]; do sleep 60 & i=$((i+1)); echo $i; done"
with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
    confinement.run(["/bin/sh", "-c", bomb], scratch, out, err)
    out.seek(0), err.seek(0)
    print(len(out.read().split()), err.read().decode())
"""


@pytest.mark.parametrize("way", [BEST, LIMITS], ids=["user", "limits"])
def test_a_fork_bomb_meets_the_limit_of_processes(way: Way) -> None:
    # For root the kernel knows no such limit, so the worker of this test is somebody else.
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    if not works((*drop, *way)) or not works((*drop, sys.executable, "-c", "import reviews.engines", "--")):
        pytest.skip("this system does not allow it")
    script = AS_NOBODY.format(root=str(ROOT), way=way)
    done = subprocess.run([*drop, sys.executable, "-c", script], capture_output=True, text=True, check=True)
    started, _, complaint = done.stdout.partition(" ")
    assert 1 <= int(started) < 20
    assert "fork" in complaint


@pytest.mark.parametrize("way", [BEST, LIMITS], ids=["user", "limits"])
def test_an_analyzer_ends_with_its_worker_however_that_ends(way: Way, tmp_path: Path) -> None:
    if not works(way):
        pytest.skip("this system does not allow it")
    lock = tmp_path / "held-while-the-analyzer-lives"
    analyzer = (
        f"import fcntl, time; f = open({str(lock)!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
        f"open({str(tmp_path / 'ready')!r}, 'w').close(); time.sleep(3600)"
    )
    script = f"""
import sys, tempfile
sys.path.insert(0, {str(ROOT)!r})
from reviews.engines import confinement
confinement.confinement = lambda: {way!r}
with tempfile.TemporaryFile() as out:
    confinement.run([sys.executable, "-I", "-S", "-c", {analyzer!r}], {str(tmp_path)!r}, out, out)
"""
    with subprocess.Popen([sys.executable, "-c", script]) as worker:
        while not (tmp_path / "ready").exists():
            assert worker.poll() is None
        worker.kill()
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # waits for as long as the analyzer lives


def test_one_that_is_not_installed_or_prints_nonsense_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Analyzer("absent", ("*.py",), ("/nonexistent/analyzer",), ruff.read)
    nonsense = Analyzer("nonsense", ("*.py",), ("/bin/echo", "nonsense"), ruff.read)
    monkeypatch.setattr(engines, "ANALYZERS", (absent, nonsense, ruff.ANALYZER))
    found, ran, failures = engines.run_analyzers({"a.py": "import os\n"})
    assert [finding.rule for finding in found] == ["F401"]
    assert ran == ["ruff"]
    assert failures == [("absent", "it is not installed"), ("nonsense", "its output is invalid: ValidationError")]


MEETS = """
open({here!r}, "w").close()
while not os.path.exists({there!r}): time.sleep(0.01)
print("[]")
"""


def test_analyzers_run_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them ends only when the other has started too."""
    here, there = str(tmp_path / "here"), str(tmp_path / "there")

    def meeting(name: str, **places: str) -> Analyzer:
        script = tmp_path / f"{name}.py"
        script.write_text("import os, time\n" + MEETS.format(**places))
        return Analyzer(name, ("*.py",), (sys.executable, "-I", "-S", str(script)), ruff.read)

    both = meeting("one", here=here, there=there), meeting("other", here=there, there=here)
    monkeypatch.setattr(engines, "ANALYZERS", (*both, ruff.ANALYZER))
    found, ran, failures = engines.run_analyzers({"a.py": "import os\n"})
    assert [finding.rule for finding in found] == ["F401"]
    assert (ran, failures) == (["one", "other", "ruff"], [])


def test_the_time_of_a_run_is_one_for_all_analyzers(monkeypatch: pytest.MonkeyPatch) -> None:
    # With a budget each, one after another, they would outlast the alarm of these tests.
    monkeypatch.setattr(confinement, "TIME_LIMIT", 4)
    waits = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(3600)")
    waiting = [Analyzer(f"waits-{number}", ("*.py",), waits, ruff.read) for number in range(20)]
    monkeypatch.setattr(engines, "ANALYZERS", (*waiting, ruff.ANALYZER))
    found, ran, failures = engines.run_analyzers({"a.py": "import os\n"})
    assert [finding.rule for finding in found] == ["F401"]
    assert ran == ["ruff"]
    assert failures == [(analyzer.name, "it took longer than 4 seconds") for analyzer in waiting]


@pytest.mark.django_db
def test_the_review_names_the_analyzer_that_failed(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "print('@everyone fixes #1 <img src=x>', file=sys.stderr); sys.exit(3)"
    broken = Analyzer("broken", ("*.py",), (sys.executable, "-c", f"import sys; {words}", "-"), ruff.read)
    monkeypatch.setattr(engines, "ANALYZERS", (broken, ruff.ANALYZER))

    review = run(admit(pull))

    assert (review.conclusion, review.conclusion_reason) == ("partial", "engines failed: broken")
    (published,) = pull.reviews
    assert len(published["comments"]) > 0
    assert "broken failed: it exited with status 3: @\u200beveryone fixes #\u200b1" in published["body"]
    assert "<img" not in published["body"]


SILENCE = "extend-exclude = ['*.py']\nlint.per-file-ignores = {'*' = ['ALL']}\n"


@pytest.mark.django_db
def test_no_configuration_of_the_pull_request_is_used(pull: PullRequest) -> None:
    repo = pull.repository
    repo.commit({".kodiai.yml": "paths: {generated: true}\n"})
    silent = repo.open_pull_request(
        changes={
            "a.py": "import os\n",
            "ruff.toml": SILENCE,
            ".ruff.toml": SILENCE,
            "pyproject.toml": "[tool.ruff]\n" + SILENCE,
            ".gitignore": "*\n",
            ".ignore": "*\n",
            "node_modules/b.py": "import os\n",
            ".venv/c.py": "import os\n",
            "ruff.toml.py/d.py": "import os\n",
            "sub/pyproject.toml.py": "import os\n",
        }
    )
    run(admit(silent))
    assert {comment["path"] for comment in silent.reviews[0]["comments"]} == {
        "a.py",
        "node_modules/b.py",
        ".venv/c.py",
        "ruff.toml.py/d.py",
        "sub/pyproject.toml.py",
    }


def test_configuration_above_the_scratch_directory_is_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Anybody may write to /tmp.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("ruff.toml", ".ruff.toml"):
        (tmp_path / name).write_text(SILENCE)
    (tmp_path / ".ignore").write_text("*\n")
    assert [finding.rule for finding in engines.run_analyzers({"a.py": "import os\n"})[0]] == ["F401"]
