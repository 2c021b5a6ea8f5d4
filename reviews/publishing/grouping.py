"""Group equal findings of one file into one remark on the first line, which lists the other lines."""

from collections.abc import Iterable
from dataclasses import dataclass

from reviews.findings import Finding

MAX_GROUP = 100
"""Findings per remark: the comment's marker names each, and GitHub limits the length of comments."""


@dataclass(frozen=True)
class Remark:
    """A finding, and equal findings on other lines of its file."""

    finding: Finding
    also: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings of the remark."""
        return (self.finding, *self.also)

    @property
    def other_lines(self) -> list[int]:
        """The lines of the other findings, without duplicates and without the first finding's line."""
        lines = dict.fromkeys(finding.elsewhere or finding.start_line for finding in self.also)
        lines.pop(self.finding.elsewhere or self.finding.start_line, None)
        return list(lines)


def group_findings(findings: Iterable[Finding], *, suggestions: bool = False) -> list[Remark]:
    """Group equal findings, in the order of the first finding of each group.

    A finding with a suggestion stays alone, because a suggestion applies to the lines of its comment; with
    `suggestions`, where none is offered anyway, it is grouped too.
    """
    groups: list[list[Finding]] = []
    open_groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.path, finding.severity, finding.rule, finding.message, finding.fix)
        groupable = finding.suggestion is None or suggestions
        group = open_groups.get(key)
        if not groupable or group is None or len(group) == MAX_GROUP:
            group = []
            groups.append(group)
            if groupable:
                open_groups[key] = group
        group.append(finding)
    return [Remark(first, tuple(others)) for first, *others in groups]
