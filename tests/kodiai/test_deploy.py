"""The files of `deploy/`: systemd accepts the unit, and README names what is there. Proxies: tests/e2e."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

UNIT = (ROOT / "deploy" / "kodiai.service").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "kodiai.service"
    # The user does not exist here, and its absence would be all that is said.
    unit.write_text(UNIT.replace("/opt/kodiai/.venv", os.path.abspath(ROOT / ".venv")).replace("=kodiai\n", "=root\n"))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_the_readmes_way_names_files_that_are_there() -> None:
    steps = (ROOT / "README.md").read_text().partition("## Run it in production")[2].partition("```sh")[2]
    named = [word for word in steps.partition("```")[0].split() if word.startswith("/opt/kodiai/deploy/")]

    assert named == ["/opt/kodiai/deploy/kodiai.service", "/opt/kodiai/deploy/Caddyfile"]
    assert all((ROOT / word.removeprefix("/opt/kodiai/")).is_file() for word in named)
    assert "ExecStart=/opt/kodiai/.venv/bin/python manage.py run\n" in UNIT
    assert "ReadWritePaths=/opt/kodiai/var\n" in UNIT
