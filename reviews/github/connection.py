"""A connection to GitHub: make calls, read answers within bounds, classify them, remember rate limits.

Built on githubkit for authentication and on its HTTP client for transport. Retries, limits, parsing and redirects are
handled here, because an answer is untrusted input: it may be endless, redirect elsewhere, or be malformed.
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
from reviews.github.call_log import logged
from reviews.github.errors import Refused, Unavailable, Unreachable, is_limit, message_of, read_json

logger = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(20, connect=5)
"""Seconds per read, write and connect."""
MAX_ANSWER_SECONDS = 60.0
"""Seconds for the whole body of an answer, however slowly it arrives."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Bytes of an answer's body. The largest is a GraphQL query for 100 files."""
MAX_TRIES = 3
"""Tries of a read-only call before the run is deferred, or its attempt fails."""
BACKOFF = 0.2
"""Base of the waits between tries in seconds, with jitter."""
API_VERSION = "2022-11-28"
"""Version of the REST API that is asked for. Source: GitHub REST docs, "API versions"."""
MAX_REDIRECTS = 3
"""A renamed repository is one redirect away, a transferred one another."""

T = TypeVar("T")
_INVALID = object()


class Connection:
    """A connection for one identity: `owner` is the owner of the rate limits, `authenticate` returns credentials.

    Open from the first call until `close`. Calls raise `RateLimited`, `Refused` or `Unavailable`, and what
    `authenticate` raises.
    """

    def __init__(self, owner: str, authenticate: Callable[[], BaseAuthStrategy]) -> None:
        self.owner = owner
        self._authenticate = authenticate
        self._kit: githubkit.GitHub[Any] | None = None

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
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
        """Make a call and return the result of `read` for a successful answer.

        `before` is called right before the request is sent; its exceptions propagate. If GitHub is `Unavailable`,
        which `read` may raise too, the call is retried, up to `tries` in all.
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
            with logged(method, path, resource) as answers:
                response = self._send(kit, method, path, kwargs)
                answers.append(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            ours = (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
            failure = Unavailable if isinstance(error, ours) else Unreachable
            raise failure(f"{method} {path}: {type(error).__name__}: {error}") from error
        limits.remember(self.owner, resource, response)
        return self._classified(f"{method} {path}", resource, response)

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
                # Not shared, so that a token signed with a replaced key is not reused.
                cache_strategy=MemCacheStrategy(),
                ssl_verify=_ssl_context(),
            )
            self._kit.__enter__()  # type: ignore[no-untyped-call]
        return self._kit

    def _send(self, kit: "githubkit.GitHub[Any]", method: str, path: str, kwargs: dict[str, Any]) -> httpx.Response:
        """Send a request and return GitHub's answer, whatever its status; follow redirects on the same host."""
        with kit.get_sync_client() as http:
            headers = {"Accept-Encoding": "gzip", "X-GitHub-Api-Version": API_VERSION}
            request = http.build_request(method, path, headers=headers, **kwargs)
            for _ in range(1 + MAX_REDIRECTS):
                response = _read_bounded(http.send(request, stream=True))
                redirect = response.next_request
                # Never send the token to another host; a POST that becomes a GET would do nothing.
                if redirect is None or redirect.method != method or _origin(redirect.url) != _origin(request.url):
                    break
                request = redirect
            return response

    def _classified(self, call: str, resource: str, response: httpx.Response) -> httpx.Response:
        """Return a successful response; raise the error that another one means."""
        status = response.status_code
        if response.is_success:
            return response
        if status >= 500 or status < 200:
            raise Unreachable(f"GitHub answered {status} to {call}")
        if status in (403, 429) and is_limit(response):
            raise limits.register_hit(self.owner, resource, response)
        raise Refused(status, call, message_of(response))


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    """The trusted certificates, loaded once: loading takes longer than a call."""
    return httpx.create_ssl_context()


def parse_as(model: type[T]) -> Callable[[httpx.Response], T]:
    """Return a function that parses the body of a response as `model`; it raises `Unavailable` if that fails."""
    return lambda response: validated(parse_json(response), model, response)


def parse_json(response: httpx.Response) -> Any:
    """Parse the body as JSON. Raises `Unreachable` if it is not JSON: it was cut short, or a proxy's page."""
    answer = read_json(response, default=_INVALID)
    if answer is _INVALID:
        raise Unreachable(f"GitHub's answer to {_call_of(response)} is not JSON")
    return answer


def validated(data: Any, model: type[T], response: httpx.Response) -> T:
    """Validate `data` from a response as `model`. Raises `Unavailable` if it has another form."""
    try:
        return TypeAdapter(model).validate_python(data)
    except ValidationError as error:
        name = getattr(get_args(model)[0] if get_args(model) else model, "__name__", "")
        raise Unavailable(f"GitHub's answer to {_call_of(response)} is not a valid {name}") from error


def _call_of(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.path}"


def _read_bounded(response: httpx.Response) -> httpx.Response:
    """Read the body of a streamed response; raise `Unavailable` if it exceeds the bounds."""
    deadline = time.monotonic() + MAX_ANSWER_SECONDS
    encoding = response.headers.get("content-encoding", "identity").lower()
    # Only gzip, as requested, and decompressed up to the bound; httpx would decompress everything.
    gunzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding == "gzip" else None
    body = bytearray()
    try:
        if gunzip is None and encoding != "identity":
            raise Unavailable("GitHub's answer has an encoding that was not requested")
        for chunk in response.iter_raw():
            body += gunzip.decompress(chunk, MAX_ANSWER_BYTES + 1 - len(body)) if gunzip else chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise Unavailable(f"GitHub's answer is larger than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                raise Unreachable(f"GitHub's answer took longer than {MAX_ANSWER_SECONDS:.0f} seconds")
    except zlib.error as error:
        raise Unreachable("GitHub's answer is not valid gzip") from error
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
