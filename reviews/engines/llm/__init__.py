"""The language model: an optional engine beside the analyzers. Its libraries are imported only if one is configured.

It receives changed lines as data and returns remarks, which are validated as untrusted input. It has no tools, sees no
settings of Kodiai's, and its output is shown as text.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from reviews.engines.llm.findings import NAME, NoAnswer, OverBudget, Remarks, drop_overlapping, findings_of, still_valid
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
    "still_valid",
]

logger = logging.getLogger(__name__)

MAX_OUTPUT_TOKENS = 8_000
"""Tokens of an answer, reasoning included."""
TRIES = 2
MAX_REPORTED = 100_000_000
"""Tokens. A larger number from a provider is not plausible, and would not fit into the database's integer."""


@dataclass(frozen=True)
class Usage:
    """Tokens and dollars that the calls of a run used, as reported by the provider."""

    provider: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    cost_usd: float = 0.0

    def plus(self, other: "Usage") -> "Usage":
        """The sum of two usages."""
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
    """The outcome of a request to the language model."""

    findings: tuple[Finding, ...] = ()
    discarded: int = 0
    """Remarks that were discarded: about other lines or files, or malformed."""
    skipped_for_budget: int = 0
    """Files that did not fit into the budget of a run."""
    asked: bool = False
    """Whether the model answered."""
    failure: str = ""
    """Why there is no answer; empty also if there was nothing to send."""


class LLMBudget(Protocol):
    """What a run may spend."""

    def reserve(self, cost_usd: float) -> None:
        """Reserve the maximum cost of one call; raise `OverBudget` if less is left."""

    def settle(self, reserved_usd: float, usage: Usage) -> None:
        """Charge what all calls of the run have used so far, in place of `reserved_usd` for the last one.

        Not called if the provider did not report the usage of a call.
        """


def configured() -> bool:
    """Return whether a language model is configured."""
    return bool(settings.KODIAI_LLM_MODEL)


def analyse(changes: Mapping[str, Change], budget: LLMBudget) -> Answer:
    """Send changes (path → change) to the language model, within all budgets; its findings are on changed lines."""
    # Remarks must be on added lines.
    sent = {path: change for path, change in changes.items() if is_sent(path) and any(h.added for h in change.hunks)}
    if not sent:
        return Answer()
    text, included = document(sent, settings.KODIAI_LLM_MAX_TOKENS_PER_RUN - OVERHEAD - MAX_OUTPUT_TOKENS)
    skipped_for_budget = len(sent) - len(included)
    try:
        if not included:
            raise OverBudget("the changes exceed its token budget")
        remarks = _request(text, budget, _price())
        findings, discarded = findings_of(remarks, {path: sent[path] for path in included})
    except NoAnswer as error:
        return Answer(skipped_for_budget=skipped_for_budget, failure=str(error))
    if discarded:
        logger.warning("remarks of the language model discarded", extra={"remarks": discarded})
    return Answer(tuple(findings), discarded, skipped_for_budget, asked=True)


def _price() -> Price:
    """The model's price; zero if unknown and no budget is in dollars. Raises `OverBudget` if unknown and needed."""
    try:
        price = price_of(settings.KODIAI_LLM_MODEL)
    except ValueError as error:
        raise OverBudget("`KODIAI_LLM_PRICES` is invalid") from error
    if price is None:
        if settings.KODIAI_LLM_MAX_COST_PER_DAY or settings.KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY:
            raise OverBudget("its price is unknown, and its budget is in dollars")
        return Price(0, 0)
    return price


def _request(text: str, budget: LLMBudget, price: Price) -> Remarks:
    """Ask; ask again if the answer is unusable and a second call fits into the budgets. Raises `NoAnswer`."""
    # Imported here: it takes seconds and 60 MB, needed only with a language model.
    try:
        from pydantic_ai.usage import RunUsage

        from reviews.engines.llm.client import ask
    except ImportError as error:
        logger.warning("language model unavailable", extra={"error": str(error)})
        raise NoAnswer("the extra `llm` is not installed") from error
    size = OVERHEAD + estimate(text)
    max_cost = price.of(size, MAX_OUTPUT_TOKENS)
    deadline = time.monotonic() + settings.KODIAI_LLM_TIMEOUT
    used = RunUsage()
    for tries_left in reversed(range(TRIES)):
        before = used.total_tokens
        budget.reserve(max_cost)
        try:
            return ask(text, used, deadline - time.monotonic())
        except NoAnswer as error:
            fits = used.total_tokens + size + MAX_OUTPUT_TOKENS <= settings.KODIAI_LLM_MAX_TOKENS_PER_RUN
            if not (error.retryable and tries_left and fits and time.monotonic() < deadline):
                raise
        finally:
            if used.total_tokens > before:
                budget.settle(max_cost, _usage(used, price))
    raise AssertionError("the last try returns or raises")


def _usage(used: "RunUsage", price: Price) -> Usage:
    counts = (used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens)
    read, written, from_cache, to_cache = (min(max(0, count), MAX_REPORTED) for count in counts)
    provider, _, model = settings.KODIAI_LLM_MODEL.partition(":")
    return Usage(provider, model, read, written, from_cache, to_cache, price.of(read, written))
