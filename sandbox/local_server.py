"""An HTTP server on 127.0.0.1 that runs in a separate thread."""

import contextlib
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class LocalServer(ThreadingHTTPServer):
    """Serves requests with `handler` from `start()` to `stop()`, or within a `with` block.

    It listens on `port` (0: any free port) as soon as it is made.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=type(self).__name__, daemon=True)

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name that HTTPServer makes, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    @property
    def url(self) -> str:
        """The server's address, without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Begin to accept connections."""
        self._thread.start()

    def stop(self) -> None:
        """Accept no more connections and wait for the thread that accepts them. Safe to call again."""
        if self._thread.ident is not None:
            with contextlib.suppress(OSError):  # On Linux this wakes the thread; elsewhere it polls.
                self.socket.shutdown(socket.SHUT_RDWR)
            self.shutdown()
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.server_close()
