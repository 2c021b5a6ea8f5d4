"""Installed packages are the locked ones, by hash."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
LOCKS = sorted(str(lock.relative_to(ROOT)) for lock in ROOT.glob("requirements/*.txt"))
UV = Path(sys.executable).with_name("uv")


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_its_hashes(name: str) -> None:
    lines = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    packages = [line for line in lines if line[:1].isalnum()]

    assert packages
    assert not [package.split()[0] for package in packages if "--hash=sha256:" not in package]
    assert not [package.split()[0] for package in packages if "==" not in package.split()[0]]


def test_every_installation_asks_for_the_hashes() -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"(?:uv pip sync|pip install)[^\n]*", makefile)

    assert len(commands) >= 2
    assert all("--require-hashes" in command for command in commands)


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_36", "aarch64-manylinux_2_36"])
def test_the_image_needs_no_compiler(tmp_path: Path, platform: str) -> None:
    """Whether each package has a wheel for the image's Python is written in the lock only indirectly: uv is asked."""
    lock = "requirements/llm.txt"  # All of base.txt, and more.
    text = (ROOT / "Dockerfile").read_text()
    python = re.search(r"^ARG PYTHON=\S*python:(\d+\.\d+)\.", text, re.MULTILINE)
    options = re.search(r"--only-binary :all: --no-binary (\w+) --build-constraints requirements/build.txt", text)
    assert python
    assert options
    assert options[0] in (ROOT / "Makefile").read_text()
    done = subprocess.run(
        [UV, "pip", "install", "--dry-run", "--require-hashes", "--only-binary", ":all:", "--no-binary", options[1],
         "--python-version", python[1], "--python-platform", platform, "--target", tmp_path,
         "-r", lock],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    if "error sending request" in done.stderr or "Failed to fetch" in done.stderr:
        pytest.skip("the index cannot be reached")
    assert done.returncode == 0, done.stderr


def test_the_audit_is_strict_and_not_part_of_the_checks() -> None:
    assert "make audit" not in (ROOT / ".ci" / "run").read_text()
    assert "--strict" in (ROOT / "Makefile").read_text(), "what could not be looked up is no pass"
