"""What the documentation and the files beside the code name exists, and locks hold."""

import ast
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

import pytest
import yaml
from django.conf import settings

from tests.support.waiting import PATIENCE

ROOT = Path(settings.BASE_DIR)
PAGES = ["README.md", "CHANGELOG.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md"))]
OWN = "kodiai|reviews|telemetry|sandbox|tests|tools|docs|requirements"
ATTRIBUTES = "delivery_id|event_type|repository|conclusion|review_id|outcome|reason|worker|github.resource"
NO_MODULE = re.compile(rf"kodiai\.(schema\.json|example\.org|({ATTRIBUTES})$)|telemetry\.(db|enabled)|.*\.[EW]\d{{3}}")
"""What looks like a module and is none: files, attributes of spans, keys of `.kodiai.yml`, ids of system checks."""


@cache
def known_files() -> frozenset[PurePosixPath]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return frozenset(PurePosixPath(name) for name in names if (ROOT / name).exists())


@cache
def known_tests() -> frozenset[str]:
    """The names of all test functions."""
    return frozenset(
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def is_file(name: str) -> bool:
    """Return whether a file or folder has this path, or a file this name. Capitals and `…` stand for anything."""
    pattern = re.sub(r"[A-Z]{3,}|…", "*", name)
    if "/" not in pattern:
        return any(file.match(pattern) for file in known_files())
    return any(ROOT.glob(pattern.rstrip("/")))


def is_importable(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    tests = re.findall(r"\btest_[\w…]+(?!\.py|[\w…])", text)
    quoted = re.findall(r"`([^`\s]+)`", text)
    paths = [name for name in quoted if re.match(rf"({OWN})/|\.ci/", name) or re.fullmatch(r"[a-z]\w+\.py", name)]
    dotted = re.findall(r"(?<![\w./-])(?:kodiai|reviews|telemetry|tools)(?:\.[a-zA-Z]\w*)+", text)
    links = re.findall(r"\]\(([^)#]+)\)", text)

    assert [name for name in tests if not any(fnmatch(test, name.replace("…", "*")) for test in known_tests())] == []
    assert [name for name in paths if not is_file(name)] == []
    assert [name for name in dotted if not NO_MODULE.match(name) and not is_importable(name)] == []
    assert [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()] == []


def test_what_does_not_exist_is_noticed() -> None:
    assert not is_importable("reviews.webhooks")
    assert not is_importable("reviews.service.no_such_step")
    assert is_importable("reviews.service.run_review")
    assert not is_file("reviews/webhooks.py")
    assert not is_file("no_such_module.py")
    assert is_file("tests/corpus/analyzers/NAME/files")


def test_decisions_are_numbered_without_holes() -> None:
    numbers = sorted(page.name[:4] for page in ROOT.glob("docs/decisions/*.md"))

    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_the_index_of_docs_links_to_every_page() -> None:
    folder = ROOT / "docs"
    links = set(re.findall(r"\]\(([^)#]+)\)", (folder / "README.md").read_text()))
    pages = {str(page.relative_to(folder)) for page in folder.rglob("*") if page.is_file()} - {"README.md", "conf.py"}

    assert pages - links == set()


def test_the_container_page_makes_the_secrets_of_compose(tmp_path: Path) -> None:
    commands = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "container.md").read_text(), re.DOTALL)
    assert commands
    done = subprocess.run(["sh", "-ec", commands[1]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    made = {file.name for file in (tmp_path / "secrets").iterdir()}
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    wanted = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    assert made | {"kodiai_private_key.pem"} == wanted
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    password = (tmp_path / "secrets" / "postgres_password").read_text().strip()
    assert f":{password}@postgres" in (tmp_path / "secrets" / "kodiai_database_url").read_text()


# The files of deploy/


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


# Installed packages are the locked ones, by hash


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
