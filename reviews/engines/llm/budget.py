"""The language model as a run asks it: what it may cost, what it has cost, and what it said of the same lines before.

Budgets are counted from the runs themselves, and not from `executions`: a repository can turn telemetry off, and a
store of telemetry can be away. What a call may cost is stored before it is made, so that a worker which dies in it has
paid the most that it can have been.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import timedelta

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from reviews.engines import llm
from reviews.findings import Finding, Report
from reviews.models import Review

DAY = timedelta(hours=24)


def of(review: Review) -> Callable[[Mapping[str, llm.Change]], llm.Answer] | None:
    """What asks the language model for a run; None where none is configured.

    A finding of the last run whose line is still there stands, and the model adds to it.
    """
    if not llm.configured():
        return None

    def ask(changes: Mapping[str, llm.Change]) -> llm.Answer:
        answer = llm.analyse(changes, LLMBudget(review))
        stand = llm.standing(_said_before(review), changes)
        return replace(answer, findings=(*stand, *answer.findings))

    return ask


class LLMBudget:
    """Pays for a run out of the budgets of its repository and of all together."""

    def __init__(self, review: Review) -> None:
        self._review = review
        # What attempts have used that ended before their analysis was stored.
        self._earlier = llm.Usage(**review.language_model_usage) if review.language_model_usage else None
        self._settled = 0.0

    def reserve(self, cost_usd: float) -> None:
        """Set aside what one call may cost; raise `OverBudget` where a budget has less. Raises `LeaseLost`.

        It is stored first and counted then: of two runs at once that would spend the same money, none does.
        """
        before = self._review.language_model_paid
        asked_at = self._review.language_model_asked_at
        self._review.stamp("language_model_asked_at", language_model_paid=(before or 0.0) + cost_usd)
        why_not = _over_budget(self._review)
        if why_not:
            self._review.store(language_model_asked_at=asked_at, language_model_paid=before)
            raise llm.OverBudget(why_not)

    def settle(self, reserved_usd: float, usage: llm.Usage) -> None:
        """Pay what a call did cost instead of what was set aside for it, and keep what all have used."""
        paid = (self._review.language_model_paid or 0.0) - reserved_usd + usage.cost_usd - self._settled
        self._settled = usage.cost_usd
        used = usage.plus(self._earlier) if self._earlier else usage
        self._review.store(language_model_paid=max(0.0, paid), language_model_usage=asdict(used))


def _over_budget(review: Review) -> str:
    """Which budget is overdrawn, what the run has set aside included; empty if none is."""
    budgets: tuple[tuple[float, dict[str, str], str], ...] = (
        (settings.KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY, {"repo": review.repo}, "this repository's budget"),
        (settings.KODIAI_LLM_MAX_COST_PER_DAY, {}, "the budget of all repositories"),
    )
    recent = Review.objects.filter(language_model_asked_at__gt=timezone.now() - DAY)
    for dollars, these, name in budgets:
        if dollars and (recent.filter(**these).aggregate(paid=Sum("language_model_paid"))["paid"] or 0.0) > dollars:
            return f"{name} for 24 hours is used up"
    return ""


def _said_before(review: Review) -> tuple[Finding, ...]:
    """The findings of the run of this pull request that was published last."""
    before = review.others().filter(published_at__isnull=False).order_by("-published_at").first()
    return Report.from_json(before.report).findings if before is not None and before.report else ()
