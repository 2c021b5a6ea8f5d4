"""A filter of lists by days: two dates, and links to the usual ranges and to the one before and after."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db import connections
from django.db.models import F, Max, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from telemetry.read_only_admin import by_index

SINCE, UNTIL = "since", "until"
"""Parameters: the first and the last day, in UTC."""
USUAL = {"today": 1, "7 days": 7, "30 days": 30}
"""Ranges that are one click away, in days that end today."""


class DateRangeFilter(admin.FieldListFilter):
    """Rows from the first day to the last. It asks the database nothing, unlike Django's date hierarchy."""

    template = "admin/date_range_filter.html"

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        self.title = "day"
        self.since, self.until = self._date(SINCE), self._date(UNTIL)

    def expected_parameters(self) -> list[str | None]:
        """Return the parameters that this filter reads."""
        return [SINCE, UNTIL]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of these days."""
        condition = Q()
        if self.since is not None:
            condition &= Q((f"{self.field_path}__gte", _midnight(self.since)))
        if self.until is not None:
            condition &= Q((f"{self.field_path}__lt", _midnight(self.until + timedelta(days=1))))
        if self.since is not None and self.until is not None and self.until < timezone.now().date():
            condition &= _up_to_the_newest(queryset, condition)
        return by_index(queryset, condition) if condition else queryset

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Yield the usual ranges, then what the form needs."""
        today = timezone.now().date()
        yield self._link(changelist, "any day", None, None)
        for name, days in USUAL.items():
            yield self._link(changelist, name, today - timedelta(days=days - 1), today)
        if self.since is not None and self.until is not None and self.since <= self.until:
            days = (self.until - self.since).days + 1
            for name, shift in (("earlier", -days), ("later", days)):
                moved = [day + timedelta(days=shift) for day in (self.since, self.until)]
                yield self._link(changelist, name, moved[0], moved[1])

    @property
    def hidden(self) -> dict[str, str]:
        """Other parameters, which the form keeps."""
        ours = (SINCE, UNTIL, "before", "after")
        return {name: str(value) for name, value in self.request.GET.items() if name not in ours}

    def _link(self, changelist: ChangeList, name: str, since: date | None, until: date | None) -> dict[str, Any]:
        return {
            "selected": (since, until) == (self.since, self.until),
            "query_string": changelist.get_query_string({SINCE: since, UNTIL: until}),
            "display": name,
        }

    def _date(self, name: str) -> date | None:
        # A list of values, of which the last counts, as elsewhere in Django.
        values: Any = self.used_parameters.get(name)
        text = values[-1] if values else ""
        try:
            return date.fromisoformat(text) if text else None
        except ValueError as error:
            raise IncorrectLookupParameters from error


def _up_to_the_newest(rows: QuerySet[Any], condition: Q) -> Q:
    """Rows with at most the highest id of a range that ended long ago, for PostgreSQL.

    It would look for the range from the newest id downwards, past all rows that came later. The sum keeps it from
    doing the same for the highest id.
    """
    if connections[rows.db].vendor != "postgresql":
        return Q()
    matching = rows.model._base_manager.using(rows.db).filter(condition)
    return Q(pk__lte=matching.aggregate(newest=Max(F("pk") + 0))["newest"] or 0)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
