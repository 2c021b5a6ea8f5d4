"""Equal remarks on lines of one file are one remark: at the first of them, with the lines of the others."""

from collections.abc import Iterable
from dataclasses import dataclass

from reviews.findings import Finding

MAX_FOLDED = 100
"""Findings of one remark. The comment on it ends with the name of each, and GitHub's comments have an end."""


@dataclass(frozen=True)
class Remark:
    """What is said at once: a finding, and others of its file that say the same."""

    finding: Finding
    also: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (self.finding, *self.also)

    @property
    def other_lines(self) -> list[int]:
        """The lines of the others, each once, without that of the first."""
        lines = dict.fromkeys(finding.start_line for finding in self.also)
        lines.pop(self.finding.start_line, None)
        return list(lines)


def group_findings(findings: Iterable[Finding], *, suggestions: bool = False) -> list[Remark]:
    """Fold findings, in the order of the first of each remark. One with a suggestion stays alone, unless `suggestions`
    says that none is offered anyway: a suggestion is committed where its comment stands."""
    folds: list[list[Finding]] = []
    open_folds: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        said = (finding.path, finding.severity, finding.rule, finding.message, finding.fix)
        fold = open_folds.get(said)
        if (finding.suggestion is not None and not suggestions) or fold is None or len(fold) == MAX_FOLDED:
            fold = []
            folds.append(fold)
            if finding.suggestion is None or suggestions:
                open_folds[said] = fold
        fold.append(finding)
    return [Remark(first, tuple(others)) for first, *others in folds]
