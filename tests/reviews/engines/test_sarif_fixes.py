"""Fixes in SARIF: which become a suggestion, and which are not offered."""

from typing import Any

import pytest

from reviews.findings import Suggestion
from tests.support.sarif import Json, document, fix, one, result, span


def suggested(
    *replacements: tuple[Json, str], columns: str | None = "utf16CodeUnits", **options: Any
) -> Suggestion | None:
    kind = {} if columns is None else {"columnKind": columns}
    return one(document(result("ä.md", 2, fixes=[fix(*replacements)]), **kind), **options).suggestion


def test_columns_are_counted_as_the_document_says() -> None:
    # "😀 teh é teh": the face is one character and two units.
    assert suggested((span(4, 7), "the")) == Suggestion(2, 2, "😀 the é teh")
    assert suggested((span(3, 6), "the"), columns="unicodeCodePoints") == Suggestion(2, 2, "😀 the é teh")
    assert suggested((span(3, 6), "the"), columns=None) is None
    assert suggested((span(1, 4, line=1), "One"), columns=None) == Suggestion(1, 1, "One")


def test_several_edits_are_one_suggestion() -> None:
    assert suggested((span(10, None), "the"), (span(4, 7), "the")) == Suggestion(2, 2, "😀 the é the")
    rows = {"startLine": 1, "startColumn": 1, "endLine": 3, "endColumn": 1}
    assert suggested((rows, "")) == Suggestion(1, 2, None)


@pytest.mark.parametrize(
    "replacements",
    [
        [(span(4, 7), "the"), (span(4, 7), "tea")],
        [(span(4, 7), "the"), (span(5, 6), "a")],
        [(span(4, 99), "the")],
        [(span(1, 2, line=99), "the")],
        [({"charOffset": 4, "charLength": 3}, "the")],
        [],
        [(span(1, 1), "x" * 5000)],
        [(span(1, 1), "x")] * 101,
    ],
    ids=["alternatives", "overlap", "beyond the line", "beyond the file", "characters", "none", "long", "many"],
)
def test_a_fix_that_cannot_be_placed_is_not_offered(replacements: list[tuple[Json, str]]) -> None:
    assert suggested(*replacements) is None


def test_a_fix_of_another_file_or_one_of_several_is_not_offered() -> None:
    good = fix((span(4, 7), "the"))
    elsewhere = fix((span(1, 2, line=1), "x"), uri="src/app.py")
    both = {"artifactChanges": good["artifactChanges"] + elsewhere["artifactChanges"]}
    for fixes in ([elsewhere], [both], [good, fix((span(4, 7), "tea"))]):
        assert one(document(result("ä.md", 2, fixes=fixes), columnKind="utf16CodeUnits")).suggestion is None
    assert suggested((span(4, 7), "the"), fixes=False) is None
    assert suggested((span(4, 7), "the")) is not None
