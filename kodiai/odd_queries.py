"""Middleware: a query string of the admin that no database can answer is a bad request, and no error of Kodiai."""

import logging
from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.db import DataError, OperationalError
from django.http import HttpRequest, HttpResponse

from telemetry.problems import bad_request

logger = logging.getLogger(__name__)

MAX_QUERY = 4000
"""Characters of a query string."""
MAX_WORDS = 20
"""Words of a search: the admin makes an expression of each, and SQLite refuses a thousand of them."""


class OddQueries:
    """Answer 400 where a value of the query string, or an id in the path, is out of any range."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Refuse a query that is too long. Raises SuspiciousOperation."""
        if request.path.startswith("/admin/"):
            too_long = len(request.META.get("QUERY_STRING", "")) > MAX_QUERY
            if too_long or len(request.GET.get("q", "").split()) > MAX_WORDS:
                raise SuspiciousOperation("the query is too long")
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return 400 for what a value of the query caused, None for all else."""
        if not request.path.startswith("/admin/") or request.method not in ("GET", "HEAD"):
            return None
        if isinstance(exception, OverflowError | DataError) or (request.GET and _is_about_a_value(exception)):
            logger.warning("query not understood", extra={"error": f"{type(exception).__name__}: {exception}"[:300]})
            return bad_request(request, exception)
        return None


def _is_about_a_value(exception: Exception) -> bool:
    # SQLite's lookups of times and patterns are functions in Python, whose errors it reports so.
    in_function = isinstance(exception, OperationalError) and "user-defined function raised" in str(exception)
    return isinstance(exception, ValueError) or in_function
