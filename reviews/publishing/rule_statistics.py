"""How useful each rule is: how often it was reported, and what people did with its findings.

A rule of which few findings are fixed can be proposed for severity `info`. Only the operator decides.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from reviews.findings import Severity
from reviews.models import IgnoredFinding, ReportedFinding, ThumbsDown

MIN_REPORTED = 30
"""Findings from which on a rule is judged."""
FLOOR = 0.1
"""Share of fixed findings below which, with certainty, a rule is proposed for `info`."""
CONFIDENCE = 1.96
"""Quantile of the normal distribution for intervals of 95 %."""
LANGUAGE_MODEL = "language-model"
"""`reviews.engines.llm.NAME`, which is not imported here: the web process has no use for the engines."""
SECURITY_ENGINES = ("secrets", "zizmor")
"""Engines whose findings are about security. None of their rules is ever proposed."""


@dataclass(frozen=True)
class Interval:
    """A share with its interval of 95 %."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class RuleStatistics:
    """What became of the findings of a rule."""

    engine: str
    rule: str
    reported: int
    fixed: int
    resolved: int
    """By a person, on GitHub, and not fixed as far as is known."""
    ignored: int
    """By a comment, `@kodiai ignore`."""
    disliked: int
    """Comments with a thumbs down."""
    severity: str
    """The most severe one of its findings."""

    @property
    def fixed_share(self) -> Interval:
        """Share of the reported findings that were fixed."""
        return wilson(self.fixed, self.reported)

    @property
    def unwanted_share(self) -> Interval:
        """Share that was ignored or disliked. An ignored finding may be disliked as well, so this is an upper bound."""
        return wilson(min(self.ignored + self.disliked, self.reported), self.reported)

    @property
    def proposed_for_info(self) -> bool:
        """Return whether its findings are so rarely fixed that it could be reported as `info` only.

        Never a rule about security, one with critical findings, or the language model, which is one rule for all.
        """
        return (
            self.reported >= MIN_REPORTED
            and self.fixed_share.high < FLOOR
            and self.engine not in (*SECURITY_ENGINES, LANGUAGE_MODEL)
            and self.severity not in (Severity.CRITICAL, Severity.INFO)
        )


def wilson(successes: int, trials: int) -> Interval:
    """Return a share with its Wilson score interval, which holds for few trials and for shares near 0 and 1 as well.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not trials:
        return Interval(0.0, 0.0, 1.0)
    share, square = successes / trials, CONFIDENCE**2
    centre = share + square / (2 * trials)
    margin = CONFIDENCE * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    scale = 1 + square / trials
    return Interval(share, max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale))


def statistics_of_rules(since: datetime, until: datetime, repo: str = "") -> list[RuleStatistics]:
    """Return the rules that were reported in a range of time, most often first; only in `repo`, if it is given."""
    here = Q(repo=repo) if repo else Q()
    rows = ReportedFinding.objects.filter(here, reported_at__gte=since, reported_at__lt=until)
    ignored = IgnoredFinding.objects.filter(here, ignored_at__gte=since, ignored_at__lt=until)
    disliked = ThumbsDown.objects.filter(here, seen_at__gte=since, seen_at__lt=until)
    ignored_of = dict(ignored.values_list("rule").annotate(Count("pk")))
    disliked_of = dict(disliked.values_list("rule").annotate(Count("pk")))
    found: Any = (
        rows.order_by()
        .values("engine", "rule")
        .annotate(
            reported=Count("pk"),
            fixed=Count("fixed_at"),
            resolved=Count("pk", filter=Q(resolved_at__isnull=False, fixed_at__isnull=True)),
            **{f"of_{severity.value}": Count("pk", filter=Q(severity=severity)) for severity in Severity},
        )
    )
    rules = [
        RuleStatistics(
            engine=row["engine"],
            rule=row["rule"],
            reported=row["reported"],
            fixed=row["fixed"],
            resolved=row["resolved"],
            ignored=ignored_of.get(row["rule"], 0),
            disliked=disliked_of.get(row["rule"], 0),
            severity=next(severity.value for severity in Severity if row[f"of_{severity.value}"]),
        )
        for row in found
    ]
    return sorted(rules, key=lambda rule: (-rule.reported, rule.engine, rule.rule))
