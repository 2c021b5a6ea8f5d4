"""Export rows as CSV or JSON Lines, piece by piece: memory does not grow with their number."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

BATCH = 1000
"""Rows that are read at once, in one query: no cursor stays open while a client reads slowly."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet takes for a formula. Source: OWASP, "CSV Injection"."""

Row = dict[str, Any]


def batches(rows: QuerySet[Any], columns: Sequence[str]) -> Iterator[list[Row]]:
    """Yield the rows, newest first, in batches. `rows` is filtered, and has an integer primary key."""
    ordered = rows.order_by("-pk").values(*dict.fromkeys(["pk", *columns]))
    page = list(ordered[:BATCH])
    while page:
        last = page[-1]["pk"]
        yield [{name: row[name] for name in columns} for row in page]
        page = list(ordered.filter(pk__lt=last)[:BATCH]) if len(page) == BATCH else []


def as_csv(rows: QuerySet[Any], columns: Sequence[str]) -> Iterator[str]:
    """Yield CSV: a header, then the rows."""
    yield _lines([list(columns)])
    for batch in batches(rows, columns):
        yield _lines([[_cell(row[name]) for name in columns] for row in batch])


def as_json_lines(rows: QuerySet[Any], columns: Sequence[str]) -> Iterator[str]:
    """Yield JSON Lines: one object for each row."""
    for batch in batches(rows, columns):
        yield "".join(json.dumps(row, default=_plain, ensure_ascii=False) + "\n" for row in batch)


FORMATS: dict[str, tuple[str, str, Callable[[QuerySet[Any], Sequence[str]], Iterator[str]]]] = {
    "csv": ("CSV", "text/csv; charset=utf-8", as_csv),
    "jsonl": ("JSON Lines", "application/jsonl; charset=utf-8", as_json_lines),
}
"""File name extension: name, content type, and what writes it."""


def _lines(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Write a value so that no spreadsheet calculates it. Numbers stay numbers."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
