"""The front door: the ASGI application that the web server runs in front of Django.

It judges a request by its headers, reads the body within a deadline and outside of the threads that run Django, and
runs Django in one of several pools of threads. GitHub's deliveries it answers without Django's handling of requests
(`reviews.intake.receive`). docs/decisions/0023-front-door.md and 0035-deliveries-without-a-view.md say why.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.http.request import split_domain_port, validate_host
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from kodiai.bodies import ALWAYS_IN_MEMORY, PIECE, Body, NoRoom, Room
from kodiai.pools import Busy, Groups, Pool
from kodiai.wsgi import Answer, Stream, call_django
from reviews.intake.payloads import COMMENT_EVENTS, ParsedDelivery
from reviews.intake.receive import read, store
from reviews.intake.requests import EVENT_HEADER, SIGNATURE_HEADER, UNSIGNED, Reply, is_signed, refusal, why_refused

logger = logging.getLogger(__name__)
refused_requests = logging.getLogger("django.request")
"""Django's own, which `kodiai.logging` keeps bounded."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_FORM = 1024 * 1024
"""Bytes of a body that is no webhook: a form of the admin."""
LINGER_SECONDS = 5.0
"""For which the rest of a refused body is read and thrown away. The client of a connection that is closed with unread
data may never see the answer. Source: RFC 9112, section 9.6."""
WEBHOOKS = "/webhooks/"
GITHUB = "/webhooks/github"
LOG_IN = "/admin/login/"
MAX_WARNINGS = 20
"""Addresses of unnamed proxies that are warned of: anybody can send the header."""
BUSY = refusal(503, "too many requests; try again", {"Retry-After": "10"})


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class ArrivingBody:
    """The body of a request as it arrives."""

    def __init__(self, receive: Receive) -> None:
        self.complete = False
        self._receive = receive

    async def next_piece(self) -> bytes:
        """Wait for a piece. Raises `ClientGone`."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self.complete = not message.get("more_body", False)
        return bytes(message["body"])

    async def wait_until_gone(self) -> None:
        """Wait until the client has closed the connection."""
        with suppress(ClientGone):
            while True:
                await self.next_piece()


class FrontDoor:
    """The ASGI application. One for each process."""

    def __init__(self) -> None:
        self._room = Room()
        self._disk = ThreadPoolExecutor(2, thread_name_prefix="disk")
        # Deliveries that come while others are being committed share the next commit.
        self._inbox: Groups[ParsedDelivery, Reply] = Groups("inbox", _store, waiting=1000)
        self._intake = Pool("intake", threads=2, waiting=1000)
        self._pages = Pool("pages", threads=3, waiting=100)
        # One thread, so that passwords are hashed one at a time: each takes a core for a third of a second.
        self._log_ins = Pool("log-in", threads=1, waiting=16)
        self._alive = Pool("alive", threads=1, waiting=100)
        self._status = Pool("status", threads=1, waiting=16)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = _headers(scope)
        arriving = ArrivingBody(receive)
        body = Body(self._room, self._disk)
        try:
            reply = await self._why_refused(scope, headers, body, arriving)
            if reply is None and scope["path"] == GITHUB and _is_for_us(headers):
                reply = await self._take_delivery(headers, body)
            if reply is None:
                answer = await self._pool(scope).run(call_django, scope, headers, body.rewound(), body.size)
        except Busy:
            reply = BUSY
        except ClientGone:
            return
        finally:
            body.close()
        if reply is not None:
            await _reply(reply, arriving, send)
        else:
            await self._send(answer, self._pool(scope), arriving, send)

    async def _take_delivery(self, headers: dict[str, str], body: Body) -> Reply:
        """Read and store a delivery of GitHub; return its answer. Raises `Busy`."""
        if body.size > ALWAYS_IN_MEMORY or headers.get(EVENT_HEADER) in COMMENT_EVENTS:
            # Megabytes of JSON, or Markdown that takes a second, would keep everybody else waiting.
            received = await self._intake.run(lambda: read(headers, body.whole()))
        else:
            received = read(headers, body.whole())
        # A thousand deliveries may wait for the database, and a thousand bodies are too much to keep meanwhile.
        body.close()
        reply = received if isinstance(received, Reply) else await self._inbox.run(received)
        if reply.status >= 400:
            phrase, why = HTTPStatus(reply.status).phrase, reply.content["error"]
            refused_requests.warning("%s: %s: %s", phrase, GITHUB, why, extra={"status_code": reply.status})
        return reply

    async def _why_refused(
        self, scope: Scope, headers: dict[str, str], body: Body, arriving: ArrivingBody
    ) -> Reply | None:
        """Judge the headers, read the body, and check the signature of one too large for memory."""
        is_webhook = scope["path"].startswith(WEBHOOKS)
        refused = why_refused(scope["method"], headers) if is_webhook else _why_form_refused(headers)
        if refused is not None:
            return refused
        length = int(headers.get("Content-Length", 0))
        try:
            async with asyncio.timeout(settings.KODIAI_REQUEST_SECONDS):
                while length and not arriving.complete:
                    await body.append(await arriving.next_piece())
        except TimeoutError:
            return refusal(408, "the body did not arrive in time")
        except NoRoom:
            return BUSY
        except OSError as error:
            logger.error("body not stored", extra={"error": str(error)})
            return refusal(503, "the body could not be stored; send it again")
        if body.size != length:
            return refusal(400, "the body is not as long as Content-Length says")
        if is_webhook and body.in_file:
            # Before Django has it in memory whole.
            signature, loop = headers[SIGNATURE_HEADER], asyncio.get_running_loop()
            if not await loop.run_in_executor(self._disk, is_signed, body.pieces(), signature):
                return UNSIGNED
        return None

    def _pool(self, scope: Scope) -> Pool:
        path = scope["path"]
        if path.startswith(WEBHOOKS):
            return self._intake
        if path == LOG_IN and scope["method"] == "POST":
            return self._log_ins
        return {"/healthz": self._alive, "/readyz": self._status, "/metrics": self._status}.get(path, self._pages)

    async def _send(self, answer: Answer, pool: Pool, arriving: ArrivingBody, send: Send) -> None:
        await send(_start(answer.status, answer.headers))
        if answer.stream is not None:
            await _send_stream(answer.stream, pool, arriving, send)
            return
        if answer.file is None:
            await send({"type": "http.response.body", "body": answer.body})
            return
        loop = asyncio.get_running_loop()
        try:
            while piece := await loop.run_in_executor(self._disk, answer.file.read, PIECE):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            await loop.run_in_executor(self._disk, answer.file.close)


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers, with names as `Content-Type` and values of equal names joined.

    Names with underscores are dropped, because WSGI cannot tell them from names with hyphens; those that only a proxy
    may set are dropped, because what a named one said is in the scope already.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name or raw_name.startswith(b"x-forwarded-"):
            continue
        name, value = raw_name.decode("latin-1").title(), raw_value.decode("latin-1")
        if name in headers:
            value = headers[name] + ("; " if name == "Cookie" else ",") + value
        headers[name] = value
    return headers


def _why_form_refused(headers: dict[str, str]) -> Reply | None:
    if "Transfer-Encoding" in headers:
        return refusal(411, "the length of the body is missing: send Content-Length")
    if int(headers.get("Content-Length", 0)) > MAX_FORM:
        return refusal(413, "the body is larger than 1 MiB")
    return None


def _store(group: Sequence[ParsedDelivery]) -> list[Reply]:
    """Store deliveries, on a connection that works: Django checks that only when it begins a request."""
    close_old_connections()
    return store(group)


def _is_for_us(headers: dict[str, str]) -> bool:
    """Return whether the request names a host of this Kodiai. Django answers any other, and logs it."""
    return validate_host(split_domain_port(headers.get("Host", ""))[0], settings.ALLOWED_HOSTS)


def _start(status: int, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    # Connections are not kept: docs/decisions/0004-process-replacement.md.
    return {"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]}


async def _send_stream(stream: Stream, pool: Pool, arriving: ArrivingBody, send: Send) -> None:
    """Make and send a body piece by piece, until its end or that of the connection. `send` waits for a slow client."""
    gone = asyncio.ensure_future(arriving.wait_until_gone())
    try:
        while not gone.done() and (piece := await pool.run(stream.next_piece)):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    finally:
        gone.cancel()
        stream.close()


async def _reply(reply: Reply, arriving: ArrivingBody, send: Send) -> None:
    """Send the answer, then read for a while what the client still sends."""
    body = json.dumps(dict(reply.content)).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-content-type-options": "nosniff",
        **reply.headers,
    }
    await send(_start(reply.status, [(name.encode(), value.encode()) for name, value in headers.items()]))
    await send({"type": "http.response.body", "body": body, "more_body": not arriving.complete})
    if arriving.complete:
        return
    with suppress(TimeoutError, ClientGone):
        # Who was too slow has had the time.
        async with asyncio.timeout(LINGER_SECONDS if reply.status != 408 else 0):
            while not arriving.complete:
                await arriving.next_piece()
    await send({"type": "http.response.body"})


class NamedProxies(ProxyHeadersMiddleware):
    """Believe `X-Forwarded-For` and `X-Forwarded-Proto` of the proxies that `KODIAI_TRUSTED_PROXIES` names."""

    def __init__(self, app: Any) -> None:
        super().__init__(app, settings.KODIAI_TRUSTED_PROXIES)
        self._unnamed: set[str] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request. Warn of a proxy that is not named, once."""
        peer = scope["client"][0] if scope["client"] else ""
        if (
            peer not in self.trusted_hosts
            and peer not in self._unnamed
            and len(self._unnamed) < MAX_WARNINGS
            and any(name == b"x-forwarded-proto" for name, _ in scope["headers"])
        ):
            self._unnamed.add(peer)
            logger.warning(
                "X-Forwarded-Proto ignored: KODIAI_TRUSTED_PROXIES does not name its sender", extra={"address": peer}
            )
        await super().__call__(scope, receive, send)
