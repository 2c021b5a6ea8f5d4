"""A telemetry report as a table in a terminal, as JSON and as CSV. `report_page` makes the HTML page."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from telemetry.report import Figures, Report

COLUMNS = (
    "runs",
    "conclusions",
    "p50",
    "p95",
    "events",
    "degraded",
    "cache hits",
    "skipped",
    "retries",
    "tokens in",
    "tokens out",
    "cost",
)
"""Headings of `cells`."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula. Source: OWASP, "CSV Injection"."""


def title(report: Report) -> str:
    """Say what a report is about."""
    since = f"{report.since:%Y-%m-%d %H:%M}" if report.since else "the beginning"
    return f"Telemetry from {since} to {report.until:%Y-%m-%d %H:%M} UTC"


def empty_state(report: Report) -> str:
    """Say that there is nothing in the range, and what to do."""
    hint = " A longer --range, such as all, may have some." if report.since else ""
    return f"{title(report)}: no rows.{hint}"


def counts(values: dict[str, int]) -> str:
    """Render counts by name, the most frequent first."""
    return ", ".join(
        f"{name} {count:,}" for name, count in sorted(values.items(), key=lambda each: (-each[1], each[0]))
    )


def share(value: float | None) -> str:
    """Render a share in per cent."""
    return "" if value is None else f"{value:.1%}"


def seconds(milliseconds: float | None) -> str:
    """Render a duration in seconds."""
    return "" if milliseconds is None else f"{milliseconds / 1000:,.1f} s"


def cells(figures: Figures) -> tuple[str, ...]:
    """Render the figures of one line, under `COLUMNS`."""
    reasons = f" ({counts(figures.degraded)})" if figures.degraded else ""
    return (
        f"{figures.runs:,}",
        counts(figures.conclusions),
        seconds(figures.duration_p50_ms),
        seconds(figures.duration_p95_ms),
        f"{figures.events:,}",
        share(figures.degraded_share) + reasons,
        share(figures.cache_hit_rate),
        f"{figures.skipped_queries:,}",
        f"{figures.retry_attempts:,}",
        f"{figures.input_tokens + figures.cache_read_tokens + figures.cache_creation_tokens:,}",
        f"{figures.output_tokens:,}",
        f"${figures.cost_usd:,.2f}",
    )


def show_table(console: Console, report: Report) -> None:
    """Print a report: one line for each figure, or for each group a column-wise line."""
    if report.is_empty:
        console.print(Text(empty_state(report)))
        return
    if report.grouped_by is None:
        table = Table(title=title(report), show_header=False, title_justify="left")
        for name, cell in zip(COLUMNS, cells(report.total), strict=True):
            table.add_row(name, Text(cell))
    else:
        table = Table(title=title(report), title_justify="left")
        table.add_column(report.grouped_by, overflow="fold")
        for name in COLUMNS:
            table.add_column(name, justify="left" if name in ("conclusions", "degraded") else "right")
        for figures in report.groups:
            table.add_row(Text(figures.name), *(Text(cell) for cell in cells(figures)))
        table.add_section()
        table.add_row("all", *(Text(cell) for cell in cells(report.total)))
    console.print(table)


def as_json(report: Report) -> str:
    """Return a report as JSON: durations in milliseconds, rates as shares of 1, cost in US dollars."""

    def figures(each: Figures) -> dict[str, Any]:
        return {**asdict(each), "degraded_share": each.degraded_share}

    document = {
        "since": report.since,
        "until": report.until,
        "by": report.grouped_by,
        "total": figures(report.total),
        "groups": [figures(each) for each in report.groups],
        "periods": [asdict(each) for each in report.periods],
    }
    return json.dumps(document, indent=2, default=lambda value: value.isoformat())


def as_csv(report: Report) -> str:
    """Return a report as CSV: a line for each group, and one for all; the units are those of the JSON."""
    lines = [*report.groups, report.total]
    conclusions = sorted({name for each in lines for name in each.conclusions})
    reasons = sorted({name for each in lines for name in each.degraded})
    plain = [name for name, value in asdict(report.total).items() if not isinstance(value, dict) and name != "name"]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = [report.grouped_by or "group", *plain, "degraded_share"]
    head += [f"conclusion {name}" for name in conclusions] + [f"degraded {name}" for name in reasons]
    writer.writerow(map(_cell, head))
    for each in lines:
        values = [each.name, *(getattr(each, name) for name in plain), each.degraded_share]
        values += [each.conclusions.get(name, 0) for name in conclusions]
        values += [each.degraded.get(name, 0) for name in reasons]
        writer.writerow(map(_cell, values))
    return file.getvalue()


def _cell(value: Any) -> Any:
    """Names come from strangers: none may become a formula of a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
