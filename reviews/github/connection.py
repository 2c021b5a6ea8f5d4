"""One connection to GitHub: a call is made, its answer read within bounds, judged, and its limits remembered.

Built on githubkit for authentication and on its HTTP client for transport. What the library would make of an answer
(retries, limits, parsing, redirects) is decided here, because an answer is a stranger's: it may be endless, lead
elsewhere, or claim what cannot be.
"""

import logging
import ssl
import time
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar, get_args

import githubkit
import httpx
from django.conf import settings
from githubkit.auth.base import BaseAuthStrategy
from githubkit.cache import MemCacheStrategy
from pydantic import TypeAdapter, ValidationError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from reviews.github import limits
from reviews.github.errors import Refused, Unavailable, is_limit, message_of, read_json

logger = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(20, connect=5)
"""Seconds for each read, write and connect of a call."""
MAX_ANSWER_SECONDS = 60.0
"""Seconds for the body of an answer in all, however steadily it drips."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Bytes of an answer's body. One GraphQL query for 100 files is the largest thing that Kodiai asks for."""
MAX_TRIES = 3
"""Tries of a call that changes nothing, before a server error becomes a failed attempt of the run."""
BACKOFF = 0.2
"""Seconds of which the waits between tries are multiples, with jitter."""
MAX_REDIRECTS = 3
"""A repository that was renamed is one redirect away, one that was transferred too another."""

T = TypeVar("T")
_UNREADABLE = object()


class Connection:
    """GitHub for one identity: `owner` names whose limits count, `authenticate` is asked for its credentials.

    Kept open from the first call to `close`. A call raises `RateLimited`, `Refused` or `Unavailable`, and what
    `authenticate` raises.
    """

    def __init__(self, owner: str, authenticate: Callable[[], BaseAuthStrategy]) -> None:
        self.owner = owner
        self._authenticate = authenticate
        self._kit: githubkit.GitHub[Any] | None = None

    def close(self) -> None:
        if self._kit is not None:
            self._kit.__exit__()
            self._kit = None

    def call(
        self,
        method: str,
        path: str,
        read: Callable[[httpx.Response], T],
        *,
        resource: str = "core",
        tries: int = MAX_TRIES,
        before: Callable[[], None] | None = None,
        **kwargs: Any,
    ) -> T:
        """Make a call, and return what `read` makes of GitHub's answer to a success.

        `before` is called when all is ready to be sent and nothing is sent yet; what it raises is raised.
        Where GitHub is `Unavailable`, and `read` may find that too, the call is made again, up to `tries` in all.
        """
        retrying = Retrying(
            stop=stop_after_attempt(tries),
            wait=wait_random_exponential(multiplier=BACKOFF, max=2),
            retry=retry_if_exception_type(Unavailable),
            reraise=True,
        )
        limits.raise_if_exhausted(self.owner, resource)
        kit = self._connect()
        if before is not None:
            before()
        return retrying(lambda: read(self._call_once(kit, method, path, resource, kwargs)))

    def _call_once(
        self, kit: "githubkit.GitHub[Any]", method: str, path: str, resource: str, kwargs: dict[str, Any]
    ) -> httpx.Response:
        try:
            response = self._send(kit, method, path, kwargs)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{method} {path}: {type(error).__name__}: {error}") from error
        limits.remember(self.owner, resource, response)
        return self._judged(f"{method} {path}", resource, response)

    def _connect(self) -> "githubkit.GitHub[Any]":
        if self._kit is None:
            self._kit = githubkit.GitHub(
                self._authenticate(),
                base_url=settings.KODIAI_GITHUB_API_URL,
                user_agent="Kodiai",
                timeout=TIMEOUT,
                follow_redirects=False,
                auto_retry=False,
                http_cache=False,
                # Of its own, so that a token signed with a key that was changed since is not used again.
                cache_strategy=MemCacheStrategy(),
                ssl_verify=_trusted(),
            )
            self._kit.__enter__()
        return self._kit

    def _send(self, kit: "githubkit.GitHub[Any]", method: str, path: str, kwargs: dict[str, Any]) -> httpx.Response:
        """Send a request and return GitHub's answer, whatever its status."""
        with kit.get_sync_client() as http:
            request = http.build_request(method, path, headers={"Accept-Encoding": "gzip"}, **kwargs)
            for _ in range(1 + MAX_REDIRECTS):
                response = _read_bounded(http.send(request, stream=True))
                onward = response.next_request
                # To another host neither the token goes nor our trust; and a POST that becomes a GET does nothing.
                if onward is None or onward.method != method or _origin(onward.url) != _origin(request.url):
                    break
                request = onward
            return response

    def _judged(self, call: str, resource: str, response: httpx.Response) -> httpx.Response:
        """Return the response if it is a success; raise what it means otherwise."""
        status = response.status_code
        if response.is_success:
            return response
        if status >= 500 or status < 200:
            raise Unavailable(f"GitHub answered {status} to {call}")
        if status in (403, 429) and is_limit(response):
            raise limits.register_hit(self.owner, resource, response)
        raise Refused(status, call, message_of(response))


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted, read once: to read them takes longer than a call."""
    return httpx.create_ssl_context()


def parse_as(model: type[T]) -> Callable[[httpx.Response], T]:
    """What reads the body of a response as `model`, and raises `Unavailable` where it is not."""
    return lambda response: validated(parse_json(response), model, response)


def parse_json(response: httpx.Response) -> Any:
    """The body as JSON. Raises `Unavailable` where it is none."""
    answer = read_json(response, otherwise=_UNREADABLE)
    if answer is _UNREADABLE:
        raise Unavailable(f"GitHub's answer to {_call_of(response)} is not JSON")
    return answer


def validated(data: Any, model: type[T], response: httpx.Response) -> T:
    """`data`, which is of that response, as `model`. Raises `Unavailable` where it has another form."""
    try:
        return TypeAdapter(model).validate_python(data)
    except ValidationError as error:
        name = getattr(get_args(model)[0] if get_args(model) else model, "__name__", "")
        raise Unavailable(f"GitHub's answer to {_call_of(response)} does not have the form of {name}") from error


def _call_of(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.path}"


def _read_bounded(response: httpx.Response) -> httpx.Response:
    """Read the body of a response that was sent for as a stream; raise `Unavailable` past the bounds of an answer."""
    deadline = time.monotonic() + MAX_ANSWER_SECONDS
    packed = response.headers.get("content-encoding", "identity").lower()
    # One layer of gzip, what is asked for, and unpacked no further than to the bound: httpx unpacks what comes.
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed == "gzip" else None
    body = bytearray()
    try:
        if unpack is None and packed != "identity":
            raise Unavailable("GitHub's answer is encoded in a way that was not asked for")
        for chunk in response.iter_raw():
            body += unpack.decompress(chunk, MAX_ANSWER_BYTES + 1 - len(body)) if unpack else chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise Unavailable(f"GitHub's answer is larger than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                raise Unavailable(f"GitHub's answer took longer than {MAX_ANSWER_SECONDS:.0f} seconds")
    except zlib.error as error:
        raise Unavailable("GitHub's answer is not the gzip that it says it is") from error
    finally:
        response.close()
    headers = [
        (name, value)
        for name, value in response.headers.raw
        if name.lower() not in (b"content-encoding", b"content-length", b"transfer-encoding")
    ]
    whole = httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)
    whole.next_request = response.next_request
    return whole


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
