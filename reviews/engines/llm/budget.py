"""The language model within a run: budgets, usage, and findings of the previous run on the same lines.

Budgets are computed from `Review` rows, not from `executions`: a repository can turn telemetry off, and the telemetry
store can be down. The maximum cost of a call is stored before the call, so that a worker that dies meanwhile has been
charged the maximum.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import timedelta

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from reviews.engines import llm
from reviews.findings import Finding, Report
from reviews.models import LanguageModelUsage, Review

DAY = timedelta(hours=24)


def requester(review: Review) -> Callable[[Mapping[str, llm.Change]], llm.Answer] | None:
    """Return the function that asks the language model for a run; None if none is configured.

    Findings of the previous run are kept while their lines are still there; the model adds to them.
    """
    if not llm.configured():
        return None

    def ask(changes: Mapping[str, llm.Change]) -> llm.Answer:
        answer = llm.analyse(changes, LLMBudget(review))
        kept = llm.still_valid(_previous_findings(review), changes)
        return replace(answer, findings=(*kept, *answer.findings))

    return ask


class LLMBudget:
    """Charge a run to the budgets of its repository and of the installation."""

    def __init__(self, review: Review) -> None:
        self._review = review
        self._row, _ = LanguageModelUsage.objects.get_or_create(review=review)
        # Usage of attempts that ended before their analysis was stored.
        self._earlier = llm.Usage(**self._row.usage) if self._row.usage else None
        self._settled = 0.0

    def reserve(self, cost_usd: float) -> None:
        """Reserve the maximum cost of one call. Raises `OverBudget` if a budget has less, and `LeaseLost`.

        It is stored first and checked then: two runs at once can not both spend the same money.
        """
        before = {"reserved_at": self._row.reserved_at, "paid_usd": self._row.paid_usd}
        self._store(reserved_at=timezone.now(), paid_usd=self._row.paid_usd + cost_usd)
        reason = _over_budget(self._review)
        if reason:
            self._store(**before)
            raise llm.OverBudget(reason)

    def settle(self, reserved_usd: float, usage: llm.Usage) -> None:
        """Replace the reservation of a call by its cost, and store the usage of all calls."""
        paid = self._row.paid_usd - reserved_usd + usage.cost_usd - self._settled
        self._settled = usage.cost_usd
        used = usage.plus(self._earlier) if self._earlier else usage
        self._store(paid_usd=max(0.0, paid), usage=asdict(used))

    def _store(self, **values: object) -> None:
        self._review.store_in(self._row, **values)


def _over_budget(review: Review) -> str:
    """The budget that is overdrawn, reservations included, as a reason; empty if none is."""
    budgets: tuple[tuple[float, dict[str, object], str], ...] = (
        (
            settings.KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY,
            {"review__in": Review.objects.filter(review.of_repository)},
            "this repository's budget",
        ),
        (settings.KODIAI_LLM_MAX_COST_PER_DAY, {}, "the budget of the installation"),
    )
    recent = LanguageModelUsage.objects.filter(reserved_at__gt=timezone.now() - DAY)
    for dollars, rows, name in budgets:
        if dollars and (recent.filter(**rows).aggregate(paid=Sum("paid_usd"))["paid"] or 0.0) > dollars:
            return f"{name} for 24 hours is used up"
    return ""


def _previous_findings(review: Review) -> tuple[Finding, ...]:
    """The findings of the latest published run of this pull request."""
    before = review.others().filter(published_at__isnull=False).order_by("-published_at").first()
    return Report.from_json(before.report).findings if before is not None and before.report else ()
