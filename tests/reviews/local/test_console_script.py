"""What `kodiai` prints, and the status with which it exits."""

import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.conf import settings

from sandbox.llm import ModelServer, Reply
from tests.support.console_script import UNUSED, Kodiai
from tests.support.git import ENVIRONMENT, Git
from tests.support.installed_package import install

# L4: what is no review


def test_each_place_without_a_review_says_what_it_is(kodiai: Kodiai, git: Git, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "plain").mkdir()
    empty = Git(tmp_path / "empty")
    git("clone", "--quiet", "--bare", str(git.directory), str(tmp_path / "bare.git"))
    git("checkout", "--quiet", "--orphan", "unborn")
    broken = Git(tmp_path / "broken")
    broken.file(".git/config", "[")
    said = {
        "broken": "bad config line",
        "missing": "missing does not exist",
        "file": "file is a file; name the folder",
        "plain": "plain is not inside a git repository",
        "bare.git": "bare.git is a bare repository, without files; review a clone of it",
        "repository/.git": "is inside the .git folder of a repository",
        "empty": "the repository has no commits yet",
        "repository": "this branch has no commits yet",
    }
    for place, sentence in said.items():
        assert sentence in kodiai.refused("-C", place, at=tmp_path), place
    assert "HEAD has no commits yet" in kodiai.refused("HEAD", at=empty.directory)
    assert "git is not installed" in kodiai.refused("-C", "repository", at=tmp_path, PATH=str(tmp_path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the range is empty; name one"),
        ("nowhere...HEAD", "unknown revision nowhere"),
        ("main:a.py", "unknown revision main:a.py"),
        ("^main", "not a valid revision: ^main"),
        ("--outputs=x", "unrecognized arguments"),
        ("--", None),
    ],
)
def test_each_range_that_is_none_says_so(kodiai: Kodiai, git: Git, text: str, sentence: str | None) -> None:
    if sentence is None:
        assert kodiai.reviewed(git, text) == []
    else:
        done = kodiai("review", text, at=git.directory)
        assert (done.returncode, done.stdout) == (2, "")
        assert sentence in done.stderr


@pytest.mark.parametrize("text", ["main..main", "main...feature", "HEAD", None])
def test_a_range_without_changes_is_said_to_have_none(kodiai: Kodiai, git: Git, text: str | None) -> None:
    done = kodiai("review", "--fail-on", "info", *([text] if text else []), at=git.directory)
    assert (done.returncode, done.stdout) == (0, "No changes to review.\n")
    if text and "..." in text:
        assert done.stderr.startswith("main...feature (feature is part of main): 0 changed files")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["foo"], 2, "there is no command 'foo'; to review changes: kodiai review"),
        (["-C", "."], 2, "there is no command '-C'"),
        ([], 2, "usage: kodiai review"),
        (["--version"], 0, "kodiai 0."),
        (["review", "--help"], 0, "exit status:"),
        (["review", "--fail-on", "high"], 2, "kodiai review: argument --fail-on: invalid choice: 'high'"),
    ],
)
def test_the_console_script_says_what_it_has(
    kodiai: Kodiai, tmp_path: Path, arguments: list[str], status: int, said: str
) -> None:
    done = kodiai(*arguments, at=tmp_path)
    assert done.returncode == status
    assert said in (done.stderr if status else done.stdout)


# L5: configuration


@pytest.mark.parametrize(
    ("base", "head", "said"),
    [
        ("severities: {lowest: minor}\n", "x: [", "As changed here: `.kodiai.yml` is not valid YAML"),
        ("x: [", None, "At the base: `.kodiai.yml` is not valid YAML (line 1); the defaults were used."),
        ("x: [", "limits: {files: 5}\n", "At the base: `.kodiai.yml` is not valid YAML (line 1)"),
    ],
)
def test_a_broken_configuration_is_named_with_its_side(
    kodiai: Kodiai, git: Git, base: str, head: str | None, said: str
) -> None:
    git("checkout", "--quiet", "main")
    git.file(".kodiai.yml", base)
    git.commit()
    git("checkout", "--quiet", "-B", "feature")
    git.write(b__py="x = 1\n")
    if head:
        git.file(".kodiai.yml", head)
    done = kodiai("review", at=git.directory)
    assert said in done.stderr
    assert ("At the base" in done.stderr) == said.startswith("At the base")
    assert "defaults were used" not in done.stdout


