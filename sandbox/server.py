"""The HTTP server of the sandbox: reads requests, sends responses, and injects faults."""

import contextlib
import json
import os
import re
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox import dispatch
from sandbox.fault_responses import fault_response, request_id
from sandbox.faults import Fault, FaultKind
from sandbox.http import ApiError, Request, Response
from sandbox.local_server import LocalServer
from sandbox.routes import Route, find_route
from sandbox.state.state import State

_BY_ID = re.compile(r"/repositories/(\d+)(/.*)?", re.DOTALL)
"""Where GitHub redirects calls about a renamed repository to."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Server(LocalServer):
    """The HTTP server of a sandbox: listens once it is made, responds from `start()` to `close()`."""

    request_queue_size = 256

    def __init__(self, port: int = 0) -> None:
        super().__init__(Handler, port)
        self.state: State | None = None
        self.closing = threading.Event()
        self._connections: dict[Any, threading.Thread] = {}
        self._held: set[Fault] = set()
        self._guard = threading.Lock()

    def serve(self, state: State) -> None:
        """Begin to respond, with the data of `state`."""
        self.state = state
        self.start()

    def close(self) -> None:
        """Close every connection, release every held request, and wait until all threads have ended."""
        self.closing.set()
        self.stop()
        with self._guard:
            connections = dict(self._connections)
            for fault in self._held:
                fault.release()
        for connection, thread in connections.items():
            with contextlib.suppress(OSError):  # The client may have closed it.
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()
        self.server_close()

    def hold(self, fault: Fault) -> None:
        """Wait until a fault is released. Raises ConnectionAbortedError if the server is closed first."""
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
        """Serve a connection in a thread that `close()` waits for."""
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
        """Print errors of the sandbox itself; a client that closed its connection is none."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """One connection: reads requests, sends responses and carries out faults."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # Send head and body in one packet.
    server: Server

    def do_GET(self) -> None:
        """Serve a request of any method."""
        try:
            self._serve()
        except ConnectionError:
            self.close_connection = True

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def version_string(self) -> str:
        """Return the value of the Server header."""
        return "github.com"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: requests are recorded in `Sandbox.calls`."""

    def _serve(self) -> None:
        state = self.server.state
        assert state is not None, "requests are read after serve() only"  # noqa: S101
        length = self.headers.get("Content-Length", "0")
        raw = self.rfile.read(int(length) if length.isdecimal() else 0)
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if by_id := _BY_ID.fullmatch(path):
            with contextlib.suppress(ApiError):  # Then no route has this path.
                path = f"/repos/{state.repository_with_id(int(by_id[1])).full_name}{by_id[2]}"
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
        if fault is not None:
            _HANDLERS.get(fault.kind, Handler._respond_with_fault)(self, state, route, request, fault)
            return
        response = dispatch.respond(state, route, request)
        self._record(state, route, request, response.status)
        self._send(response)

    def _record(self, state: State, route: Route, request: Request, status: int | None) -> None:
        state.record(route.name, request, status)

    def _send(self, response: Response, write: Callable[[bytes], None] | None = None) -> None:
        content = response.content
        self.send_response_only(response.status)
        if "Date" not in response.headers:
            self.send_header("Date", self.date_time_string())
        if content:
            self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-GitHub-Request-Id", request_id())
        self.send_header("X-GitHub-Media-Type", "github.v3; format=json")
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        (write or self.wfile.write)(content)
        self.wfile.flush()

    def _respond_with_fault(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        response = fault_response(state, route, request, fault)
        self._record(state, route, request, response.status)
        fault.reached.set()
        self._send(response)

    def _time_out(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        self._record(state, route, request, None)
        fault.reached.set()
        self.close_connection = True
        # Ends when the client closes its side, or the server is closed.
        while self.connection.recv(65_536):
            pass

    def _reset(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        self._record(state, route, request, None)
        fault.reached.set()
        self._reset_connection()

    def _slow_body(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        response = dispatch.respond(state, route, request)
        self._record(state, route, request, response.status)
        fault.reached.set()

        def write(content: bytes) -> None:
            for start in range(0, len(content), fault.chunk_size):
                self.wfile.write(content[start : start + fault.chunk_size])
                self.wfile.flush()
                if self.server.closing.wait(fault.delay):
                    raise ConnectionAbortedError

        self._send(response, write)

    def _applied_then_reset(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        dispatch.respond(state, route, request)
        self._record(state, route, request, None)
        fault.reached.set()
        self._reset_connection()

    def _applied_then_replaced(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        kept = {name: value for name, value in (request.json or {}).items() if name not in fault.dropped}
        dispatch.respond(state, route, replace(request, raw=json.dumps(kept).encode()))
        self._respond_with_fault(state, route, request, fault)

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

    def _applied_then_delayed(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        response = dispatch.respond(state, route, request)
        self._record(state, route, request, response.status)
        fault.reached.set()
        self.server.hold(fault)
        self._send(response)

    def _applied_late(self, state: State, route: Route, request: Request, fault: Fault) -> None:
        fault.reached.set()
        self.server.hold(fault)
        response = dispatch.respond(state, route, request)
        self._record(state, route, request, response.status)
        fault.applied.set()
        self._send(response)

    def _reset_connection(self) -> None:
        """Reset the connection. The descriptor itself is closed, so that no FIN is sent before the RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        os.close(self.connection.detach())


_HANDLERS: dict[FaultKind, Callable[[Handler, State, Route, Request, Fault], None]] = {
    FaultKind.TIMEOUT: Handler._time_out,
    FaultKind.RESET: Handler._reset,
    FaultKind.SLOW_BODY: Handler._slow_body,
    FaultKind.HUGE_BODY: Handler._huge_body,
    FaultKind.APPLIED_THEN_REPLACED: Handler._applied_then_replaced,
    FaultKind.APPLIED_THEN_RESET: Handler._applied_then_reset,
    FaultKind.APPLIED_THEN_DELAYED: Handler._applied_then_delayed,
    FaultKind.APPLIED_LATE: Handler._applied_late,
}
"""Every other kind sends `fault_response` in place of the endpoint's response."""
