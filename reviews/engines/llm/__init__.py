"""The language model: an optional engine beside the analyzers. Its libraries are imported only if one is configured.

It receives changed lines as data and returns remarks, which are validated as untrusted input. It has no tools, sees no
settings of Kodiai's, and its output is shown as text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Protocol

from reviews.engines.kinds import PROSE, SETTINGS, SOURCE
from reviews.engines.llm.findings import NAME, OverBudget, drop_overlapping, still_valid
from reviews.engines.llm.prompt import Change
from reviews.findings import Finding

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
    "reads",
    "still_valid",
]

MAX_OUTPUT_TOKENS = 8_000
"""Tokens of an answer, reasoning included."""


def reads(path: str) -> bool:
    """Return whether a language model is asked about files of this name."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(name, glob) for glob in (*SOURCE, *SETTINGS, *PROSE))


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
    # Imported here: a local review runs without Django.
    from django.conf import settings

    return bool(settings.KODIAI_LLM_MODEL)


def analyse(changes: Mapping[str, Change], budget: LLMBudget) -> Answer:
    """Send changes (path → change) to the language model, within all budgets; its findings are on changed lines."""
    from reviews.engines.llm.request import analyse

    return analyse(changes, budget)
