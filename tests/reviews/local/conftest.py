from pathlib import Path

import pytest

from tests.support.console_script import CLEAN, Kodiai
from tests.support.git import Git


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """A repository with one commit on `main`, on the branch `feature`."""
    repository = Git(tmp_path / "repository")
    repository.commit(a__py=CLEAN, run__sh="#!/bin/sh\necho hello\n")
    repository("checkout", "--quiet", "-b", "feature")
    return repository


@pytest.fixture
def kodiai(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kodiai:
    return Kodiai(monkeypatch, capsys)
