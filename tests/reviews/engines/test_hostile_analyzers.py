"""An analyzer that a hostile file has taken over loses its own findings, and reaches nothing else.

Each of them is a real process: a small script that does what an attacker would.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from reviews import engines
from reviews.analysis.moved_names import is_defined_elsewhere
from reviews.engines import confinement, dialects
from reviews.engines.analyzer import Analyzer, run_analyzer
from reviews.engines.analyzers import ANALYZERS, ruff
from reviews.engines.confinement import BUBBLEWRAP, LANDLOCK, LIMITS, NAMESPACES, NONE, Confinement, in_force
from reviews.findings import Finding, Severity
from sandbox import PullRequest
from tests.support.runs import ROOT, admit, run
from tests.support.takeover import processes_with
from tests.support.waiting import eventually


@pytest.fixture(
    params=[
        pytest.param(BUBBLEWRAP, marks=pytest.mark.slow),
        NAMESPACES,
        LANDLOCK,
        pytest.param(LIMITS, marks=pytest.mark.slow),
        pytest.param(NONE, marks=pytest.mark.slow),
    ],
    ids=lambda way: way.name,
)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Confinement:
    """Each way to confine an analyzer that this system has."""
    way: Confinement = request.param
    if not confinement.works(way):
        pytest.skip("this system does not allow it")
    monkeypatch.setattr(confinement, "in_force", lambda: way)
    return way


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

        analyzer = Analyzer("hostile", ("*.py",), (sys.executable, "-I", "-S", str(source)), read, (str(source),))
        monkeypatch.setattr(engines, "ANALYZERS", (analyzer, ruff.ANALYZER))
        found, ran, failures, _ = engines.run_analyzers({"a.py": "import os\n"})
        assert [finding.rule for finding in found] == ["F401"]
        assert "ruff" in ran
        return printed, failures

    return analyse


Hostile = Callable[..., tuple[bytes, list[tuple[str, str]]]]


def test_one_that_prints_without_end_is_stopped_while_it_prints(
    way: Confinement, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "OUTPUT_LIMIT", 100_000)
    printed, failures = hostile("while True: os.write(1, b'x' * 4096)")
    assert (printed, failures) == (b"", [("hostile", "its output exceeds 100000 bytes")])


def test_endless_stderr_is_stopped_and_shortened(
    way: Confinement, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "OUTPUT_LIMIT", 100_000)
    _, [(name, reason)] = hostile("while True: os.write(2, b'complaint ' * 400)")
    assert name == "hostile"
    assert "complaint" in reason
    assert len(reason) < 300


def test_endless_allocation_meets_the_memory_limit(
    way: Confinement, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "MEMORY_LIMIT", 512 * 1024 * 1024)
    # It stops by itself at twice the limit, so that a broken limit harms no machine.
    _, failures = hostile("kept = [bytearray(16 * 1024 * 1024) for _ in range(64)]")
    [(name, reason)] = failures
    # There may be no memory left to say why.
    assert (name, reason.partition(":")[0]) == ("hostile", "it exited with status 1")


@pytest.mark.slow
def test_a_busy_loop_ends_at_its_processor_time_limit(
    way: Confinement, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "MIN_CPU_LIMIT", 1)
    monkeypatch.setattr(confinement, "TIME_LIMIT", 30)
    _, [(name, reason)] = hostile("while True: pass")
    assert name == "hostile"
    # `unshare` does not hand on the signal.
    assert reason == ("it exited with status 1" if way is NAMESPACES else "it was killed by SIGKILL")


@pytest.mark.sampled(1)
def test_one_that_waits_is_ended_when_its_time_is_up(
    way: Confinement, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "TIME_LIMIT", 2)
    assert hostile("if os.getcwd().startswith('/'): time.sleep(3600)")[1][0] == ("hostile", "it took too long")


def test_one_that_fills_the_disk_meets_the_limit_of_a_file(
    way: Confinement, hostile: Hostile, monkeypatch: pytest.MonkeyPatch
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
    way: Confinement, hostile: Hostile, tmp_path: Path, leaves: str
) -> None:
    marker = f"daemon-of-{tmp_path}"
    script = """
        ready, tell = os.pipe()
        os.set_inheritable(tell, True)
        if os.fork() == 0:
            {leaves}
            if os.fork():
                os._exit(0)
            waits = 'import os, sys, time; os.write(int(sys.argv[2]), b"!"); time.sleep(600)'
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", waits, {marker!r}, str(tell)])
        os.read(ready, 1)
    """
    _, failures = hostile(script, leaves=leaves, marker=marker)
    assert failures == []
    eventually(lambda: not processes_with(marker), "it has ended")


def test_what_is_not_stopped_is_logged_once(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(confinement, "WAYS", (LIMITS,))
    in_force.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert [hostile("print('[]')")[1] for _ in range(2)] == [[], []]
    finally:
        in_force.cache_clear()
    [warning] = [record for record in caplog.records if record.name == "reviews.engines.confinement"]
    assert "install bubblewrap" in warning.message
    assert "the network" in vars(warning)["not_stopped"]


def test_an_analyzer_finds_no_secrets_and_no_open_files(
    way: Confinement, hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KODIAI_GITHUB_PRIVATE_KEY", "the-key")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy")
    secret = tmp_path / "secret"
    secret.write_text("the-key")
    script = """
        import json
        def is_open(fd):
            try: return bool(os.fstat(fd))
            except OSError: return False
        print(json.dumps([dict(os.environ), [fd for fd in range(256) if is_open(fd)]]))
    """
    with secret.open() as held:
        os.set_inheritable(held.fileno(), True)
        printed, failures = hostile(script)
    assert failures == []
    environment, descriptors = json.loads(printed)
    # LC_CTYPE: Python's own doing at its start. PWD: the scratch directory, by bubblewrap and the shell.
    assert set(environment) - {"LC_CTYPE", "PWD"} == {"PATH", "HOME", "LANG", "RAYON_NUM_THREADS"}
    assert descriptors == [0, 1, 2]
    assert "the-key" not in printed.decode()


AS_NOBODY = """
import sys, tempfile
sys.path.insert(0, {root!r})
from reviews.engines import confinement, scratch
way = next(way for way in confinement.WAYS if way.name == {way!r})
confinement.in_force = lambda: way
confinement.PROCESSES_LIMIT = confinement.USER_PROCESSES_LIMIT = 20
bomb = "i=0; while [ $i -lt 300 ]; do sleep 60 & i=$((i+1)); echo $i; done"
with scratch.directory() as directory, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
    confinement.run(["/bin/sh", "-c", bomb], directory, out, err, reads=["/usr/bin/sleep"])
    out.seek(0), err.seek(0)
    print(len(out.read().split()), err.read().decode())
