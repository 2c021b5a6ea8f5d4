"""What the documentation names exists."""

import ast
import pkgutil
import re
import subprocess
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

import pytest
import yaml
from django.conf import settings

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
