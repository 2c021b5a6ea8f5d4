"""Python programs in processes forked from one that has imported Django and its like: a third of the time of a start.

Nothing of Kodiai is imported before the fork, and no setting is read. `serve` is the process that forks. `run` stands
for a program, with its descriptors, its status and its signals; each of the two ends with the other.
"""

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
from select import select

IMPORTED = (
    "django.contrib.admin.sites",
    "django.contrib.auth.hashers",
    "django.core.management",
    "django.core.serializers.json",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.test",
    "githubkit",
    "httpx",
    "psycopg",
    "pydantic",
    "rich.console",
    "structlog",
    "tenacity",
    "unidiff",
    "whitenoise.middleware",
    "yaml",
)


def run(server: str, arguments: list[str]) -> int:
    """Run `python *arguments` in a process of the server's; return its status, or end by its signal."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server)
        socket.send_fds(connection, [b"\0"], [0, 1, 2])
        request = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
        connection.sendall(json.dumps(request).encode() + b"\n")
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: connection.sendall(bytes([number])))
        status = int.from_bytes(connection.recv(1), signed=True)
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def serve(path: str) -> None:
    """Fork a process for each connection until standard input is closed; return in those of the programs."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print(flush=True)  # noqa: T201
        for name in IMPORTED:
            importlib.import_module(name)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            if sys.stdin in select([listening, sys.stdin], [], [])[0]:
                os._exit(0)
            connection, _ = listening.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile() as lines:
        request = json.loads(lines.readline())
    if program := os.fork():
        for descriptor in descriptors:
            os.close(descriptor)
        threading.Thread(target=_forward, args=(connection, program), daemon=True).start()
        status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
        with contextlib.suppress(OSError):
            connection.send(status.to_bytes(1, signed=True))
        os._exit(0)
    connection.close()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["arguments"]
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))


def _forward(connection: socket.socket, program: int) -> None:
    """Send the program the signals that come, and end it when its other half has ended."""
    with contextlib.suppress(ProcessLookupError):
        while received := connection.recv(1):
            os.kill(program, received[0])
        os.kill(program, signal.SIGKILL)


if __name__ == "__main__":
    _, what, server, *arguments = sys.argv
    if what == "run":
        sys.exit(run(server, arguments))
    # The folder of this file.
    del sys.path[0]
    serve(server)
    if sys.argv[0] == "-c":
        exec(compile(sys.argv.pop(1), "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102
    elif sys.argv[0] == "-m":
        runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
        runpy.run_path(sys.argv[0], run_name="__main__")
