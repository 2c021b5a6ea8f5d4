"""Connections of the web server: one request each, with limits of time and number that uvicorn does not have.

uvicorn's protocol is extended, not replaced: it parses (httptools, llhttp) and runs the ASGI application.
"""

import asyncio
import time
from typing import Any, ClassVar, Protocol

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024
"""Bytes of a request's head."""
MAX_WAITING = 64
"""Connections of an address that may wait for their request to be complete, or for their answer to be read. Past that
the oldest is closed, and not the newest refused: a client behind the address of an attacker is served."""
PATIENCE_SECONDS = 1.0
"""For which no connection is closed in favour of another: a burst of webhooks is accepted at once, and read then."""
ANSWER_SECONDS = 20.0
"""For which a client may leave what it was sent unread."""
STOP_SECONDS = 2.0
"""For which a server that stops waits for the rest of a head."""


class Addresses(Protocol):
    """A set of addresses."""

    def __contains__(self, host: str | None) -> bool: ...


class Waiting:
    """Connections that wait for their client, by address, oldest first."""

    def __init__(self, *, most: int, seconds: float, proxies: Addresses) -> None:
        """Let `most` connections wait in all, each at most `seconds` for its head. `proxies` speak for many clients."""
        self.seconds = seconds
        self._most = most
        self._proxies = proxies
        self._number = 0
        self._by_address: dict[str, dict[Connection, float]] = {}

    def add(self, connection: "Connection", address: str) -> bool:
        """Add a connection, and close one where too many wait. Return False if there is no room for it."""
        if self._number >= self._most:
            crowded = max(self._by_address, key=lambda one: len(self._by_address[one]))
            if not self._close_oldest(crowded):
                return False
        elif len(self._by_address.get(address, ())) >= MAX_WAITING and address not in self._proxies:
            self._close_oldest(address)
        self._by_address.setdefault(address, {})[connection] = time.monotonic()
        self._number += 1
        return True

    def remove(self, connection: "Connection", address: str) -> None:
        """Forget a connection that waits no more; do nothing if it does not wait."""
        of_address = self._by_address.get(address, {})
        if of_address.pop(connection, None) is not None:
            self._number -= 1
            if not of_address:
                del self._by_address[address]

    def _close_oldest(self, address: str) -> bool:
        """Close the connection of the address that has waited longest; return False if that was not long."""
        oldest, since = next(iter(self._by_address[address].items()))
        if time.monotonic() - since < PATIENCE_SECONDS:
            return False
        self.remove(oldest, address)
        oldest.drop()
        return True


class Connection(HttpToolsProtocol):
    """A connection that carries one request."""

    waiting: ClassVar[Waiting]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._address = ""
        self._head_size = 0
        self._complete = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        if self.waiting.add(self, self._address):
            self._set_deadline(self.waiting.seconds)
        else:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self.waiting.remove(self, self._address)
        self._set_deadline(None)

    def data_received(self, data: bytes) -> None:
        """Parse what arrives, up to the end of the first request."""
        if self._complete or self.transport.is_closing():
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The application sees an ordinary request. There is no other protocol to change to.
            return
        except httptools.HttpParserError:
            if not self._complete:
                self._refuse(b"400 Bad Request")
            return
        self._head_size += len(data)
        if self.cycle is None and self._head_size > MAX_HEAD:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """Begin the request. A second one on the same connection is an error to the parser."""
        if self._complete:
            raise httptools.HttpParserError("one request for each connection")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hand over to the application, which waits for the body."""
        super().on_headers_complete()
        self._set_deadline(None)

    def on_message_complete(self) -> None:
        """End the wait for the client."""
        super().on_message_complete()
        self._complete = True
        self.waiting.remove(self, self._address)

    def on_response_complete(self) -> None:
        """Wait until the client has read what is left of the answer."""
        super().on_response_complete()
        self.waiting.remove(self, self._address)
        self._set_deadline(ANSWER_SECONDS)

    def pause_writing(self) -> None:
        """Wait until the client has read a part of the answer."""
        super().pause_writing()
        self._set_deadline(ANSWER_SECONDS)

    def resume_writing(self) -> None:
        """End that wait."""
        super().resume_writing()
        self._set_deadline(None)

    def shutdown(self) -> None:
        """Finish the request. Called when the server stops."""
        if self.cycle is None:
            self._set_deadline(STOP_SECONDS)

    def drop(self) -> None:
        """Close the connection at once, whatever is unsent."""
        self.transport.abort()

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self.cycle is None:
            self._refuse(b"408 Request Timeout")
        else:
            self.drop()

    def _refuse(self, status: bytes) -> None:
        """Answer what is not yet a request."""
        if self.cycle is not None:
            self.drop()
            return
        self.transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        self.transport.close()
        self._set_deadline(None)
