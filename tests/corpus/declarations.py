"""How a pull request of the corpus is declared: a function that opens it, whose docstring says what is to be said."""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from sandbox import PullRequest, Sandbox

Opened = Callable[[Sandbox], PullRequest]


@dataclass(frozen=True)
class Declared:
    """A pull request of the corpus. `opened` makes its repository and its history, and leaves it ready for review."""

    name: str
    meant: str
    """What it is about and which review it must get, in a sentence or two."""
    opened: Opened


DECLARED: dict[str, Declared] = {}
"""By name, in the order in which they were declared."""


def pull_request(opened: Opened) -> Opened:
    """Declare the pull request that a function opens. Raises ValueError for a second one of that name."""
    name = opened.__name__.replace("_", "-")
    if name in DECLARED:
        raise ValueError(f"the corpus has a pull request {name} already")
    DECLARED[name] = Declared(name, " ".join(inspect.getdoc(opened).split()), opened)
    return opened


def code(text: str) -> str:
    """The content of a file, written as an indented block."""
    return textwrap.dedent(text).removeprefix("\n")
