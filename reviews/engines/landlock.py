"""Landlock and a filter of system calls, which need no privilege, no namespace and no program: containers allow them.

Both restrict one thread of this process, for good, and every process that it starts. Landlock denies files; the filter
denies what Landlock leaves open: sockets, other processes, and the metadata of files.

Source: Linux documentation, "Landlock: unprivileged access control" and "Seccomp BPF"; numbers of the system calls
from the kernel's `syscall_64.tbl` and `asm-generic/unistd.h`.
"""

import ctypes
import errno
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterable

# The same on every architecture but Alpha.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_CHANGE_TREE = sum(1 << bit for bit in (4, 5, 7, 8, 12, 13))
"""Remove directories and files; make directories, files and symbolic links; move between directories."""
_TRUNCATE = 1 << 14
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
READ = _EXECUTE | _READ_FILE | _READ_DIR
WRITE = _WRITE_FILE | _READ_FILE | _READ_DIR | _CHANGE_TREE | _TRUNCATE

_FILE_BITS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files there are, from each version of Landlock on that added some."""
_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
TCP_VERSION = 4
SIGNALS_VERSION = 6

_NO_NEW_PRIVS = 38
_SET_SECCOMP = 22
_FILTER = 2
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
# BPF: load a word; jump if equal; jump if greater or equal; return.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_X32 = 0x40000000

_DENIED = {
    # name: (x86_64, aarch64); None where the architecture has no such call
    "socket": (41, 198),
    "io_uring_setup": (425, 425),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    # Not tgkill: a program that aborts sends itself a signal with it.
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "truncate": (76, 45),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}
_DENIED_ON_OTHERS = {
    # Their first argument is a process; 0 is the caller.
    "prlimit64": (302, 261),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables, and the kernel's number."""


def version() -> int:
    """Return the version of Landlock that the kernel supports; 0 if it has none, or it is turned off."""
    if sys.platform != "linux":
        return 0
    try:
        return _call(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def can_filter() -> bool:
    """Return whether system calls can be filtered: the architecture is known."""
    return sys.platform == "linux" and platform.machine() in _ARCHITECTURES


def restrict_thread(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Deny the calling thread, and all that it starts, whatever is not below these paths. It cannot be undone.

    `readable` may be executed too. Raises `OSError`.
    """
    supported = version()
    if not supported:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    handled = (1 << max(bits for first, bits in _FILE_BITS.items() if first <= supported)) - 1
    attributes = struct.pack(
        "=QQQ",
        handled,
        _TCP if supported >= TCP_VERSION else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if supported >= SIGNALS_VERSION else 0,
    )
    rules = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for rights, paths in ((READ, readable), (WRITE, writable)):
            for path in paths:
                _allow(rules, path, rights & handled)
        _prctl(_NO_NEW_PRIVS, 1)
        _call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
    if can_filter():
        _filter_system_calls()


def _allow(rules: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _filter_system_calls() -> None:
    column, architecture = _ARCHITECTURES[platform.machine()]
    denied = [numbers[column] for numbers in _DENIED.values()]
    on_others = [numbers[column] for numbers in _DENIED_ON_OTHERS.values()]
    program = [(_LOAD, 0, 0, _ARCHITECTURE), (_IF_EQUAL, 1, 0, architecture), _deny(), (_LOAD, 0, 0, _NUMBER)]
    program += [(_IF_AT_LEAST, 0, 1, _X32), _deny()]
    for number in denied:
        if number is not None:
            program += [(_IF_EQUAL, 0, 1, number), _deny()]
    for number in on_others:
        program += [(_IF_EQUAL, 0, 4, number), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
        program += [(_IF_EQUAL, 0, 1, 0), (_RETURN, 0, 0, _ALLOW), _deny()]
    program.append((_RETURN, 0, 0, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    described = _Program(len(program), ctypes.addressof(code))
    _prctl(_SET_SECCOMP, _FILTER, ctypes.addressof(described))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def _deny() -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, _ERRNO | errno.EPERM)


_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call. Raises `OSError`."""
    words = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *words))


def _prctl(option: int, *arguments: int) -> None:
    words = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    _checked(_libc.prctl(ctypes.c_int(option), *words))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)
