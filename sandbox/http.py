"""Requests, responses, errors and pages of GitHub's API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from sandbox.app import Json

DOCUMENTATION_URL = "https://docs.github.com/rest"
DEFAULT_PER_PAGE = 30
MAX_PER_PAGE = 100

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Request:
    """An HTTP request. `path` is decoded; `query` holds the last value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The named groups of the route's pattern."""

    @property
    def json(self) -> Any:
        """The body as JSON; None for an empty body and for invalid JSON."""
        try:
            return json.loads(self.raw) if self.raw else None
        except ValueError:
            return None

    def json_object(self) -> Json:
        """Return the body as a JSON object, {} for an empty body. Raises ApiError 400 for anything else."""
        body = self.json
        if body is None and self.raw:
            raise ApiError(400, "Problems parsing JSON")
        if body is not None and not isinstance(body, dict):
            raise ApiError(400, "Body should be a JSON object")
        return body or {}

    def positive_int(self, name: str, default: int, maximum: int | None = None) -> int:
        """Return a query parameter as a number from 1 to `maximum`; `default` if it is missing or not a number."""
        text = self.query.get(name, "")
        number = int(text) if text.isdecimal() else default
        return min(max(number, 1), maximum or number or 1)


@dataclass(frozen=True)
class Response:
    """An HTTP response. A `body` of bytes or str is sent unchanged, any other as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"

    @property
    def content(self) -> bytes:
        """The body as bytes; empty for None."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace")

    def with_headers(self, headers: Mapping[str, str]) -> "Response":
        """Return a copy with more headers; existing headers win."""
        return Response(self.status, self.body, {**headers, **self.headers}, self.content_type)


class ApiError(Exception):
    """An error response in GitHub's form: `message`, `errors` if any, `documentation_url`, `status`."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: list[Any] | None = None,
        *,
        documentation_url: str = DOCUMENTATION_URL,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        body: Json = {"message": message}
        if errors is not None:
            body["errors"] = errors
        self.response = Response(
            status, body | {"documentation_url": documentation_url, "status": str(status)}, dict(headers or {})
        )


def not_found() -> ApiError:
    """GitHub's error for a resource that does not exist or that the caller may not see."""
    return ApiError(404, "Not Found")


def paginate(request: Request, api_url: str, items: list[_Item]) -> tuple[list[_Item], dict[str, str]]:
    """Return the requested page of a list, and the `Link` header (prev, next, last, first).

    Source: GitHub REST docs, "Using pagination in the REST API": `per_page` is 30 by default, 100 at most.
    """
    per_page = request.positive_int("per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE)
    number = request.positive_int("page", 1)
    last = max(-(-len(items) // per_page), 1)
    links = []
    if number > 1:
        links += [("prev", min(number - 1, last)), ("first", 1)]
    if number < last:
        links = [*links[:1], ("next", number + 1), ("last", last), *links[1:]]

    def address(page: int) -> str:
        return f"{api_url}{request.path}?{urlencode({**request.query, 'per_page': per_page, 'page': page})}"

    header = ", ".join(f'<{address(page)}>; rel="{name}"' for name, page in links)
    start = (number - 1) * per_page
    return items[start : start + per_page], {"Link": header} if header else {}


def list_response(request: Request, api_url: str, items: list[Json]) -> Response:
    """Return the response of a list endpoint: the requested page of `items`."""
    page, headers = paginate(request, api_url, items)
    return Response(body=page, headers=headers)
