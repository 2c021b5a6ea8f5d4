"""The language model, an engine beside the analyzers: optional, and nothing of it is imported where none is configured.

It gets changed lines as data and gives remarks on them, which are checked like a stranger's. It has no tool, sees no
setting of Kodiai's, and whatever it says is shown as text.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from reviews.engines.llm.findings import NAME, NoAnswer, OverBudget, Remarks, drop_overlapping, findings_of, standing
from reviews.engines.llm.prices import Price, price_of
from reviews.engines.llm.prompt import OVERHEAD, Change, document, estimate, is_sent
from reviews.findings import Finding

if TYPE_CHECKING:
    from pydantic_ai.usage import RunUsage

__all__ = [
    "NAME",
    "Answer",
    "Change",
    "LLMBudget",
    "OverBudget",
    "Usage",
    "analyse",
    "configured",
    "drop_overlapping",
    "standing",
]

logger = logging.getLogger(__name__)

MAX_OUTPUT_TOKENS = 8_000
"""Tokens of an answer, those in which a model reasons included."""
TRIES = 2
MAX_REPORTED = 100_000_000
"""Tokens. A provider that says it has used more is not believed, and would be more than a database's integer takes."""


@dataclass(frozen=True)
class Usage:
    """What the calls of a run have used, as the provider told."""

    provider: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    cost_usd: float = 0.0

    def plus(self, other: "Usage") -> "Usage":
        """What this one and another have used together."""
        return replace(
            self,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_creation_tokens=self.cache_creation_tokens + other.cache_creation_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True)
class Answer:
    """What became of asking."""

    findings: tuple[Finding, ...] = ()
    discarded: int = 0
    """Remarks that are of no use: about other lines or files, or not of the form."""
    skipped_for_budget: int = 0
    """Files that were too much for the budget of a run."""
    asked: bool = False
    """There is an answer."""
    failure: str = ""
    """Why there is none; empty also where there was nothing to ask about."""


class LLMBudget(Protocol):
    """Who pays."""

    def reserve(self, cost_usd: float) -> None:
        """Set aside what one call may cost at most; raise `OverBudget` where that is more than there is."""

    def settle(self, reserved_usd: float, usage: Usage) -> None:
        """Take what all calls of the run have used so far; for the last of them `reserved_usd` were set aside.

        It is not called for a call of which the provider did not tell what it has used.
        """


def configured() -> bool:
    """Tell whether there is a language model."""
    return bool(settings.KODIAI_LLM_MODEL)


def analyse(changes: Mapping[str, Change], budget: LLMBudget) -> Answer:
    """Ask the language model about changes (path → change), within all budgets. Its findings are on changed lines."""
    # Where no line is added there is none that a remark could be about.
    sent = {path: change for path, change in changes.items() if is_sent(path) and any(h.added for h in change.hunks)}
    if not sent:
        return Answer()
    text, told = document(sent, settings.KODIAI_LLM_MAX_TOKENS_PER_RUN - OVERHEAD - MAX_OUTPUT_TOKENS)
    skipped_for_budget = len(sent) - len(told)
    try:
        if not told:
            raise OverBudget("the changes are too much for its budget of tokens")
        findings, discarded = findings_of(_asked(text, budget, _price()), {path: sent[path] for path in told})
    except NoAnswer as error:
        return Answer(skipped_for_budget=skipped_for_budget, failure=str(error))
    if discarded:
        logger.warning("remarks of the language model are of no use", extra={"remarks": discarded})
    return Answer(tuple(findings), discarded, skipped_for_budget, asked=True)


def _price() -> Price:
    """The model's price; nothing, where nobody counts dollars. Raises `OverBudget` where it is not known."""
    try:
        price = price_of(settings.KODIAI_LLM_MODEL)
    except ValueError as error:
        raise OverBudget("`KODIAI_LLM_PRICES` cannot be read") from error
    if price is None:
        if settings.KODIAI_LLM_MAX_COST_PER_DAY or settings.KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY:
            raise OverBudget("its price is not known, and its budget is in dollars")
        return Price(0, 0)
    return price


def _asked(text: str, budget: LLMBudget, price: Price) -> Remarks:
    """Ask, and once more where the answer is of no use and a second call is within the budgets. Raises `NoAnswer`."""
    # Here and not above: it costs seconds and 60 MB, which only those pay who have a language model.
    try:
        from pydantic_ai.usage import RunUsage

        from reviews.engines.llm.client import ask
    except ImportError as error:
        logger.warning("the language model cannot be asked", extra={"error": str(error)})
        raise NoAnswer("the extra `llm` is not installed") from error
    size = OVERHEAD + estimate(text)
    most = price.of(size, MAX_OUTPUT_TOKENS)
    deadline = time.monotonic() + settings.KODIAI_LLM_TIMEOUT
    used = RunUsage()
    for tries_left in reversed(range(TRIES)):
        before = used.total_tokens
        budget.reserve(most)
        try:
            return ask(text, used, deadline - time.monotonic())
        except NoAnswer as error:
            fits = used.total_tokens + size + MAX_OUTPUT_TOKENS <= settings.KODIAI_LLM_MAX_TOKENS_PER_RUN
            if not (error.again and tries_left and fits and time.monotonic() < deadline):
                raise
        finally:
            if used.total_tokens > before:
                budget.settle(most, _told(used, price))
    raise AssertionError("the last try returns or raises")


def _told(used: "RunUsage", price: Price) -> Usage:
    counts = (used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens)
    read, written, from_cache, to_cache = (min(max(0, count), MAX_REPORTED) for count in counts)
    provider, _, model = settings.KODIAI_LLM_MODEL.partition(":")
    return Usage(provider, model, read, written, from_cache, to_cache, price.of(read, written))
