"""How the operators' pages write durations, and where rows are."""

from datetime import timedelta

from django import template
from django.db.models import Model
from django.urls import reverse

register = template.Library()


@register.filter
def seconds(value: timedelta | float | None) -> str:
    """Write a duration, a timedelta or seconds, as people say it: 0.42 s, 12.3 s, 4 min 5 s, 3 h 12 min, 2 d 4 h."""
    if value is None:
        return "–"
    total = value.total_seconds() if isinstance(value, timedelta) else value
    if total < 60:
        return f"{total:.2f} s" if total < 1 else f"{total:.1f} s"
    for unit, smaller, size, part in (("min", "s", 60, 1), ("h", "min", 3600, 60), ("d", "h", 86_400, 3600)):
        if total < size * (60 if unit == "min" else 24) or unit == "d":
            whole, rest = divmod(int(total), size)
            return f"{whole} {unit}" + (f" {rest // part} {smaller}" if rest // part else "")
    raise AssertionError


@register.filter
def page_of(row: Model) -> str:
    """Return the address of a row's page in the admin."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


@register.filter
def thousands(value: float | None) -> str:
    """Write a number with separators: 12,345."""
    return "–" if value is None else f"{value:,.0f}"


@register.filter
def percent(value: float | None) -> str:
    """Write a share: 97 %, 99.9 %, 0.3 %; never 100 % or 0 % for what is not quite."""
    if value is None:
        return "–"
    places = 1 if 0 < value < 0.1 or 0.99 < value < 1 else 0
    text = f"{value * 100:.{places}f}"
    if value < 1 and float(text) == 100:
        return "> 99.9 %"
    return "< 0.1 %" if value > 0 and float(text) == 0 else f"{text} %"


@register.filter
def dollars(value: float) -> str:
    """Write an amount: 0.0042, 1.25, 1,234.50."""
    return f"{value:,.4f}" if 0 < value < 0.1 else f"{value:,.2f}"
