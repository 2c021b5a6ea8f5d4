"""The web server: granian on an inherited socket. `python -m kodiai.web <socket> [<ready>]`, both file descriptors.

By default granian opens one socket per process. When a process ends, Linux resets the connections that wait in its
socket. Here the supervisor owns one socket, so that replacing the web server drops no connection.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from kodiai.supervisor import BACKLOG, end_with_parent


class _Server(MPServer):
    """granian on an inherited socket. It relies on internals of granian, which the deployment tests cover."""

    def __init__(self, given: int, **options: Any) -> None:
        super().__init__("kodiai.wsgi:application", **options)
        self._given = given

    def _init_shared_socket(self) -> None:
        # Any, because granian's stubs omit its constructor.
        shared: Any = SocketHolder
        self._ssp, self._sso = None, None
        self._shd = shared(self._given, False, BACKLOG)


def _load(ready: int | None) -> Callable[..., Any]:
    """Import Kodiai in the serving process and report it on `ready`."""
    end_with_parent()
    from kodiai.wsgi import application

    if ready is not None:
        os.write(ready, b"!")
    return application


def main(given: int, ready: int | None = None) -> None:
    """Serve until SIGTERM, then answer accepted requests and end."""
    # The serving process inherits the socket, whatever Python's default start method is.
    multiprocessing.set_start_method("fork")
    server = _Server(
        given,
        interface=Interfaces.WSGI,
        blocking_threads=4,
        backpressure=64,
        websockets=False,
        log_level=LogLevels.warning,
        # A kept-alive connection may be closed just when its next request is on the way.
        http1_settings=HTTP1Settings(keep_alive=False),
    )
    server.serve(target_loader=partial(_load, ready), wrap_loader=False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
