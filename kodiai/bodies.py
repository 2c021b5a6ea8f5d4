"""Request bodies, read before Django sees the request: small ones in memory, large ones in temporary files."""

import asyncio
import io
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import IO

IN_MEMORY = 1024 * 1024
"""Bytes. A larger body goes to a temporary file."""
ALWAYS_IN_MEMORY = 64 * 1024
"""Bytes. A smaller body stays in memory even where `ALL_IN_MEMORY` is used up; most webhooks are smaller."""
ALL_IN_MEMORY = 8 * 1024 * 1024
"""Bytes of all bodies in memory. Past that, those over `ALWAYS_IN_MEMORY` go to files."""
ALL_IN_FILES = 128 * 1024 * 1024
"""Bytes of all bodies in files. Past that a body is refused."""
PIECE = 64 * 1024
"""Bytes that are read from a file at once."""


class NoRoom(Exception):
    """All bodies together are too large."""


@dataclass
class Room:
    """Bytes that the bodies of all unfinished requests use."""

    in_memory: int = 0
    in_files: int = 0


class Body:
    """The body of one request. Closing it frees its room."""

    def __init__(self, room: Room, disk: Executor) -> None:
        self.size = 0
        self.in_file = False
        self._room = room
        self._disk = disk
        self._memory = io.BytesIO()
        self._file: IO[bytes] = self._memory

    async def append(self, piece: bytes) -> None:
        """Append a piece. Raises `NoRoom`, and OSError if the disk is full."""
        size = self.size + len(piece)
        crowded = self._room.in_memory + len(piece) > ALL_IN_MEMORY
        if not self.in_file and (size > IN_MEMORY or (crowded and size > ALWAYS_IN_MEMORY)):
            await self._move_to_file()
        if self.in_file:
            self._take_room_in_files(len(piece))
            self.size = size
            await self._write(piece)
        else:
            self._room.in_memory += len(piece)
            self.size = size
            self._memory.write(piece)

    async def _move_to_file(self) -> None:
        self._take_room_in_files(self.size)
        self._room.in_memory -= self.size
        self.in_file = True
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # close() closes it
        await self._write(self._memory.getvalue())
        self._memory.close()

    def _take_room_in_files(self, size: int) -> None:
        if self._room.in_files + size > ALL_IN_FILES:
            raise NoRoom
        self._room.in_files += size

    async def _write(self, piece: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(self._disk, self._file.write, piece)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body from its start, without all of it in memory."""
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece

    def rewound(self) -> IO[bytes]:
        """Return the body as a file, at its start."""
        self._file.seek(0)
        return self._file

    def whole(self) -> bytes:
        """Return the body, all of it in memory."""
        return self.rewound().read() if self.in_file else self._memory.getvalue()

    def close(self) -> None:
        """Forget the body."""
        self._file.close()
        if self.in_file:
            self._room.in_files -= self.size
        else:
            self._room.in_memory -= self.size
        self.size = 0