"""


@pytest.mark.slow
def test_a_fork_bomb_meets_the_limit_of_processes(way: Confinement) -> None:
    if way is NONE:
        pytest.skip("its limits come after the start")
    # For root the kernel knows no such limit, so the worker of this test is somebody else: a user without a name, and
    # another one for each case and process of tests, because the limit counts a user's dying processes too.
    user = 60000 - os.getpid() % 1000 * 8 - confinement.WAYS.index(way)
    drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []
    works = subprocess.run([*drop, sys.executable, "-c", "import reviews.engines"], cwd=ROOT, check=False)
    if works.returncode != 0:
        pytest.skip("another user cannot read this installation")
    script = AS_NOBODY.format(root=str(ROOT), way=way.name)
    done = subprocess.run([*drop, sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    started, _, complaint = done.stdout.partition(" ")
    assert 1 <= int(started) < 20
    assert "fork" in complaint


@pytest.mark.slow
def test_an_analyzer_ends_with_its_worker_however_that_ends(way: Confinement, tmp_path: Path) -> None:
    if way is NONE:
        pytest.skip("only the kernel ends it")
    marker = f"analyzer-of-{tmp_path}"
    analyzer = f"open({str(tmp_path / 'ready')!r}, 'w').close(); import time; time.sleep(3600)"
    script = f"""
import sys, tempfile
sys.path.insert(0, {str(ROOT)!r})
from reviews.engines import confinement
way = next(way for way in confinement.WAYS if way.name == {way.name!r})
confinement.in_force = lambda: way
with tempfile.TemporaryFile() as out:
    confinement.run([sys.executable, "-I", "-S", "-c", {analyzer!r}, {marker!r}], {str(tmp_path)!r}, out, out)
