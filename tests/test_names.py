"""Names are the field's words: the private vocabulary of earlier versions does not come back."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

PACKAGES = ("kodiai", "reviews", "sandbox", "telemetry")
RETIRED = set(
    re.findall(
        r"\w+",
        """
choice choose conversation said compared audience told worth_saying folding folded beyond purse own_purse patience
between_steps says_nobody_wrote written_by_nobody asking incoming obey obeyed obeyed_at tell tell_owed record_owed
owed owing heed met json_of place gist settled put_back hand_back use_attempt not_settled run_ended settled_after
half_read unfit unsent kept_back ask_again tidy story stage screen
""",
    )
)
"""Names that were replaced, in lower case with underscores."""
RETIRED_PREFIXES = ("most_", "largest_", "fewest_", "shortest_", "owing_", "told_", "owed_")


def names_in(path: Path) -> Iterator[str]:
    """Yield what a module defines, imports, assigns and takes as parameters."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def as_words(name: str) -> str:
    """Write a name in lower case with underscores, without those around it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().strip("_")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_of_the_private_vocabulary(package: str) -> None:
    found = {
        f"{path.relative_to(settings.BASE_DIR)}: {name}"
        for path in (settings.BASE_DIR / package).rglob("*.py")
        for name in names_in(path)
        if as_words(name) in RETIRED or as_words(name).startswith(RETIRED_PREFIXES)
    }

    assert sorted(found) == []


def test_tests_say_reported_deferred_and_pending() -> None:
    folder = settings.BASE_DIR / "tests"
    found = {
        f"{path.relative_to(folder)}: {name}"
        for path in folder.rglob("*.py")
        if "corpus" not in path.parts
        for name in names_in(path)
        if re.search(r"(?:^|_)(?:told|tell|tells|owed|owing|put_off)(?:$|_)", as_words(name))
    }

    assert sorted(found - {"e2e/test_deployments.py: told"}) == []


def test_a_retired_name_is_found_however_it_is_written(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("class OwnPurse:\n    def _tell_owed(self, gist): ...\n\nMOST_LINES = 1\n")

    assert {"own_purse", "tell_owed", "gist"} <= {as_words(name) for name in names_in(module)} & RETIRED
    assert "most_lines" in {as_words(name) for name in names_in(module)}
