"""The table of what a check run concludes, made by calling the function for each case."""

from pathlib import Path

from reviews.config.repository import CheckSection
from reviews.findings import Finding, Report, Severity
from reviews.publishing.conclusions import WORST_FIRST, conclusion_of, worst_of
from telemetry.models import Conclusion

FILE = Path(__file__).parent.parent.parent / "docs" / "verification" / "conclusions.md"


def _with(severity: Severity) -> Report:
    return Report(findings=(Finding("a.py", 1, 1, severity, "rule", "message"),))


_FAILED = (("ruff", "it took too long"),)
HAPPENED: dict[str, tuple[Conclusion, Report]] = {
    "nothing found": (Conclusion.SUCCESS, Report()),
    "nothing found; the author's history is unknown (`partial`)": (Conclusion.PARTIAL, Report()),
    "findings below `fail_on`": (Conclusion.SUCCESS, _with(Severity.INFO)),
    "findings from `fail_on` on": (Conclusion.SUCCESS, _with(Severity.MAJOR)),
    "incomplete, nothing found": (Conclusion.PARTIAL, Report(engine_failures=_FAILED)),
    "incomplete, findings below `fail_on`": (
        Conclusion.PARTIAL,
        Report(findings=_with(Severity.INFO).findings, truncated=True),
    ),
    "incomplete, findings from `fail_on` on": (
        Conclusion.PARTIAL,
        Report(findings=_with(Severity.MAJOR).findings, partially_analysed=("b.py",)),
    ),
    "the run failed, or was abandoned (`error`)": (Conclusion.ERROR, Report()),
    "the run took too long (`timeout`)": (Conclusion.TIMEOUT, Report()),
}
CHECKS = {
    "`fail_on: never`": CheckSection(),
    "`fail_on: major`": CheckSection(fail_on="major"),
    "`fail_on: major`, `incomplete: neutral`": CheckSection(fail_on="major", incomplete="neutral"),
}
NOT_REVIEWED = (
    "draft",
    "its author is a bot that is not on `KODIAI_BOT_ALLOW_LIST`",
    "paused",
    "`triggers` of `.kodiai.yml` exclude the event",
    "closed or merged",
    "a merge group that is gone, or a repository that the App has lost",
)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(*head: str) -> list[str]:
    return [_row(*head), _row(*("---" for _ in head))]


def as_text() -> str:
    lines = [
        "# What the check run concludes",
        "",
        "Written by `make conclusions` from `reviews.publishing.conclusions`. GitHub blocks a merge on `failure` and",
        "on a required check that has not come; `neutral`, `success` and `skipped` pass.",
        "",
        "## One run",
        "",
        "*Incomplete*: an engine failed or could not read a file whole, a file that an engine reads was left out (no",
        "diff, not UTF-8, too large, over `limits`), or GitHub did not list all files.",
        "",
        *_table("state of the pull request", "what happened", *CHECKS),
    ]
    for what, (conclusion, report) in HAPPENED.items():
        cells = (f"`{conclusion_of(conclusion, report, check)}`" for check in CHECKS.values())
        lines.append(_row("open, or a commit of a merge queue", what, *cells))
    for state in NOT_REVIEWED:
        skipped = (f"`{conclusion_of(Conclusion.SKIPPED, Report(), check)}`" for check in CHECKS.values())
        lines.append(_row(state, "not reviewed", *skipped))
    lines += [
        "",
        "A draft, a pull request of a bot and a paused one are reviewed if a person asks: by a mention, a requested",
        "review, or *Re-run*. A run that is superseded has no check run: the run that supersedes it has one. If the",
        "configuration could not be read, that of the repository's latest run applies.",
        "",
        "## A commit with an earlier verdict",
        "",
        "A run that skips a commit does not change its verdict: a review of it against the same base branch stands.",
        "Against another base branch the commit is `skipped`.",
        "",
        "## A commit that is the head of several open pull requests",
        "",
        "The check run speaks for the worst, whichever was reported last, and names it.",
        "",
        *_table("this pull request", *(f"other: `{other}`" for other in WORST_FIRST)),
    ]
    lines += [_row(f"`{own}`", *(f"`{worst_of([own, other])}`" for other in WORST_FIRST)) for own in WORST_FIRST]
    return "\n".join(lines) + "\n"
