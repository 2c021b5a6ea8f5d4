"""The web server: uvicorn on an inherited socket. `python -m kodiai.web <socket> [<ready>]`, both file descriptors.

The supervisor owns the socket, so that connections wait in it while the web server is replaced.
"""

import asyncio
import os
import resource
import signal
import socket
import sys

import uvicorn
from django.conf import settings
from django.urls import get_resolver

from kodiai.connections import Connection, Waiting
from kodiai.supervisor import BACKLOG

MAX_FILES = 6000
"""Open files of the process, or fewer where the system allows fewer. Two of three are for connections that wait for
their client; the others for requests that are being answered, bodies and databases."""


class Server(uvicorn.Server):
    """uvicorn that reports when it serves, and that loses no connection when it stops."""

    def __init__(self, config: uvicorn.Config, ready: int | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        if self._ready is not None:
            os.write(self._ready, b"!")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, then answer what was accepted."""
        for listening in sockets or []:
            # asyncio drops a connection that it accepted but has not set up when its server is closed.
            asyncio.get_running_loop().remove_reader(listening)
        await asyncio.sleep(0.05)
        await super().shutdown(sockets)


def main(given: int, ready: int | None = None) -> None:
    """Serve until SIGTERM, then answer accepted requests and end."""
    # Imported here: it sets Django up.
    from kodiai.asgi import FrontDoor, NamedProxies

    # Django imports its views for the first request, which would wait for it: a second, or many on a busy machine.
    _ = get_resolver().url_patterns
    application = NamedProxies(FrontDoor())
    Connection.waiting = Waiting(
        most=_connections(), seconds=settings.KODIAI_REQUEST_SECONDS, proxies=application.trusted_hosts
    )
    config = uvicorn.Config(
        application,
        http=Connection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Before the supervisor kills the process.
        timeout_graceful_shutdown=max(1, int(settings.KODIAI_GRACE_SECONDS) - 2),
    )
    # uvicorn raises the signals once more that it has obeyed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    Server(config, ready).run([socket.socket(fileno=given)])


def _connections() -> int:
    """Return how many connections may wait, with as many open files as the system allows."""
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MAX_FILES if allowed == resource.RLIM_INFINITY else min(allowed, MAX_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, allowed))
    return files * 2 // 3


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
