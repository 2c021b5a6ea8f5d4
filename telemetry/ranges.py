"""Ranges of time in commands: `24h`, `7d`, `4w`, or a date."""

import re
from datetime import UTC, datetime, timedelta

from django.utils.dateparse import parse_datetime

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def time_ago(text: str, now: datetime) -> datetime:
    """Return the time that is `text`, such as `7d`, before `now`. Raises ValueError."""
    if not (match := re.fullmatch(r"([1-9]\d{0,3})([hdw])", text)):
        raise ValueError(f"{text!r} is not a number with h, d or w behind it, such as 24h, 7d or 4w")
    return now - timedelta(**{_UNITS[match[2]]: int(match[1])})


def beginning(text: str, now: datetime) -> datetime:
    """Return the time that `text` names: as in `time_ago`, or a date or time in ISO 8601, UTC without an offset.

    Raises ValueError.
    """
    try:
        return time_ago(text, now)
    except ValueError as error:
        try:
            time = parse_datetime(text)
            if time is None:
                raise ValueError
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"{error}, nor a date, such as 2026-11-01") from None
