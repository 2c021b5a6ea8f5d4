"""`manage.py review` from a shell: no settings, no database, with a terminal or without."""

import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.conf import settings

from sandbox.llm import ModelServer, Reply
from tests.support.git import Git
from tests.support.installed_package import install

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


def test_in_github_actions_it_annotates(repository: Path) -> None:
    done = call("main", "--fail-on", "major", cwd=repository, GITHUB_ACTIONS="true")
    assert done.returncode == 0, "what was found is not severe enough"
    assert done.stdout.startswith("::warning file=")


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
