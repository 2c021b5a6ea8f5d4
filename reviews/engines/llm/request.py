"""A request to the language model, within the budgets of a run and of the installation."""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.conf import settings

from reviews.engines.llm import MAX_OUTPUT_TOKENS, Answer, LLMBudget, Usage
from reviews.engines.llm.findings import NoAnswer, OverBudget, Remarks, findings_of
from reviews.engines.llm.prices import Price, price_of
from reviews.engines.llm.prompt import OVERHEAD, Change, document, estimate, is_sent
from reviews.engines.secret_values import secret_values, without_secrets

if TYPE_CHECKING:
    from pydantic_ai.usage import RunUsage

logger = logging.getLogger(__name__)

TRIES = 2
MAX_REPORTED = 100_000_000
"""Tokens. A larger number from a provider is not plausible, and would not fit into the database's integer."""


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
        secrets = secret_values(change.text for change in sent.values())
        findings = [without_secrets(finding, secrets) for finding in findings]
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
