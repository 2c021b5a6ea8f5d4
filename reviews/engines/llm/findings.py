"""What a language model may answer, and which of it becomes findings: remarks on changed lines, and nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from reviews.engines.llm.prompt import Change
from reviews.engines.source import MAX_SUGGESTION_LINES
from reviews.findings import Finding, Severity, Suggestion, bounded
from reviews.github.patches import Hunk, has_added_lines, in_one_hunk
from reviews.redaction import redact, visible

NAME = "language-model"
"""The engine's name, and that of the one rule that its findings have."""
MAX_REMARKS = 30
"""Remarks of one answer that are looked at."""
MAX_REMARK = 30
"""Lines that one may be about."""


class NoAnswer(Exception):
    """There is no answer that can be used. The text says why, in Kodiai's words and never in the provider's.

    `again` says that the model did answer, and that asking once more may help.
    """

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class OverBudget(NoAnswer):
    """The model is not asked: it may cost more than a budget has left. The text says which."""


class Remark(BaseModel):
    """One defect in added lines."""

    path: str
    start_line: int
    end_line: int
    severity: Literal["critical", "major", "minor", "info"]
    message: str
    suggestion: str | None = None


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """One remark that is of no use costs itself, and not the others."""
    try:
        return handler(value)
    except ValidationError:
        return None


class Remarks(BaseModel):
    """What is wrong with the changes; an empty list if nothing is."""

    remarks: list[Annotated[Remark | None, WrapValidator(_or_none)]] = Field(description="The defects, if any.")


def findings_of(answer: Remarks, changes: Mapping[str, Change]) -> tuple[list[Finding], int]:
    """The remarks that are about changed lines, as findings; and how many are of no use."""
    fit = [finding for remark in answer.remarks[:MAX_REMARKS] if remark and (finding := _finding(remark, changes))]
    return fit, len(answer.remarks) - len(fit)


def drop_overlapping(findings: Iterable[Finding], said: Sequence[Finding]) -> list[Finding]:
    """Those findings that are on lines on which nothing is said yet: one remark for a line is enough."""
    kept: list[Finding] = []
    for finding in findings:
        if not any(_overlap(finding, other) for other in (*said, *kept)):
            kept.append(finding)
    return kept


def _overlap(one: Finding, other: Finding) -> bool:
    return one.path == other.path and one.start_line <= other.end_line and other.start_line <= one.end_line


def _finding(remark: Remark, changes: Mapping[str, Change]) -> Finding | None:
    change = changes.get(remark.path)
    message = redact(" ".join(remark.message.split()))
    start, end = remark.start_line, remark.end_line
    if (
        change is None
        or not message
        or not 1 <= start <= end < start + MAX_REMARK
        or not in_one_hunk(change.hunks, start, end)
        or not has_added_lines(change.hunks, start, end)
    ):
        return None
    lines = change.text.split("\n")
    return bounded(
        Finding(
            path=remark.path,
            start_line=start,
            end_line=end,
            severity=Severity(remark.severity),
            rule=NAME,
            message=message,
            suggestion=_suggestion(remark, change.hunks, lines),
            snippet=lines[start - 1] if start <= len(lines) else "",
        )
    )


def _suggestion(remark: Remark, hunks: Sequence[Hunk], lines: Sequence[str]) -> Suggestion | None:
    """The replacement as one that a person can judge; a suggestion is never changed, so else there is none."""
    text = remark.suggestion
    start, end = remark.start_line, remark.end_line
    if text is None or end > len(lines):
        return None
    text = text.removesuffix("\n")
    if (
        text == "\n".join(lines[start - 1 : end])
        or text.count("\n") >= MAX_SUGGESTION_LINES
        or redact(text) != text
        # What is not seen cannot be judged before the click that commits it.
        or any(visible(line.replace("\t", " ")) != line.replace("\t", " ") for line in text.split("\n"))
        # Only added lines are replaced.
        or not all(any(line in hunk.added for hunk in hunks) for line in range(start, end + 1))
    ):
        return None
    return Suggestion(start, end, text)


def standing(before: Iterable[Finding], changes: Mapping[str, Change]) -> list[Finding]:
    """What a language model said of an earlier commit and still stands: its line is there, added as before.

    It finds other things each time it is asked. Whoever reads a pull request is not to see remarks come and go.
    """
    kept = []
    for finding in before:
        change = changes.get(finding.path)
        if finding.rule != NAME or change is None or not finding.snippet.strip():
            continue
        lines = change.text.split("\n")
        places = [line for hunk in change.hunks for line in hunk.added if _is(lines, line, finding.snippet)]
        if places:
            line = min(places, key=lambda place: abs(place - finding.start_line))
            kept.append(replace(finding, start_line=line, end_line=line, suggestion=None))
    return kept


def _is(lines: Sequence[str], number: int, snippet: str) -> bool:
    """Tell whether a line is the one that a snippet was taken from, wherever it is now."""
    return 0 < number <= len(lines) and _as_snippet(lines[number - 1]).strip() == snippet.strip()


def _as_snippet(line: str) -> str:
    return bounded(Finding("", 1, 1, Severity.INFO, NAME, "", snippet=line)).snippet
