"""An analyzer that a hostile file has taken over: what it tries, and what came of it."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import django
from django.conf import settings

from reviews.engines import confinement, scratch
from reviews.engines.confinement import WAYS, Confinement, Reach

FILE = Path(settings.BASE_DIR) / "docs" / "verification" / "confinement.md"
SECRET = "the-secret"
ABSTRACT = "\0kodiai-takeover-{pid}"
HIDES = "leave a process behind that hides"
DAEMON = "kodiai-daemon-of-{pid}"

ATTEMPTS: dict[str, tuple[Reach, str]] = {
    "read `.env`": (Reach.FILES, "assert {secret!r} in open({here!r} + '/.env').read()"),
    "read the App's private key": (Reach.FILES, "assert {secret!r} in open({here!r} + '/key.pem').read()"),
    "become superuser in the SQLite database": (
        Reach.FILES,
        """
        import sqlite3
        database = sqlite3.connect('file:' + {here!r} + '/kodiai.sqlite3?mode=rw', uri=True)
        database.execute('UPDATE auth_user SET is_superuser = 1')
        database.commit()
        """,
    ),
    "write into Kodiai's code": (Reach.FILES, "open({code!r}, 'a')"),
    "write beside Kodiai's code": (Reach.FILES, "open({here!r} + '/sitecustomize.py', 'w')"),
    "write into an installed package": (Reach.FILES, "open({package!r}, 'r+b')"),
    "empty a file": (Reach.FILES, "os.truncate({here!r} + '/log', 0)"),
    "remove a file": (Reach.FILES, "os.unlink({here!r} + '/removable')"),
    "list the directory of Kodiai": (Reach.FILES, "assert '.env' in os.listdir({here!r})"),
    "read a file in the home directory": (Reach.FILES, "assert {secret!r} in open({here!r} + '/home/.netrc').read()"),
    "read the scratch directory of another run": (Reach.FILES, "assert {secret!r} in open({other!r}).read()"),
    "follow a link out of its scratch directory": (
        Reach.FILES,
        "os.symlink({here!r}, 'out'); assert {secret!r} in open('out/.env').read()",
    ),
    "see that a file exists, and its size": (Reach.METADATA, "os.stat({here!r} + '/.env')"),
    "let everybody read `.env`": (Reach.FILES, "os.chmod({here!r} + '/.env', 0o644)"),
    "connect over TCP": (Reach.NETWORK, "socket.create_connection(('127.0.0.1', {tcp}), timeout=5)"),
    "send a datagram": (
        Reach.NETWORK,
        """
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.settimeout(0.2)
        sender.connect(('127.0.0.1', {udp}))
        sender.send(b'x')
        try:
            sender.recv(1)  # refused at once where nobody listens: on a loopback interface of its own
        except TimeoutError:
            pass
        """,
    ),
    "connect to a socket in the file system": (
        Reach.SOCKETS,
        "socket.socket(socket.AF_UNIX).connect({here!r} + '/service')",
    ),
    "connect to an abstract socket": (Reach.SOCKETS, "socket.socket(socket.AF_UNIX).connect({abstract!r})"),
    "read the environment of the worker": (
        Reach.MEMORY,
        "assert {secret!r}.encode() in open('/proc/{worker}/environ', 'rb').read()",
    ),
    "read the memory of the worker": (Reach.MEMORY, "open('/proc/{worker}/mem', 'rb')"),
    "trace the worker": (
        Reach.MEMORY,
        """
        import ctypes
        PTRACE_SEIZE = 0x4206
        assert ctypes.CDLL(None).ptrace(PTRACE_SEIZE, {worker}, None, None) == 0
        """,
    ),
    "send a signal to the worker": (Reach.SIGNALS, "os.kill({worker}, 0)"),
    "send one to a thread of the worker": (
        Reach.SIGNALS,
        """
        import ctypes, platform
        tgkill = {{'x86_64': 234, 'aarch64': 131}}[platform.machine()]
        assert ctypes.CDLL(None).syscall(tgkill, {worker}, {worker}, 0) == 0
        """,
    ),
    "change the limits of the worker": (
        Reach.SIGNALS,
        """
        import resource
        resource.prlimit({worker}, resource.RLIMIT_NOFILE, resource.prlimit({worker}, resource.RLIMIT_NOFILE))
        """,
    ),
    HIDES: (
        Reach.DAEMONS,
        """
        ready, tell = os.pipe()
        os.set_inheritable(tell, True)
        if os.fork() == 0:
            os.setsid()
            os.chdir('/')
            waits = 'import os, sys, time; os.write(int(sys.argv[2]), b"!"); time.sleep(600)'
            os.execve(sys.executable, [sys.executable, '-I', '-S', '-c', waits, {daemon!r}, str(tell)], {{}})
        os.close(tell)
        assert os.read(ready, 1)
        """,
    ),
}
"""Each with what it reaches for and its Python, which raises where it is stopped."""

WORKER = """
import ctypes, time
PR_SET_PTRACER, ANYBODY = 0x59616d61, ctypes.c_ulong(-1)
ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)
print(flush=True)
time.sleep(600)
"""
"""Stands for a worker: of the same user, with a secret. It forbids nothing that the system does not forbid."""


@dataclass(frozen=True)
class Places:
    """What there is to reach."""

    here: str
    other: str
    tcp: int
    udp: int
    worker: int
    pid: int


@contextmanager
def installation(folder: Path) -> Iterator[Places]:
    """Make what an installation has: files, services, a running worker, another run."""
    for name in (".env", "key.pem", "log", "removable"):
        (folder / name).write_text(SECRET)
    (folder / ".env").chmod(0o600)
    (folder / "home").mkdir()
    (folder / "home" / ".netrc").write_text(SECRET)
    database = sqlite3.connect(folder / "kodiai.sqlite3")
    database.executescript("CREATE TABLE auth_user (is_superuser); INSERT INTO auth_user VALUES (0)")
    database.close()
    with (
        scratch.directory() as other,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as in_files,
        socket.socket(socket.AF_UNIX) as abstract,
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WORKER], stdout=subprocess.PIPE, env={"KODIAI_SECRET_KEY": SECRET}
        ) as worker,
    ):
        try:
            Path(other, "a.py").write_text(SECRET)
            udp.bind(("127.0.0.1", 0))
            in_files.bind(str(folder / "service"))
            in_files.listen()
            abstract.bind(ABSTRACT.format(pid=os.getpid()))
            abstract.listen()
            assert worker.stdout is not None
            worker.stdout.readline()
            yield Places(
                str(folder), f"{other}/a.py", tcp.getsockname()[1], udp.getsockname()[1], worker.pid, os.getpid()
            )
        finally:
            worker.kill()


def processes_with(argument: str) -> list[int]:
    """The processes that have this argument."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(argument) in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def daemons(places: Places) -> list[int]:
    """The processes that an analyzer has left behind."""
    return processes_with(DAEMON.format(pid=places.pid))