def test_a_configuration_that_is_no_text_is_named(kodiai: Kodiai, git: Git) -> None:
    git("checkout", "--quiet", "main")
    (git.directory / ".kodiai.yml").write_bytes(b"\xff\xfe")
    git.commit()
    git.write(b__py="x = 1\n")
    done = kodiai("review", "HEAD", at=git.directory)
    assert "At the base: `.kodiai.yml` could not be read; the defaults were used." in done.stderr


# L7, L8 and what else a shell expects


def test_nothing_is_wrapped_where_nobody_looks(kodiai: Kodiai, git: Git) -> None:
    name = f"{'long_name_' * 20}.py"
    git.file(name, "import os\nx = " + " + ".join(f"undefined_{number}" for number in range(3)) + "\n")
    git("checkout", "--quiet", "-b", "b" * 150)
    done = kodiai("review", f"{'b' * 150}..", at=git.directory, COLUMNS="40")
    assert done.stderr.startswith(f"{'b' * 150}..: 0 changed files\n")
    done = kodiai("review", at=git.directory, COLUMNS="40")
    assert sum(line.startswith(name) for line in done.stdout.splitlines()) == 4
    assert len(done.stdout.splitlines()) == 6, "each finding, the fix, the summary"


@pytest.mark.parametrize("width", ["0", "\N{SUPERSCRIPT TWO}"])
def test_a_terminal_without_a_width_gets_the_report(kodiai: Kodiai, git: Git, width: str) -> None:
    git.write(b__py=UNUSED)
    done = kodiai("review", at=git.directory, COLUMNS=width, LINES=width)
    assert "b.py:1: minor F401" in done.stdout
    assert "1 changed file" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("format", ["text", "json"])
def test_a_reader_that_leaves_changes_no_exit_status(git: Git, format: str) -> None:
    git.write(b__py=UNUSED * 2000)
    script = f'"{sys.executable}" -m kodiai review --format {format} --fail-on minor | true; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=git.directory,
        env={**ENVIRONMENT, "PYTHONPATH": str(settings.BASE_DIR)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_an_engine_that_fails_keeps_the_gate_shut(kodiai: Kodiai, git: Git) -> None:
    git.file("zz.js", "[" * 1500)
    passed = kodiai("review", at=git.directory)
    gated = kodiai("review", "--fail-on", "critical", at=git.directory)
    if "oxlint failed" in passed.stdout:
        assert (passed.returncode, gated.returncode) == (0, 2)
        assert "not everything could be read (see above), so --fail-on cannot pass" in gated.stderr
    else:
        assert gated.returncode in (1, 2)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "files",
    [
        {"a.js": "// @generated\nfunction f() { debugger; }\nmodule.exports = { f };\n"},
        {"a.js": "/* eslint-disable */\nfunction f() { debugger; }\nmodule.exports = { f };\n"},
        {"vendor/a.py": "print(undefined_name)\n"},
        {"a_pb2.py": "print(undefined_name)\n"},
    ],
    ids=["generated", "disabled", "vendored", "named as generated"],
)
def test_the_option_is_a_gate_as_the_check_is(kodiai: Kodiai, git: Git, files: dict[str, str]) -> None:
    for path, text in files.items():
        git.file(path, text)
    assert kodiai("review", at=git.directory).returncode == 0
    assert kodiai("review", "--fail-on", "minor", at=git.directory).returncode == 1


@pytest.mark.parametrize("format", ["text", "github", "sarif"])
def test_a_file_that_was_not_read_is_named(kodiai: Kodiai, git: Git, format: str) -> None:
    git.file("magic.py", "%matplotlib inline\nx = 1\n")
    (git.directory / "latin.py").write_bytes(b"x = 'caf\xe9'\n")
    done = kodiai("review", "--format", format, "--fail-on", "minor", at=git.directory)
    assert done.returncode == 2
    assert "magic.py" in done.stdout
    assert "latin.py" in done.stdout
    assert "Only partially analysed (ruff: " in done.stdout


