"""The HTTP server of the sandbox: reads requests, sends answers, and carries out ordered faults."""

import contextlib
import math
import os
import socket
import socketserver
import struct
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox import dispatch
from sandbox.faults import ECHO, Fault, FaultKind
from sandbox.http import Answer, ApiError, Request
from sandbox.routes import Route, find_route
from sandbox.state.state import State

SECONDARY_LIMIT_URL = "https://docs.github.com/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Server(ThreadingHTTPServer):
    """Listens on a port of 127.0.0.1 from the moment it is made; answers from `start()` to `close()`."""

    request_queue_size = 256

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.state: State | None = None
        self.closing = threading.Event()
        self._connections: dict[Any, threading.Thread] = {}
        self._held: set[Fault] = set()
        self._guard = threading.Lock()
        self._listener = threading.Thread(target=self.serve_forever, args=(0.05,), name="sandbox", daemon=True)

    def server_bind(self) -> None:
        # HTTPServer asks DNS for the host's name here, which can take seconds.
        socketserver.TCPServer.server_bind(self)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self, state: State) -> None:
        """Begin to answer."""
        self.state = state
        self._listener.start()

    def close(self) -> None:
        """Cut every connection, free every request that waits, and return when all threads have ended."""
        self.closing.set()
        if self._listener.ident is not None:
            with contextlib.suppress(OSError):  # Linux wakes the listener by this; elsewhere it looks up soon.
                self.socket.shutdown(socket.SHUT_RDWR)
            self.shutdown()
            self._listener.join()
        with self._guard:
            connections = dict(self._connections)
            for fault in self._held:
                fault.release()
        for connection, thread in connections.items():
            with contextlib.suppress(OSError):  # The client may have been faster.
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()
        self.server_close()

    def hold(self, fault: Fault) -> None:
        """Wait until the fault is released. Raises ConnectionAbortedError when the server closes instead."""
        with self._guard:
            if self.closing.is_set():
                raise ConnectionAbortedError
            self._held.add(fault)
        fault.released.wait()
        with self._guard:
            self._held.discard(fault)
            if self.closing.is_set():
                raise ConnectionAbortedError

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self._process, args=(request, client_address), name="sandbox-connection", daemon=True
        )
        with self._guard:
            self._connections[request] = thread
        thread.start()

    def _process(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._guard:
                self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show what is wrong with the sandbox itself; that a client went away is no error."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # Head and body leave in one packet.
    server: Server

    def do_GET(self) -> None:
        """Every method is served alike."""
        try:
            self._serve()
        except ConnectionError:
            self.close_connection = True

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def version_string(self) -> str:
        """The Server header."""
        return "github.com"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what came in is in `Sandbox.calls`."""

    def _serve(self) -> None:
        state = self.server.state
        assert state is not None, "requests are read after start() only"  # noqa: S101
        length = self.headers.get("Content-Length", "0")
        raw = self.rfile.read(int(length) if length.isdecimal() else 0)
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        route, parameters = find_route(self.command, path)
        request = Request(
            method=self.command,
            path=path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            raw=raw,
            parameters=parameters,
        )
        fault = state.faults.take(route.name)
        if fault is None:
            answer = dispatch.answer(state, route, request)
            self._record(state, route, request, answer.status)
            self._send(answer)
        else:
            _CARRY_OUT[fault.kind](self, state, route, request, fault)

    def _record(self, state: State, route: Route, request: Request, status: int | None) -> None:
        state.record(request.method, route.name, request.path, dict(request.query), status, request.json)

    def _send(self, answer: Answer, write: Callable[[bytes], None] | None = None) -> None:
        content = answer.content
        self.send_response(answer.status)
        if content:
            self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-GitHub-Request-Id", request_id())
        self.send_header("X-GitHub-Media-Type", "github.v3; format=json")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        (write or self.wfile.write)(content)
        self.wfile.flush()

    def _answer_instead(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        answer = fault_answer(state, route, request, fault)
        self._record(state, route, request, answer.status)
        fault.reached.set()
        self._send(answer)

    def _time_out(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        self._record(state, route, request, None)
        fault.reached.set()
        self.close_connection = True
        # Ends when the client closes its side, or close() shuts ours.
        while self.connection.recv(65_536):
            pass

    def _reset(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        self._record(state, route, request, None)
        fault.reached.set()
        self._cut()

    def _slow_body(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        answer = dispatch.answer(state, route, request)
        self._record(state, route, request, answer.status)
        fault.reached.set()

        def write(content: bytes) -> None:
            for start in range(0, len(content), fault.chunk_size):
                self.wfile.write(content[start : start + fault.chunk_size])
                self.wfile.flush()
                if self.server.closing.wait(fault.delay):
                    raise ConnectionAbortedError

        self._send(answer, write)

    def _taken_then_reset(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        dispatch.answer(state, route, request)
        self._record(state, route, request, None)
        fault.reached.set()
        self._cut()

    def _taken_then_answered(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        dispatch.answer(state, route, request)
        self._answer_instead(state, route, request, fault)

    def _huge_body(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        self._record(state, route, request, 200)
        fault.reached.set()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(fault.size))
        self.end_headers()
        self.close_connection = True
        chunk = b" " * 65_536
        for start in range(0, fault.size, len(chunk)):
            self.wfile.write(chunk[: fault.size - start])

    def _taken_then_delayed(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        answer = dispatch.answer(state, route, request)
        self._record(state, route, request, answer.status)
        fault.reached.set()
        self.server.hold(fault)
        self._send(answer)

    def _taken_late(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        fault.reached.set()
        self.server.hold(fault)
        answer = dispatch.answer(state, route, request)
        self._record(state, route, request, answer.status)
        fault.done.set()
        self._send(answer)

    def _cut(self) -> None:
        """End the connection with a RST: the descriptor itself is closed, so that nobody can send a FIN before."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        os.close(self.connection.detach())


def request_id() -> str:
    """A value for X-GitHub-Request-Id."""
    digits = uuid.uuid4().hex.upper()
    return f"{digits[:4]}:{digits[4:10]}:{digits[10:16]}:{digits[16:22]}:{digits[22:30]}"


def fault_answer(state: State, route: Route, request: Request, fault: Fault) -> Answer:
    """The answer of a fault that answers at all, with the headers that it asks for."""
    if fault.message:
        fault = replace(fault, message=fault.message.replace(ECHO, request.headers.get("authorization", "")))
    answer = _fault_answer(state, route, request, fault)
    instead = {name.lower() for name in fault.headers}
    kept = {name: value for name, value in answer.headers.items() if name.lower() not in instead}
    return Answer(answer.status, answer.body, {**kept, **fault.headers}, answer.content_type)


def _fault_answer(state: State, route: Route, request: Request, fault: Fault) -> Answer:
    limit = dispatch.limit_of(state, route)
    if fault.kind in (FaultKind.PRIMARY_LIMIT, FaultKind.GRAPHQL_RATE_LIMITED):
        headers = limit.headers(remaining=0, resets_at=math.ceil(time.time() + fault.reset_in))
        message = fault.message or dispatch.primary_limit(dispatch.installation_of(state, request), request_id())
        if fault.kind is FaultKind.GRAPHQL_RATE_LIMITED:
            return dispatch.with_headers(dispatch.graphql_limit(message, fault.error_type), headers)
        return ApiError(fault.status or 403, message, documentation_url=dispatch.LIMITS_URL, headers=headers).answer
    headers = limit.headers()
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    if fault.kind is FaultKind.SECONDARY_LIMIT:
        message = fault.message or (
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach "
            f"out to GitHub Support for help, please include the request ID {request_id()}."
        )
        return ApiError(fault.status or 403, message, documentation_url=SECONDARY_LIMIT_URL, headers=headers).answer
    if fault.kind is FaultKind.BROKEN_JSON:
        return Answer(200, b'{"id": 1, "node_id": "MDExOlB1bGxSZX', headers)
    if fault.kind in (FaultKind.WRONG_JSON, FaultKind.TAKEN_THEN_ANSWERED):
        # Through bytes, since a str as a body would be sent without its quotes.
        body = fault.body if isinstance(fault.body, bytes) else Answer(body=[fault.body]).content[1:-1]
        return Answer(fault.status or 200, body, headers)
    status = fault.status or 500
    message = fault.message or _MESSAGES.get(status, "Server Error")
    if status in (502, 503, 504):
        page = f"<html><head><title>{status}</title></head><body><h1>{message}</h1></body></html>\n"
        return Answer(status, page, headers, "text/html; charset=utf-8")
    return ApiError(status, message, headers=headers).answer


_MESSAGES = {
    401: "Bad credentials",
    403: "Resource not accessible by integration",
    404: "Not Found",
    409: "Git Repository is empty.",
    410: "This resource is gone.",
    422: "Validation Failed",
    451: "Repository access blocked",
    500: "Server Error",
    502: "Bad Gateway",
    503: "No server is currently available to service your request.",
    504: "We couldn't respond to your request in time.",
}

_CARRY_OUT: dict[FaultKind, Callable[[Handler, State, Route, Request, Fault], None]] = {
    FaultKind.PRIMARY_LIMIT: Handler._answer_instead,
    FaultKind.SECONDARY_LIMIT: Handler._answer_instead,
    FaultKind.GRAPHQL_RATE_LIMITED: Handler._answer_instead,
    FaultKind.STATUS: Handler._answer_instead,
    FaultKind.BROKEN_JSON: Handler._answer_instead,
    FaultKind.WRONG_JSON: Handler._answer_instead,
    FaultKind.TIMEOUT: Handler._time_out,
    FaultKind.RESET: Handler._reset,
    FaultKind.SLOW_BODY: Handler._slow_body,
    FaultKind.HUGE_BODY: Handler._huge_body,
    FaultKind.TAKEN_THEN_ANSWERED: Handler._taken_then_answered,
    FaultKind.TAKEN_THEN_RESET: Handler._taken_then_reset,
    FaultKind.TAKEN_THEN_DELAYED: Handler._taken_then_delayed,
    FaultKind.TAKEN_LATE: Handler._taken_late,
}
