"""Django's WSGI application, and a call of it from the front door (`kodiai.asgi`)."""

import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import IO, Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from django.core.wsgi import get_wsgi_application
from django.http import StreamingHttpResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kodiai.settings")

application = get_wsgi_application()


class Stream:
    """A body that is made while it is sent. Each method may be called in another thread than the one before."""

    def __init__(self, response: StreamingHttpResponse) -> None:
        self._response = response
        self._pieces: Iterator[bytes] = iter(response)

    def next_piece(self) -> bytes:
        """Make the next piece; empty after the last one."""
        return next((piece for piece in self._pieces if piece), b"")

    def close(self) -> None:
        """End the response, whether all of it was made or not."""
        self._response.close()


@dataclass(frozen=True)
class Answer:
    """Django's answer: its body whole, as an open file, or as a stream; the caller closes the last two."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    file: IO[bytes] | None = None
    stream: Stream | None = None


def call_django(scope: MutableMapping[str, Any], headers: Mapping[str, str], body: IO[bytes], length: int) -> Answer:
    """Run Django for one request, in this thread."""
    answer = Answer(0, [])

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        nonlocal answer
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        answer = Answer(int(status[:3]), encoded)

    result = application(_environ(scope, headers, body, length), start_response)
    if isinstance(result, FileWrapper):
        return replace(answer, file=result.filelike)
    if isinstance(result, StreamingHttpResponse):
        return replace(answer, stream=Stream(result))
    try:
        whole = b"".join(result)
    finally:
        result.close()
    if all(name != b"content-length" for name, _ in answer.headers):
        answer.headers.append((b"content-length", str(len(whole)).encode()))
    return replace(answer, body=whole)


def _environ(
    scope: MutableMapping[str, Any], headers: Mapping[str, str], body: IO[bytes], length: int
) -> dict[str, Any]:
    """Return WSGI's variables. Source: PEP 3333, "environ Variables"."""
    client, server = scope["client"] or ("", 0), scope["server"] or ("", 0)
    environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    for name in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
        environ.pop(name, None)
    environ |= {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": str(client[0]),
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(length) if length else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    return environ