def test_the_time_printed_is_that_since_the_start(kodiai: Kodiai, git: Git) -> None:
    """A process that was held before its first line of Python has waited all that time."""
    git.write(b__py="x = 1\n")
    script = "import time; time.monotonic = lambda: 0.0; import sys; from kodiai.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "review"],
        cwd=git.directory,
        env={**ENVIRONMENT, "PYTHONPATH": str(settings.BASE_DIR), "TERM": os.environ.get("TERM", "dumb")},
        capture_output=True,
        text=True,
        check=True,
    )
    *_, last = done.stderr.splitlines()
    assert float(last.removeprefix("(").removesuffix(" s)")) > 0, "not measured from the first import"


# From a shell


MANAGE = Path(settings.BASE_DIR) / "manage.py"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose branch brings one finding of minor severity, and text that a terminal would obey."""
    git = Git(tmp_path / "repository")
    git.commit()
    git.file("a\x1b[31m.py", "import os\n")
    git("add", ".")
    return git.directory


def call(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(MANAGE), "review", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "KODIAI_ENV_FILE": os.devnull, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_needs_no_settings_and_shows_what_was_found(repository: Path) -> None:
    done = call("--fail-on", "minor", cwd=repository)
    assert done.returncode == 1, done.stderr
    assert "a\N{REPLACEMENT CHARACTER}[31m.py:1: minor F401 `os` imported but unused" in done.stdout
    assert "1 finding (1 minor) in 1 of 1 changed file, by ruff" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.startswith("main...(working tree): 1 changed file\n")


@pytest.mark.slow
def test_on_a_terminal_it_is_coloured(repository: Path) -> None:
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, str(MANAGE), "review"],
        cwd=repository,
        env={"PATH": os.environ["PATH"], "KODIAI_ENV_FILE": os.devnull, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert b"\x1b[33mminor" in shown
    assert b"\x1b[31m.py" not in shown


@pytest.mark.slow
def test_the_language_model_is_asked_only_on_request(repository: Path) -> None:
    remark = {"path": "shop.py", "start_line": 1, "end_line": 1, "severity": "major", "message": "Nobody uses this."}
    (repository / "shop.py").write_text("prices = []\n")
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    with ModelServer() as model:
        model.always(Reply({"remarks": [remark]}, tokens=(2000, 400)))
        set_up = {"KODIAI_LLM_MODEL": "openai:gpt-5-mini", "KODIAI_LLM_BASE_URL": f"{model.url}/v1"}
        unasked = call(cwd=repository, **set_up)
        assert model.calls == []
        asked = call("--language-model", cwd=repository, **set_up)

    assert "language-model" not in unasked.stdout
    assert "shop.py:1: major language-model Nobody uses this." in asked.stdout
    assert "gpt-5-mini: 2000 tokens in, 400 out, $0.0013" in asked.stderr
    assert len(model.calls) == 1


@pytest.mark.slow
def test_an_installed_package_reviews_without_a_server(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The package is built and installed into an environment with its dependencies and nothing else."""
    environment, linked = install(tmp_path_factory.mktemp("wheel"))
    assert {"pydantic", "ruff", "rich"} <= linked
    assert linked.isdisjoint({"django", "redis", "granian", "githubkit", "psycopg", "httpx"})

    def kodiai(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(environment / "bin/kodiai"), *arguments]
        clean = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=repository, env=clean, capture_output=True, text=True, check=False)

    before = sorted(environment.rglob("*"))
    reviewed = kodiai("review", "--fail-on", "minor")
    assert (reviewed.returncode, "F401" in reviewed.stdout) == (1, True), reviewed.stderr
    assert sorted(environment.rglob("*")) == before, "nothing is written where it is installed"
    assert (
        kodiai("--version").stdout
        == f"kodiai {tomllib.loads((MANAGE.parent / 'pyproject.toml').read_text())['project']['version']}\n"
    )
    assert kodiai("serve").returncode == 2
    asked = kodiai("review", "--language-model")
    assert (asked.returncode, asked.stderr) == (
        2,
        "kodiai: the language model needs more packages: pip install 'kodiai[server,llm]'\n",
    )
