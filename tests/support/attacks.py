"""Clients that mean harm: they send slowly, too much, or nothing, and read nothing. All of them against 127.0.0.1."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.support.waiting import PATIENCE

MIB = 1024 * 1024
ESTABLISHED = 1
"""Source: Linux, include/net/tcp_states.h."""
HOST = "kodiai.example.org"
WELL_FORMED = "sha256=" + "0" * 64
"""A signature that only the body can prove wrong."""


@dataclass(frozen=True)
class Address:
    """Where a server listens, and whether it speaks TLS, with a certificate that nobody checks."""

    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        plain = socket.socket()
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(PATIENCE)
        plain.connect(("127.0.0.1", self.port))
        if not self.tls:
            return plain
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=HOST)


def head(path: str = "/webhooks/github", method: str = "POST", length: int | None = None, **headers: str) -> bytes:
    """The head of a request, as bytes."""
    given = {"host": HOST, "connection": "close"} | ({} if length is None else {"content-length": str(length)})
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()


def webhook_head(length: int, signature: str = WELL_FORMED) -> bytes:
    return head(
        length=length, content_type="application/json", x_github_event="ping", x_github_delivery="attack",
        x_hub_signature_256=signature,
    )  # fmt: skip


STALLED_BODY = webhook_head(1000) + b"{"
STALLED_HEAD = head()[:-2]
STALLED_FORM = head("/admin/login/", length=100, content_type="application/x-www-form-urlencoded") + b"username="
UNREAD = head("/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js", "GET")
"""The largest file that anybody may ask for."""
STALLS = {"silent": b"", "unread": UNREAD, "body": STALLED_BODY, "head": STALLED_HEAD, "form": STALLED_FORM}


class Crowd:
    """Open connections that keep their server waiting, by what they do."""

    def __init__(self) -> None:
        self.sockets: dict[str, list[socket.socket]] = {}
        self._end = threading.Event()

    def drip(self) -> None:
        """Send a byte a second on every second connection that may go on, until the end."""
        slow = [one for kind in ("body", "head", "form") for one in self.sockets.get(kind, [])[::2]]
        while not self._end.wait(1):
            for one in slow:
                _quietly(lambda one=one: one.send(b"x"))  # type: ignore[misc]

    def waited_for(self, *kinds: str) -> int:
        """How many connections of these kinds the server has not closed."""
        return sum(not _is_closed(one) for kind in kinds for one in self.sockets[kind])

    def end(self) -> None:
        self._end.set()


@contextmanager
def stalled(address: Address, each: int) -> Iterator[Crowd]:
    """Open `each` connections for each beginning of `STALLS`, and send nothing more, or a byte a second."""
    with ExitStack() as stack, ThreadPoolExecutor(8) as opening:
        crowd = Crowd()

        def begin(kind: str) -> socket.socket:
            one = stack.enter_context(address.connect(4096 if kind == "unread" else None))
            one.sendall(STALLS[kind])
            return one

        for kind in STALLS:
            crowd.sockets[kind] = list(opening.map(begin, [kind] * each))
        dripping = threading.Thread(target=crowd.drip)
        dripping.start()
        try:
            yield crowd
        finally:
            crowd.end()
            dripping.join()


def ask(address: Address, request: bytes) -> tuple[int, bytes]:
    """Send a request whole; return the status and everything else that comes."""
    with address.connect() as one:
        one.sendall(request)
        answer = b""
        while piece := one.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1]), answer


def send_huge(address: Address, number: int, signature: str | None) -> list[bytes]:
    """Send this many bodies of 25 MiB at once; return the beginning of each answer, b"" where there is none."""
    size = 25 * MIB
    first = webhook_head(size, signature) if signature else head(length=size, content_type="application/json")
    piece = b"x" * MIB

    def send(_: int) -> bytes:
        with address.connect() as one:
            _quietly(lambda: one.sendall(first))
            for _ in range(25):
                if not _quietly(lambda: one.sendall(piece)):
                    break
            try:
                return one.recv(12)
            except OSError:
                return b""

    with ThreadPoolExecutor(number) as senders:
        return list(senders.map(send, range(number)))


def _quietly(action: Callable[[], object]) -> bool:
    """Do it, and return whether the connection still took it."""
    try:
        action()
    except OSError:
        return False
    return True


def _is_closed(one: socket.socket) -> bool:
    """Whether the other end has closed the connection. Nothing is read. Source: tcp(7), TCP_INFO: its first byte."""
    state = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state != ESTABLISHED
