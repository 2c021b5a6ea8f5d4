"""Prices of language models, to check budgets before a call."""

from dataclasses import dataclass

from django.conf import settings

PRICES: dict[str, tuple[float, float]] = {
    "anthropic:claude-opus-5": (5.00, 25.00),
    "anthropic:claude-opus-4-8": (5.00, 25.00),
    "anthropic:claude-sonnet-4-6": (3.00, 15.00),
    "anthropic:claude-sonnet-4-5": (3.00, 15.00),
    "anthropic:claude-haiku-4-5": (1.00, 5.00),
    "openai:gpt-5.2": (1.75, 14.00),
    "openai:gpt-5": (1.25, 10.00),
    "openai:gpt-5-mini": (0.25, 2.00),
    "openai:gpt-4.1": (2.00, 8.00),
    "openai:gpt-4.1-mini": (0.40, 1.60),
}
"""US dollars per million input and output tokens, as of 2026-11-26.

Source: the providers' pages on pricing (platform.claude.com/docs, "Pricing"; developers.openai.com/api/docs/pricing),
compared with the data of genai-prices 0.2.3, which the extra installs; a test compares them again. For other models
a budget in dollars needs `KODIAI_LLM_PRICES`.
"""
_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens. Cached tokens are charged in full."""

    input: float
    output: float

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """The price of tokens in US dollars."""
        return (input_tokens * self.input + output_tokens * self.output) / _MILLION


def price_of(model: str) -> Price | None:
    """The price of a model (`provider:model`); None if unknown. Raises `ValueError`, see `configured_prices`."""
    # The price does not depend on the protocol.
    name = model.replace("openai-chat:", "openai:", 1).replace("openai-responses:", "openai:", 1)
    known = PRICES | configured_prices()
    found = known.get(model) or known.get(name)
    return Price(*found) if found else None


def configured_prices() -> dict[str, tuple[float, float]]:
    """The prices in `KODIAI_LLM_PRICES`. Raises `ValueError` for an invalid entry."""
    prices = {}
    for entry in settings.KODIAI_LLM_PRICES:
        model, _, price = entry.strip().rpartition("=")
        read, _, written = price.partition("/")
        try:
            prices[model] = (float(read), float(written))
        except ValueError:
            prices[model] = (-1.0, -1.0)
        # Comparisons with NaN are false, so it is rejected too.
        if ":" not in model or not all(0 <= amount < _MILLION for amount in prices[model]):
            raise ValueError(f"KODIAI_LLM_PRICES: {entry!r} is not of the form provider:model=input/output")
    return prices
