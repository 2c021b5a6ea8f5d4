"""The range of time that a dashboard is about, read from a query string."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

HOURS_BY_HOUR = 48
"""Hours up to which a chart has one column for each."""
MAX_DAYS = 62
"""Days of a range. Counting more takes longer than a page may take; `telemetry_report` has no such limit."""
USUAL = {
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
}
"""Ranges by their name in the query string: what the page calls them, and how long they are. They end now."""
DEFAULT = "24h"


@dataclass(frozen=True)
class Range:
    """From `since` until `until`, in columns of an hour or a day."""

    name: str
    """A key of `USUAL`; empty for days of the user's own."""
    since: datetime
    until: datetime
    note: str = ""
    """Why the range is not what the query string asked for."""

    @property
    def digits(self) -> int:
        """Characters of a time in ISO format that name its column: up to the hour, or the day."""
        return 13 if self.until - self.since <= timedelta(hours=HOURS_BY_HOUR) else 10

    @property
    def parts(self) -> list[tuple[str, datetime, datetime]]:
        """The columns from first to last: the name of each, and from when to when it belongs to the range."""
        found = []
        start = self.since
        while start < self.until:
            hour = start.replace(minute=0, second=0, microsecond=0)
            end = hour + timedelta(hours=1) if self.digits == 13 else hour.replace(hour=0) + timedelta(days=1)
            found.append((start.isoformat(" ")[: self.digits], start, min(end, self.until)))
            start = end
        return found

    @property
    def columns(self) -> list[str]:
        """The names of the columns from first to last, also of those in which nothing happened."""
        return [name for name, _, _ in self.parts]

    @property
    def first_day(self) -> str:
        """The first day, for links to lists."""
        return self.since.date().isoformat()

    @property
    def last_day(self) -> str:
        """The last day, for links to lists."""
        return (self.until - timedelta(microseconds=1)).date().isoformat()


def read_range(query: Mapping[str, str]) -> Range:
    """Return the range that a query string asks for: `range=7d`, or `since` and `until`, two days in UTC."""
    now = timezone.now()
    asked = query.get("range", "")
    name = asked if asked in USUAL else DEFAULT
    usual = Range(name, now - USUAL[name][1], now)
    first, last = query.get("since", ""), query.get("until", "")
    if not (first or last):
        return usual
    try:
        since = date.fromisoformat(first or last)
        until = date.fromisoformat(last) if last else now.date()
        since, until = min(since, until), max(since, until)
        end = datetime.combine(until + timedelta(days=1), time(), UTC)
    except (ValueError, OverflowError):
        return replace(usual, note="A day is written as 2026-09-11.")
    start = datetime.combine(since, time(), UTC)
    if end - start <= timedelta(days=MAX_DAYS):
        return Range("", start, end)
    note = f"The last {MAX_DAYS} days of them. For more, use the command telemetry_report."
    return Range("", end - timedelta(days=MAX_DAYS), end, note)