def script(places: Places) -> str:
    """Return the program of the hostile analyzer: it prints what stopped each attempt, null where nothing did."""
    values = {
        "secret": SECRET,
        "package": django.__file__,
        "code": str(Path(confinement.__file__)),
        "abstract": ABSTRACT.format(pid=places.pid),
        "daemon": DAEMON.format(pid=places.pid),
        **vars(places),
    }
    lines = ["import json, os, socket, sys", "results = {}"]
    for name, (_, code) in ATTEMPTS.items():
        body = textwrap.indent(textwrap.dedent(code).strip().format(**values), "    ")
        lines += ["try:", body, f"    results[{name!r}] = None"]
        lines += ["except Exception as error:", f"    results[{name!r}] = type(error).__name__"]
    return "\n".join([*lines, "print(json.dumps(results))"])


def attack(way: Confinement, places: Places) -> dict[str, str | None]:
    """Run the hostile analyzer in a confinement; return what stopped each attempt, None where nothing did."""
    with scratch.directory() as directory, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        command = [sys.executable, "-I", "-S", "-c", script(places)]
        status = confinement._run(way, command, directory, output, errors, 60)
        output.seek(0)
        errors.seek(0)
        assert status == 0, errors.read().decode()
        return dict(json.loads(output.read()))


def as_text(results: dict[str, dict[str, bool]], landlock: int) -> str:
    """Write the page from what each way stopped: way → attempt → stopped."""
    names = [way.name for way in WAYS]
    lines = [
        "# What a taken-over analyzer can do",
        "",
        "Written by `make confinement` from what the tests saw (`tests/reviews/engines/test_confinement.py`): a",
        "program in the place of an analyzer, run by `reviews.engines.confinement` as the user of the worker, with",
        f"version {landlock} of Landlock. `limits` is what is left where a system has none of the others: there every",
        "attempt succeeds, which shows that the attempts work.",
        "",
        "| attempt | " + " | ".join(f"`{name}`" for name in names) + " |",
        "| --- |" + " --- |" * len(names),
    ]
    for attempt in ATTEMPTS:
        cells = ["stopped" if results[name][attempt] else "**succeeds**" for name in names]
        lines.append(f"| {attempt} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Memory, processor time, processes, open files and the size of written files are limited in each of them.",
        "Before version 6 Landlock does not stop signals to a thread of the worker. How each way works:",
        "[0006-analyzer-confinement.md](../decisions/0006-analyzer-confinement.md).",
    ]
    return "\n".join(lines) + "\n"


def published() -> dict[str, dict[str, bool]]:
    """Read the page: way → attempt → stopped."""
    rows = [line.strip("| \n").split(" | ") for line in FILE.read_text().splitlines() if line.startswith("|")]
    names = [name.strip("`") for name in rows[0][1:]]
    return {name: {row[0]: row[column] == "stopped" for row in rows[2:]} for column, name in enumerate(names, start=1)}
