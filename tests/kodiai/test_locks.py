"""Installed packages are the locked ones, by hash."""

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
LOCKS = sorted(str(lock.relative_to(ROOT)) for lock in ROOT.glob("requirements/*.txt"))
UV = Path(sys.executable).with_name("uv")


def wheel(folder: Path) -> Path:
    """A package of one line, made on the spot: nothing is downloaded."""
    path = folder / "kodiai_probe-1.0-py3-none-any.whl"
    files = {
        "kodiai_probe.py": "x = 1\n",
        "kodiai_probe-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: kodiai-probe\nVersion: 1.0\n",
        "kodiai_probe-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(text)}\n"
        archive.writestr("kodiai_probe-1.0.dist-info/RECORD", record + "kodiai_probe-1.0.dist-info/RECORD,,\n")
    return path


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


@pytest.mark.parametrize("changed", [False, True])
def test_a_package_whose_hash_is_not_the_locked_one_is_refused(tmp_path: Path, changed: bool) -> None:
    digest = hashlib.sha256(wheel(tmp_path).read_bytes()).hexdigest()
    if changed:
        digest = ("0" if digest[0] != "0" else "1") + digest[1:]
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"kodiai-probe==1.0 --hash=sha256:{digest}\n")

    done = subprocess.run(
        [UV, "pip", "sync", "--offline", "--no-index", "--find-links", tmp_path, "--no-cache", "--require-hashes",
         "--target", tmp_path / "target", "--python", sys.executable, lock],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode != 0) is changed, done.stderr
    assert ("Hash mismatch" in done.stderr) is changed
    assert (tmp_path / "target" / "kodiai_probe.py").exists() is not changed


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["requirements/base.txt", "requirements/llm.txt"])
@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_36", "aarch64-manylinux_2_36"])
def test_the_image_needs_no_compiler(tmp_path: Path, platform: str, lock: str) -> None:
    """Whether each package has a wheel for the image's Python is written in the lock only indirectly: uv is asked."""
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
