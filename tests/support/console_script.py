"""The console script `kodiai`, run in this process on a repository of the test's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kodiai.__main__ import main
from tests.support.git import ENVIRONMENT, Git

CLEAN = "def f(a):\n    return a\n"
UNUSED = "import os\n"


class Kodiai:
    """The console script, run in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, at: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        with self._monkeypatch.context() as patched:
            patched.chdir(at)
            patched.setattr(sys, "argv", ["kodiai", *arguments])
            for name in [name for name in os.environ if name.startswith("GITHUB_")]:
                patched.delenv(name)
            for name, value in {**ENVIRONMENT, **environment}.items():
                patched.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        said = self._capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), said.out, said.err)

    def reviewed(self, git: Git, *arguments: str, **environment: str) -> list[tuple[str, int, str]]:
        """Review at a repository and return path, line and rule of the findings."""
        done = self("review", "--format", "json", *arguments, at=git.directory, **environment)
        assert done.returncode == 0, done.stderr
        return [(found["path"], found["start_line"], found["rule"]) for found in json.loads(done.stdout)["findings"]]

    def refused(self, *arguments: str, at: Path, **environment: str) -> str:
        """Return the sentence that says why there is no review."""
        done = self("review", *arguments, at=at, **environment)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.startswith("kodiai: ")
        assert done.stderr.count("\n") == 1, "one sentence, in one line"
        return done.stderr
