"""The answer of a language model, and its findings: only remarks on changed lines are accepted."""

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
"""Name of the engine, and of the one rule of its findings."""
MAX_REMARKS = 30
"""Remarks per answer that are read."""
MAX_REMARK_LINES = 30
"""Lines of one remark."""


class NoAnswer(Exception):
    """There is no usable answer. The text gives the reason in Kodiai's words, never in the provider's.

    `retryable`: the model did answer, and a second request may help.
    """

    def __init__(self, reason: str, *, retryable: bool = False) -> None:
        super().__init__(reason)
        self.retryable = retryable


class OverBudget(NoAnswer):
    """The model is not asked: the call may cost more than a budget has left. The text names the budget."""


class Remark(BaseModel):
    """One defect in added lines."""

    path: str
    start_line: int
    end_line: int
    severity: Literal["critical", "major", "minor", "info"]
    message: str
    suggestion: str | None = None


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Discard a malformed remark without the others."""
    try:
        return handler(value)
    except ValidationError:
        return None


class Remarks(BaseModel):
    """What is wrong with the changes; an empty list if nothing is."""

    remarks: list[Annotated[Remark | None, WrapValidator(_or_none)]] = Field(description="The defects, if any.")


def findings_of(answer: Remarks, changes: Mapping[str, Change]) -> tuple[list[Finding], int]:
    """Turn remarks on changed lines into findings; return them and the number of discarded remarks."""
    findings = [finding for remark in answer.remarks[:MAX_REMARKS] if remark and (finding := _finding(remark, changes))]
    return findings, len(answer.remarks) - len(findings)


def drop_overlapping(findings: Iterable[Finding], others: Sequence[Finding]) -> list[Finding]:
    """Drop findings on lines that already have one: one remark per line is enough."""
    kept: list[Finding] = []
    for finding in findings:
        if not any(_overlap(finding, other) for other in (*others, *kept)):
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
        or not 1 <= start <= end < start + MAX_REMARK_LINES
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
    """The suggestion of a remark, unchanged; None unless a person can judge it before committing it."""
    text = remark.suggestion
    start, end = remark.start_line, remark.end_line
    if text is None or end > len(lines):
        return None
    text = text.removesuffix("\n")
    if (
        text == "\n".join(lines[start - 1 : end])
        or text.count("\n") >= MAX_SUGGESTION_LINES
        or redact(text) != text
        # Invisible characters cannot be judged before the click that commits them.
        or any(visible(line.replace("\t", " ")) != line.replace("\t", " ") for line in text.split("\n"))
        # Only added lines may be replaced.
        or not all(any(line in hunk.added for hunk in hunks) for line in range(start, end + 1))
    ):
        return None
    return Suggestion(start, end, text)


def still_valid(previous: Iterable[Finding], changes: Mapping[str, Change]) -> list[Finding]:
    """Keep a language model's findings of an earlier commit whose line is still there and still added.

    A model finds different things on each call; without this, remarks would come and go with every push.
    """
    kept = []
    for finding in previous:
        change = changes.get(finding.path)
        if finding.rule != NAME or change is None or not finding.snippet.strip():
            continue
        lines = change.text.split("\n")
        places = [line for hunk in change.hunks for line in hunk.added if _has_text(lines, line, finding.snippet)]
        if places:
            line = min(places, key=lambda location: abs(location - finding.start_line))
            kept.append(replace(finding, start_line=line, end_line=line, suggestion=None))
    return kept


def _has_text(lines: Sequence[str], number: int, snippet: str) -> bool:
    """Return whether a line has the text of a snippet."""
    return 0 < number <= len(lines) and _as_snippet(lines[number - 1]).strip() == snippet.strip()


def _as_snippet(line: str) -> str:
    return bounded(Finding("", 1, 1, Severity.INFO, NAME, "", snippet=line)).snippet
