"""Charts as SVG from the server: no script, no inline style, all text escaped, and the same figures as a table.

The drawing is stretched to its place. What people read stands beside it as text, so that it is readable on a phone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log10

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

HEIGHT = 100
"""Height of a drawing in its own units; a column is ten units wide."""
COLUMN = 10.0
GAP = 1.6


@dataclass(frozen=True)
class Series:
    """Values of one kind, one for each column. `kind` names its colour in the stylesheet."""

    name: str
    kind: str
    values: Sequence[float]

    @property
    def total(self) -> float:
        """The sum of the values."""
        return sum(self.values)


@dataclass(frozen=True)
class Chart:
    """Stacked columns over time."""

    title: str
    columns: Sequence[str]
    series: Sequence[Series]
    write: Callable[[float], str] = lambda value: f"{value:,.0f}"
    """How a value is written."""

    @property
    def top(self) -> float:
        """The value at the top: the highest column, rounded up to a number whose half is a whole number too."""
        highest = max((sum(values) for values in zip(*(one.values for one in self.series), strict=True)), default=0.0)
        power = 10.0 ** max(0, ceil(log10(max(highest, 1))) - 1)
        steps = (
            (2, 4, 6, 8, 10)
            if power == 1
            else (1, 2, 3, 4, 5, 6, 8, 10)
            if power == 10
            else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
        )
        return next(step * power for step in steps if step * power >= highest)

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to draw."""
        return not any(one.total for one in self.series)

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """Kind, name and total of each series."""
        return [(one.kind, one.name, self.write(one.total)) for one in self.series]

    @property
    def scale(self) -> tuple[str, str, str]:
        """What is written at the top, in the middle and at the bottom."""
        return self.write(self.top), self.write(self.top / 2), self.write(0)

    @property
    def ends(self) -> tuple[str, ...]:
        """The first, the middle and the last column, as they are written below the drawing."""
        last = len(self.columns) - 1
        return tuple(_short(self.columns[index]) for index in sorted({0, last // 2, last}))

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """The table: each column with its values, without those in which nothing happened."""
        values = zip(*(one.values for one in self.series), strict=True)
        return [
            (column, [self.write(value) for value in row])
            for column, row in zip(self.columns, values, strict=True)
            if any(row)
        ]

    @property
    def svg(self) -> SafeString:
        """The drawing."""
        bars = []
        for index, column in enumerate(self.columns):
            parts, height = [], 0.0
            for one in self.series:
                size = one.values[index] / self.top * HEIGHT
                if size > 0:
                    # Not thinner than can be seen.
                    size = max(size, 0.8)
                    top = max(0.0, HEIGHT - height - size)
                    parts.append(
                        (
                            one.kind,
                            f"{index * COLUMN + GAP / 2:.1f}",
                            f"{top:.2f}",
                            f"{COLUMN - GAP:.1f}",
                            f"{size:.2f}",
                        )
                    )
                    height += size
            if parts:
                described = ", ".join(
                    f"{one.name} {self.write(one.values[index])}" for one in self.series if one.values[index]
                )
                rects = format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', parts)
                bars.append((f"{column}: {described}", rects))
        drawn = format_html_join("", "<g><title>{}</title>{}</g>", bars)
        width = f"{max(1, len(self.columns)) * COLUMN:.0f}"
        return format_html(
            '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}" focusable="false">'
            '<line x1="0" x2="{}" y1="0" y2="0"/><line x1="0" x2="{}" y1="50" y2="50"/>{}</svg>',
            width, HEIGHT, f"{self.title}. The table below has the figures.", width, width, drawn,
        )  # fmt: skip


def _short(column: str) -> str:
    """An hour as 18:00, a day as 09-11."""
    return f"{column[11:]}:00" if len(column) == 13 else column[5:]
