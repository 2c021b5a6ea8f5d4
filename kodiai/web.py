"""The web server: granian, on a socket that it is given: `python -m kodiai.web <socket> [<ready>]`, file descriptors.

granian by itself opens a socket of its own for each of its processes. When one of them ends, Linux resets the
connections that were waiting in its socket. Here the supervisor keeps one socket open and whoever serves takes from
it, so that a web server that takes over from another refuses and cuts nobody.
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
    """granian with a socket that it did not open. Of granian's inside it uses what the tests of deployments show."""

    def __init__(self, given: int, **options: Any) -> None:
        super().__init__("kodiai.wsgi:application", **options)
        self._given = given

    def _init_shared_socket(self) -> None:
        # Not typed, because granian's stubs leave out what they are made from.
        shared: Any = SocketHolder
        self._ssp, self._sso = None, None
        self._shd = shared(self._given, False, BACKLOG)


def _load(ready: int | None) -> Callable[..., Any]:
    """Import Kodiai, in the process that serves, and say on `ready` that it could be imported."""
    end_with_parent()
    from kodiai.wsgi import application

    if ready is not None:
        os.write(ready, b"!")
    return application


def main(given: int, ready: int | None = None) -> None:
    """Serve until SIGTERM; then answer what was accepted, and end."""
    # The process that serves inherits the socket, whatever Python's default is.
    multiprocessing.set_start_method("fork")
    server = _Server(
        given,
        interface=Interfaces.WSGI,
        blocking_threads=4,
        backpressure=64,
        websockets=False,
        log_level=LogLevels.warning,
        # A connection that is kept alive is closed some time, perhaps just when its next request is on the way.
        http1_settings=HTTP1Settings(keep_alive=False),
    )
    server.serve(target_loader=partial(_load, ready), wrap_loader=False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
