"""The output of the demo: events as they happen, and each review as GitHub shows it."""

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from telemetry.models import RateLimitEvent

MAX_WIDTH = 100
"""Columns; also the width where there is no terminal."""

_COLUMNS = ("cache_hit_rate", "skipped_queries", "retry_attempts", "degradation_path")
_HTML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SUGGESTION = re.compile(r"(?P<fence>`{3,})suggestion\n(?P<text>.*?)^(?P=fence)$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Check:
    """A check of the demo: what it shows, the expected value and the actual one."""

    text: str
    expected: object
    actual: object

    @property
    def ok(self) -> bool:
        """Whether the actual value is the expected one."""
        return self.actual == self.expected

    def __str__(self) -> str:
        return f"✓ {self.text}" if self.ok else f"✗ {self.text}: expected {self.expected!r}, got {self.actual!r}"


class DemoConsole:
    """Prints the demo. The time beside each event counts from the start of its chapter."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        console.width = min(console.width, MAX_WIDTH) if console.is_terminal else MAX_WIDTH

    def chapter(self, heading: str, about: str) -> None:
        """Begin a chapter: print its heading, and what it is about."""
        self._started = time.monotonic()
        self._console.print()
        self._console.print(Rule(Text(heading, style="bold"), align="left", characters="━", style="cyan"))
        self._console.print(Text(about, style="italic"))
        self._console.print()

    def event(self, text: str, *, mark: str = "·") -> None:
        """Print an event with the seconds since the chapter began."""
        line = Table.grid(padding=(0, 1))
        line.add_column(justify="right", width=7, style="dim")
        line.add_column(style="cyan")
        line.add_column(overflow="fold")
        line.add_row(f"{time.monotonic() - self._started:.2f} s", mark, Text(text))
        self._console.print(line)

    def waiting(self, text: str) -> AbstractContextManager[object]:
        """Show a spinner during a `with` block, if the output is a terminal."""
        return self._console.status(Text(f"{text} …", style="dim"), spinner="dots")

    def review(self, pull: str, review: Mapping[str, Any], files: Mapping[str, str]) -> None:
        """Print a published review with its inline comments. `files` maps the changed files' paths to their texts."""
        parts: list[RenderableType] = [_markdown(review["body"])]
        for comment in review["comments"]:
            parts += ["", *_comment(comment, files[comment["path"]].splitlines())]
        title = Text.assemble((review["user"]["login"], "bold"), f" reviewed {pull}")
        self._indented(Panel(Group(*parts), title=title, title_align="left", border_style="blue", padding=(1, 2)))

    def telemetry(self, pull: str, events: Sequence[RateLimitEvent]) -> None:
        """Print the rate-limit events of a delivery as a table."""
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
        for column in _COLUMNS:
            table.add_column(column, overflow="fold")
        for event in events:
            table.add_row(*(Text(str(getattr(event, column))) for column in _COLUMNS))
        self.print(f"Table {RateLimitEvent._meta.db_table}: rows of the delivery of {pull}", style="bold")
        self._indented(table)

    def checks(self, *checks: Check) -> list[Check]:
        """Print checks, and return them."""
        self._console.print()
        for check in checks:
            self._indented(Text(str(check), style="green" if check.ok else "bold red"))
        return list(checks)

    def print(self, *lines: str, style: str = "") -> None:
        """Print lines after an empty one."""
        self._console.print()
        for line in lines:
            self._indented(Text(line, style=style))

    def _indented(self, renderable: RenderableType) -> None:
        self._console.print(Padding(renderable, (0, 0, 0, 2), expand=False))


def _markdown(text: str) -> Markdown:
    return Markdown(_HTML_COMMENT.sub("", text).strip())


def _comment(comment: Mapping[str, Any], lines: list[str]) -> list[RenderableType]:
    """Render an inline comment below its lines, as GitHub does. `lines` are those of the file."""
    last = comment["line"]
    first = comment.get("start_line") or last
    quoted = lines[first - 1 : last]
    location = f"{comment['path']}:{first}" + (f"-{last}" if last > first else "")
    suggestion = _SUGGESTION.search(comment["body"])
    text = comment["body"][: suggestion.start()] if suggestion else comment["body"]
    parts: list[RenderableType] = [Text(location, style="bold cyan")]
    parts += [Text(f"{first + number:>5} │ {line}", style="dim") for number, line in enumerate(quoted)]
    parts.append(Padding(_markdown(text), (0, 0, 0, 6)))
    if suggestion:
        parts.append(Text("      Suggested change, committed with one click:", style="dim"))
        parts += [Text(f"      - {line}", style="red") for line in quoted]
        parts += [Text(f"      + {line}", style="green") for line in suggestion["text"].splitlines()]
    return parts