"""
    with subprocess.Popen([sys.executable, "-c", script]) as worker:
        while not (tmp_path / "ready").exists():
            assert worker.poll() is None
        assert processes_with(marker)
        worker.kill()
    eventually(lambda: not processes_with(marker), "the analyzer has ended")


def test_one_that_is_not_installed_or_prints_nonsense_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Analyzer("absent", ("*.py",), ("/nonexistent/analyzer",), ruff.read)
    nonsense = Analyzer("nonsense", ("*.py",), ("/bin/echo", "nonsense"), ruff.read)
    monkeypatch.setattr(engines, "ANALYZERS", (absent, nonsense, ruff.ANALYZER))
    found, ran, failures, _ = engines.run_analyzers({"a.py": "import os\n"})
    assert [finding.rule for finding in found] == ["F401"]
    assert ran == ["ruff"]
    assert failures == [("absent", "it is not installed"), ("nonsense", "its output is invalid: ValidationError")]


IMPORTS = "".join(f"import {{ b{number} }} from 'c';\n" for number in range(3_000))


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        ("a.js", "\n" * 900_000 + "foo();\n", "eslint(no-undef)"),
        ("a.mjs", f"{IMPORTS}// {'@a{' * 250_000}\n", "eslint(no-unused-vars)"),
        ("a.mjs", IMPORTS + f"/* eslint {'Z' * 1990} */\n" * 400, "eslint(no-unused-vars)"),
        ("a.sh", "\n" * 100_000 + "echo $a $b $c $d\n", "SC2154"),
        ("a.sh", "#!/bin/sh\n" + 'rm $a\n: "$a"\n' * 300 + f"# {'a=$(' * 100_000}\n", "SC2086"),
        ("Dockerfile.common", "\n" * 900_000 + "FOO\n", "DL1000"),
        ("Dockerfile", f'FROM a\nRUN echo "{"<" * 800_000}\nFOO\n', "DL1000"),
        (".github/workflows/a.yml", "[" * 50_000 + "]" * 50_000, "zizmor/invalid-yaml"),
        ("a.md", "This is the recieve adress of teh car. " * 3_000, "typo"),
    ],
)
def test_a_hostile_text_is_searched_once(path: str, text: str, rule: str) -> None:
    """Each would take hours if a search were quadratic, or repeated for each finding."""
    analyzer = next(one for one in ANALYZERS if one.name != "secrets" and one.reads(path, text))
    assert rule in {finding.rule for finding in run_analyzer(analyzer, {path: text})}


@pytest.mark.parametrize(
    "is_dialect",
    [
        lambda: dialects.has_template_tag("{{ " + "a" * 1_000_000),
        lambda: dialects.is_python_dialect("a.py", "x = 1\n" + '"\\' * 500_000, "print 'a'"),
        lambda: dialects.is_zsh("\n" * 1_000_000),
    ],
    ids=["template", "python-2", "zsh"],
)
def test_a_hostile_text_is_no_dialect(is_dialect: Callable[[], bool]) -> None:
    assert not is_dialect()


@pytest.mark.parametrize(
    ("path", "rule", "text"),
    [("a.js", "eslint(no-undef)", "\n" * 1_000_000), ("a.sh", "SC2154", "read " * 200_000)],
)
def test_a_hostile_neighbour_is_searched_once(path: str, rule: str, text: str) -> None:
    undefined = Finding(path, 1, 1, Severity.MAJOR, rule, "'a' is not defined" if path == "a.js" else "a is referenced")
    assert not is_defined_elsewhere(undefined, {path: text, f"b/{path}": text})


MEETS = """
open({here!r}, "w").close()
while not os.path.exists({there!r}): time.sleep(0.01)
print("[]")
"""


def test_analyzers_run_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them ends only when the other has started too."""
    here, there = str(tmp_path / "here"), str(tmp_path / "there")
    monkeypatch.setattr(confinement, "in_force", lambda: LIMITS)  # elsewhere one cannot see the other

    def meeting(name: str, **places: str) -> Analyzer:
        script = tmp_path / f"{name}.py"
        script.write_text("import os, time\n" + MEETS.format(**places))
        return Analyzer(name, ("*.py",), (sys.executable, "-I", "-S", str(script)), ruff.read)

    both = meeting("one", here=here, there=there), meeting("other", here=there, there=here)
    monkeypatch.setattr(engines, "ANALYZERS", (*both, ruff.ANALYZER))
    found, ran, failures, _ = engines.run_analyzers({"a.py": "import os\n"})
    assert [finding.rule for finding in found] == ["F401"]
    assert (ran, failures) == (["one", "other", "ruff"], [])


@pytest.mark.slow
def test_the_time_of_a_run_is_one_for_all_analyzers(monkeypatch: pytest.MonkeyPatch) -> None:
    # With a budget each, one after another, they would outlast the alarm of these tests.
    monkeypatch.setattr(confinement, "TIME_LIMIT", 4)
    waits = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(3600)")
    waiting = [Analyzer(f"waits-{number}", ("*.py",), waits, ruff.read) for number in range(20)]
    monkeypatch.setattr(engines, "ANALYZERS", (*waiting, ruff.ANALYZER))
    found, ran, failures, _ = engines.run_analyzers({"a.py": "import os\n"})
    assert [finding.rule for finding in found] == ["F401"]
    assert ran == ["ruff"]
    assert failures == [(analyzer.name, "it took too long") for analyzer in waiting]


@pytest.mark.slow
def test_a_file_on_which_an_analyzer_waits_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """V7: although it is alone in the last run, time is left for those that still wait."""
    monkeypatch.setattr(confinement, "TIME_LIMIT", 16)
    script = "import os, time\nif os.path.exists('z.py'):\n    time.sleep(3600)\nprint('[]')"
    waits = Analyzer("waits", ("*.py",), (sys.executable, "-I", "-S", "-c", script), ruff.read)
    monkeypatch.setattr(engines, "ANALYZERS", (waits,))
    analyzed = engines.run_analyzers(dict.fromkeys(("a.py", "b.py", "z.py"), "x = 1\n"))
    assert analyzed.unread == {"z.py": {"waits": "it took too long"}}


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
