"""Scratch directories: private, removed after use, swept after a death."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reviews.engines import scratch
from tests.support.runs import ROOT

USER = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from reviews.engines import scratch
with scratch.directory() as directory:
    open(directory + "/a.py", "w").close()
    print(directory, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@contextmanager
def in_use(folder: Path) -> Iterator[tuple[Path, "subprocess.Popen[str]"]]:
    """A scratch directory in use by another process."""
    with subprocess.Popen(
        [sys.executable, "-c", USER],
        env={"TMPDIR": str(folder)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield Path(process.stdout.readline().strip()), process
        process.kill()


def test_a_directory_is_private_and_removed_after_use(folder: Path) -> None:
    with scratch.directory() as directory:
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        closed = Path(directory, "closed")
        (closed / "within").mkdir(parents=True)
        closed.chmod(0)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_only_what_dead_processes_of_this_installation_left_goes(folder: Path) -> None:
    of_another_installation = folder / "kodiai-0123abcd-x"
    of_another_installation.mkdir()
    (folder / (scratch.PREFIX + "link")).symlink_to(of_another_installation)
    with in_use(folder) as (left, dead), in_use(folder) as (used, _), scratch.directory() as own:
        dead.kill()
        dead.wait()
        assert (left / "a.py").exists()

        assert scratch.sweep() == 1

        assert not left.exists()
        assert (used / "a.py").exists()
        assert Path(own).exists()
        assert of_another_installation.exists()
        assert scratch.sweep() == 0
