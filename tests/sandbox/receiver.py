"""An HTTP server that receives webhooks."""

from http.server import BaseHTTPRequestHandler
from typing import Any

from sandbox.local_server import LocalServer


class Receiver(LocalServer):
    """Keeps (headers, body) of every request, and responds with `status` and the text "thanks"."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.status = 202
        self.received: list[tuple[dict[str, str], bytes]] = []

    @property
    def webhook_url(self) -> str:
        return f"{self.url}/webhooks/github"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b'"thanks"')

    def log_message(self, format: str, *args: Any) -> None:
        pass
