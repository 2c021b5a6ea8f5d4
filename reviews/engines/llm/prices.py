"""What language models cost, so that a budget can be looked at before a call."""

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
"""US dollars for a million tokens read and a million written, as of 2026-11-26.

Source: the providers' pages on pricing (platform.claude.com/docs, "Pricing"; developers.openai.com/api/docs/pricing),
compared with the data of genai-prices 0.2.3, which the extra installs; a test compares them again. Other models need
`KODIAI_LLM_PRICES` where a budget in dollars is set.
"""
_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens. Tokens that a provider reads from its cache are counted in full."""

    read: float
    written: float

    def of(self, tokens_read: int, tokens_written: int) -> float:
        """US dollars."""
        return (tokens_read * self.read + tokens_written * self.written) / _MILLION


def price_of(model: str) -> Price | None:
    """The price of a model (`provider:model`); None where nobody has said it. Raises `ValueError`, see `own_prices`."""
    # How a provider is spoken to makes no difference to what it costs.
    name = model.replace("openai-chat:", "openai:", 1).replace("openai-responses:", "openai:", 1)
    known = PRICES | own_prices()
    found = known.get(model) or known.get(name)
    return Price(*found) if found else None


def own_prices() -> dict[str, tuple[float, float]]:
    """What `KODIAI_LLM_PRICES` says. Raises `ValueError` for what is no price."""
    prices = {}
    for entry in settings.KODIAI_LLM_PRICES:
        model, _, price = entry.strip().rpartition("=")
        read, _, written = price.partition("/")
        try:
            prices[model] = (float(read), float(written))
        except ValueError:
            prices[model] = (-1.0, -1.0)
        # Also what is not finite: no comparison with it is true.
        if ":" not in model or not all(0 <= amount < _MILLION for amount in prices[model]):
            raise ValueError(f"KODIAI_LLM_PRICES: {entry!r} is not of the form provider:model=input/output")
    return prices
