"""What the terminal shows: the story as it happens, and each review as people see it on GitHub."""

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

WIDTH = 100
"""Columns: no wider than is good to read, and what is shown where there is no terminal."""

_COLUMNS = ("cache_hit_rate", "skipped_queries", "retry_attempts", "degradation_path")
_HIDDEN = re.compile(r"<!--.*?-->", re.DOTALL)
_SUGGESTION = re.compile(r"(?P<fence>`{3,})suggestion\n(?P<text>.*?)^(?P=fence)$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Check:
    """One point of the story: what it promises, what that means in a value, and the value that was seen."""

    text: str
    expected: object
    seen: object

    @property
    def ok(self) -> bool:
        return self.seen == self.expected

    def __str__(self) -> str:
        return f"✓ {self.text}" if self.ok else f"✗ {self.text}: expected {self.expected!r}, seen {self.seen!r}"


class Screen:
    """Writes to a console; the clock beside each line starts anew with each chapter."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH

    def chapter(self, heading: str, about: str) -> None:
        self._started = time.monotonic()
        self._console.print()
        self._console.print(Rule(Text(heading, style="bold"), align="left", characters="━", style="cyan"))
        self._console.print(Text(about, style="italic"))
        self._console.print()

    def tell(self, text: str, *, mark: str = "·") -> None:
        """One event, with the seconds since the chapter began."""
        line = Table.grid(padding=(0, 1))
        line.add_column(justify="right", width=7, style="dim")
        line.add_column(style="cyan")
        line.add_column(overflow="fold")
        line.add_row(f"{time.monotonic() - self._started:.2f} s", mark, Text(text))
        self._console.print(line)

    def waiting(self, what: str) -> AbstractContextManager[object]:
        """Show what is waited for, where there is a terminal that can take it away again."""
        return self._console.status(Text(f"{what} …", style="dim"), spinner="dots")

    def review(self, pull: str, review: Mapping[str, Any], files: Mapping[str, str]) -> None:
        """A published review with its inline comments. `files` are the changed files, path to text."""
        parts: list[RenderableType] = [_markdown(review["body"])]
        for comment in review["comments"]:
            parts += ["", *_comment(comment, files[comment["path"]].splitlines())]
        title = Text.assemble((review["user"]["login"], "bold"), f" reviewed {pull}")
        self._show(Panel(Group(*parts), title=title, title_align="left", border_style="blue", padding=(1, 2)))

    def rows(self, of: str, events: Sequence[RateLimitEvent]) -> None:
        """Rows of the table of rate-limit events, under the names of its columns."""
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
        for column in _COLUMNS:
            table.add_column(column, overflow="fold")
        for event in events:
            table.add_row(*(Text(str(getattr(event, column))) for column in _COLUMNS))
        self.say(f"Table {RateLimitEvent._meta.db_table}, all rows of this delivery about {of}", style="bold")
        self._show(table)

    def checks(self, *checks: Check) -> list[Check]:
        """Show what was checked, and return it."""
        self._console.print()
        for check in checks:
            self._show(Text(str(check), style="green" if check.ok else "bold red"))
        return list(checks)

    def say(self, *lines: str, style: str = "") -> None:
        self._console.print()
        for line in lines:
            self._show(Text(line, style=style))

    def _show(self, what: RenderableType) -> None:
        self._console.print(Padding(what, (0, 0, 0, 2), expand=False))


def _markdown(text: str) -> Markdown:
    return Markdown(_HIDDEN.sub("", text).strip())


def _comment(comment: Mapping[str, Any], lines: list[str]) -> list[RenderableType]:
    """An inline comment under its lines, as GitHub shows it; `lines` are those of the file."""
    last = comment["line"]
    first = comment.get("start_line") or last
    quoted = lines[first - 1 : last]
    where = f"{comment['path']}:{first}" + (f"-{last}" if last > first else "")
    suggestion = _SUGGESTION.search(comment["body"])
    said = comment["body"][: suggestion.start()] if suggestion else comment["body"]
    parts: list[RenderableType] = [Text(where, style="bold cyan")]
    parts += [Text(f"{first + number:>5} │ {line}", style="dim") for number, line in enumerate(quoted)]
    parts.append(Padding(_markdown(said), (0, 0, 0, 6)))
    if suggestion:
        parts.append(Text("      Suggested change, to be committed with one click:", style="dim"))
        parts += [Text(f"      - {line}", style="red") for line in quoted]
        parts += [Text(f"      + {line}", style="green") for line in suggestion["text"].splitlines()]
    return parts
