"""Kinds of values: numbers, durations, switches, words. Each describes itself, and refuses what it cannot read."""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

MAX_SHOWN = 30
"""Characters of a value that an error quotes. Keys and tokens, pasted into a wrong name, are longer."""
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
"""Seconds of each unit of durations."""
TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
FALSE = frozenset({"false", "no", "off", "0", "n", "f"})


class Unreadable(ValueError):
    """A value that cannot be read. The message completes a sentence that begins with the setting's name."""


class Kind(Protocol):
    """A kind of values."""

    @property
    def description(self) -> str:
        """What a value is, with range and unit: completes "must be …"."""

    def parse(self, text: str) -> Any:
        """Return the value of a text without blanks around it. Raises `Unreadable`."""


def argument(kind: Kind) -> Callable[[str], Any]:
    """Return a type for argparse that reads an option of a command as this kind."""

    def parse(text: str) -> Any:
        try:
            return kind.parse(text.strip())
        except Unreadable as unreadable:
            raise ArgumentTypeError(str(unreadable)) from None

    return parse


def refused(kind: Kind, text: str) -> Unreadable:
    """Return the error that says what a value must be, and what it is if that is short enough to be no secret."""
    shown = repr(text) if len(text) <= MAX_SHOWN else f"a text of {len(text)} characters"
    return Unreadable(f"must be {kind.description}, not {shown}")


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds. `zero` says what 0 means where the smallest other value is `minimum`."""

    minimum: int
    maximum: int
    unit: str = ""
    zero: str = ""

    @property
    def description(self) -> str:
        """What a value is."""
        return _bounded(
            "a whole number" + (f" of {self.unit}" if self.unit else ""),
            str(self.minimum),
            str(self.maximum),
            self.zero,
        )

    def parse(self, text: str) -> int:
        """Return the number."""
        if re.fullmatch("[0-9]{1,18}", text) and _within(self, int(text)):
            return int(text)
        raise refused(self, text)


@dataclass(frozen=True)
class Amount:
    """A decimal number from `minimum` to `maximum`."""

    minimum: int
    maximum: int
    unit: str = ""
    zero: str = ""

    @property
    def description(self) -> str:
        """What a value is."""
        return _bounded(
            f"a number of {self.unit}" if self.unit else "a number", str(self.minimum), str(self.maximum), self.zero
        )

    def parse(self, text: str) -> float:
        """Return the number."""
        if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", text) and _within(self, float(text)):
            return float(text)
        raise refused(self, text)


@dataclass(frozen=True)
class Duration:
    """A time with a unit, or a number of `unit`s ("s" or "d"); bounds are in that unit, days are whole."""

    minimum: int
    maximum: int
    unit: str = "s"
    zero: str = ""
    examples: ClassVar[dict[str, str]] = {"s": "60, 60s, 1m or 1h", "d": "30, 30d or 720h"}

    @property
    def description(self) -> str:
        """What a value is."""
        smallest, largest = self._written(self.minimum), self._written(self.maximum)
        return _bounded(f"a duration ({self.examples[self.unit]})", smallest, largest, self.zero)

    def parse(self, text: str) -> float:
        """Return the duration in its unit."""
        found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([smhd]?)", text.lower())
        if found:
            value = float(found[1]) * SECONDS[found[2] or self.unit] / SECONDS[self.unit]
            if _within(self, value) and (self.unit == "s" or value.is_integer()):
                return value if self.unit == "s" else int(value)
        raise refused(self, text)

    def _written(self, value: int) -> str:
        seconds = value * SECONDS[self.unit]
        unit = next(unit for unit in "dhms" if seconds % SECONDS[unit] == 0 and (seconds or unit == self.unit))
        return f"{seconds // SECONDS[unit]}{unit}"


@dataclass(frozen=True)
class Switch:
    """True or false, in the usual words."""

    description: str = "true or false (also yes, no, on, off, 1, 0)"

    def parse(self, text: str) -> bool:
        """Return whether it is on."""
        if (word := text.lower()) in TRUE | FALSE:
            return word in TRUE
        raise refused(self, text)


@dataclass(frozen=True)
class OneOf:
    """One of a few words, in any letter case."""

    words: tuple[str, ...]

    @property
    def description(self) -> str:
        """What a value is."""
        return f"one of {', '.join(self.words)}"

    def parse(self, text: str) -> str:
        """Return the word as it is declared."""
        for word in self.words:
            if word.lower() == text.lower():
                return word
        raise refused(self, text)


@dataclass(frozen=True)
class Text:
    """Text that matches a pattern."""

    description: str
    pattern: str = r"\S+"
    lower: bool = False

    def parse(self, text: str) -> str:
        """Return the text."""
        if re.fullmatch(self.pattern, text) and text.isprintable():
            return text.lower() if self.lower else text
        raise refused(self, text)


@dataclass(frozen=True)
class Listed:
    """Values of another kind, separated by commas. Empty ones are left out."""

    item: Kind

    @property
    def description(self) -> str:
        """What a value is."""
        return f"a list separated by commas, each {self.item.description}"

    def parse(self, text: str) -> tuple[Any, ...]:
        """Return the values."""
        return tuple(self.item.parse(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True)
class Secret:
    """A text that no error may show; nothing about it can be unreadable."""

    description: str

    def parse(self, text: str) -> str:
        """Return the text."""
        return text


def _within(kind: Whole | Amount | Duration, value: float) -> bool:
    return kind.minimum <= value <= kind.maximum or (value == 0 and bool(kind.zero))


def _bounded(what: str, smallest: str, largest: str, zero: str) -> str:
    return f"{what} from {smallest} to {largest}" + (f", or 0: {zero}" if zero else "")
