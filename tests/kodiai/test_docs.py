"""What the documentation names is there."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PAGES = ("docs/security.md", "docs/architecture.md")


def known_names() -> set[str]:
    """The names of all test functions."""
    return {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    names = set(re.findall(r"\btest_\w+\b(?!\.py)", text))
    files = set(re.findall(r"\btests/[\w/]+(?:\.py|/)", text))

    assert names | files
    assert sorted(names - known_names()) == []
    assert [file for file in sorted(files) if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))])
def test_every_file_that_a_page_links_to_exists(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())

    assert [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_secrets_that_the_container_page_makes_are_those_that_compose_wants(tmp_path: Path) -> None:
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
