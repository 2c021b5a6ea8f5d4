"""What goes between the HTTP server and the endpoints: requests, answers, errors, pages."""

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
    """A request as it came in. `path` is decoded, `query` holds the last value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the route's pattern found in the path."""

    @property
    def json(self) -> Any:
        """The body as JSON; None when there is none or it is not JSON."""
        try:
            return json.loads(self.raw) if self.raw else None
        except ValueError:
            return None

    def object(self) -> Json:
        """The body as a JSON object. Raises ApiError as GitHub answers: 400 for no JSON, 422 for something else."""
        body = self.json
        if body is None and self.raw:
            raise ApiError(400, "Problems parsing JSON")
        if body is not None and not isinstance(body, dict):
            raise ApiError(400, "Body should be a JSON object")
        return body or {}

    def number(self, name: str, default: int, maximum: int | None = None) -> int:
        """A positive number of the query; the default where it is missing or makes no sense."""
        text = self.query.get(name, "")
        number = int(text) if text.isdecimal() else default
        return min(max(number, 1), maximum or number or 1)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. A `body` of bytes or str is sent as it is, anything else as JSON."""

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


class ApiError(Exception):
    """An answer in GitHub's form for errors: message, errors if there are any, documentation_url, status."""

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
        self.answer = Answer(
            status, body | {"documentation_url": documentation_url, "status": str(status)}, dict(headers or {})
        )


def not_found() -> ApiError:
    """What GitHub answers for what is not there, and for what the caller may not see."""
    return ApiError(404, "Not Found")


def page(request: Request, url: str, items: list[_Item]) -> tuple[list[_Item], dict[str, str]]:
    """The asked page of a list, and a Link header as GitHub gives it (first, prev, next, last).

    Source: GitHub REST docs, "Using pagination in the REST API": `per_page` 30 by default, 100 at most.
    """
    per_page = request.number("per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE)
    number = request.number("page", 1)
    last = max(-(-len(items) // per_page), 1)
    links = []
    if number > 1:
        links += [("prev", min(number - 1, last)), ("first", 1)]
    if number < last:
        links = [*links[:1], ("next", number + 1), ("last", last), *links[1:]]

    def address(target: int) -> str:
        return f"{url}{request.path}?{urlencode({**request.query, 'per_page': per_page, 'page': target})}"

    header = ", ".join(f'<{address(target)}>; rel="{name}"' for name, target in links)
    start = (number - 1) * per_page
    return items[start : start + per_page], {"Link": header} if header else {}
