"""Seeded changes break what they say, change one thing, and offer nothing where a file has no place for them."""

import ast
from random import Random

import pytest
import yaml

from tests.corpus import seeding

PYTHON = """\
import json
import os


def total(prices, tax):
    # the sum of all
    return sum(
        prices,
    ) + tax


print(total([1], 2), json.dumps("one two three"), os.sep)
"""
SCRIPT = """\
import a from "a";
import b from "b";

export async function run(list) {
  let count = 0;
  for (const each of list) {
    await each(a, b);
    count = count + 1;
  }
  return count;
}
"""
SHELL = 'if [ -n "$1" ]; then\n  echo "one two three"\nfi\n\necho done\n'
DOCKERFILE = "FROM debian:12\n\nRUN apt-get update \\\n    && apt-get upgrade -y\n"
WORKFLOW = """\
name: Test
on: push

jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - name: "run all tests"
        shell: bash
        run: make test
"""

BROKEN = [
    (seeding.delete_closing_line, SCRIPT, None),
    (seeding.rename_definition, PYTHON, "def total_renamed(prices, tax):"),
    (seeding.remove_import, PYTHON, None),
    (seeding.rename_import, PYTHON, "as renamed_import"),
    (seeding.rename_parameter, PYTHON, "_renamed"),
    (seeding.make_constant, SCRIPT, "  const count = 0;"),
    (seeding.drop_async, SCRIPT, "export function run(list) {"),
    (seeding.delete_shell_end, SHELL, None),
    (seeding.delete_shell_quote, SHELL, ""),
    (seeding.drop_continuation, DOCKERFILE, "RUN apt-get update"),
    (seeding.remove_from, DOCKERFILE, None),
    (seeding.break_indentation, WORKFLOW, "         run: make test"),
    (seeding.tab_indentation, WORKFLOW, "\t"),
]
"""Change, file, and text of the changed line; None where the line is deleted."""


@pytest.mark.parametrize(("change", "text", "changed"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("seed", range(5))
def test_a_breaking_change_changes_one_line(change: seeding.Change, text: str, changed: str | None, seed: int) -> None:
    before = text.split("\n")
    after = change(before, Random(seed))
    assert after is not None
    if changed is None:
        assert len(after) == len(before) - 1
        assert any([*after[:at], line, *after[at:]] == before for at, line in enumerate(before))
    else:
        different = [new for old, new in zip(before, after, strict=True) if old != new]
        assert len(different) == 1
        assert changed in different[0]


@pytest.mark.parametrize("change", seeding.HARMLESS["python"], ids=lambda change: change.__name__)
@pytest.mark.parametrize("seed", range(5))
def test_a_harmless_change_leaves_the_program_alone(change: seeding.Change, seed: int) -> None:
    after = change(PYTHON.split("\n"), Random(seed))
    assert after is not None
    text = "\n".join(after)
    assert text != PYTHON
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert names == {node.id for node in ast.walk(ast.parse(PYTHON)) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("change", [seeding.break_indentation, seeding.tab_indentation])
def test_a_broken_indentation_is_no_yaml(change: seeding.Change) -> None:
    after = change(WORKFLOW.split("\n"), Random(1))
    assert after is not None
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load("\n".join(after))


def test_the_same_seed_makes_the_same_change() -> None:
    first, second = (seeding.rename_parameter(PYTHON.split("\n"), Random(7)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "change",
    sorted({*sum(seeding.BREAKING.values(), ()), *sum(seeding.HARMLESS.values(), ())}, key=lambda c: c.__name__),
)
def test_a_file_without_a_place_is_left_alone(change: seeding.Change) -> None:
    assert change(["x"], Random(1)) is None


def test_every_kind_has_both_sorts_of_changes() -> None:
    assert seeding.KINDS.keys() == seeding.BREAKING.keys() == seeding.HARMLESS.keys()
