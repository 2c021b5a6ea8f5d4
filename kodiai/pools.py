"""Threads that serve requests: pools, one for each kind of request, so that none waits for another, and `Groups`."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

STALE_SECONDS = 9.0
"""After which a waiting request is not begun any more: GitHub hangs up after ten."""

MAX_GROUP = 64
"""Items of one group: as many deliveries as a database stores in a fraction of a second."""

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Busy(Exception):
    """Too many requests wait, or this one has waited too long."""


class Pool:
    """`threads` threads, for which at most `waiting` requests wait."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._places = threads + waiting

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run the function in a thread and return its result. Raises `Busy`, and what the function raises."""
        if self._places <= 0:
            raise Busy
        self._places -= 1
        came = time.monotonic()

        def unless_stale() -> T:
            if time.monotonic() - came > STALE_SECONDS:
                raise Busy
            return function(*arguments)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, unless_stale)
        finally:
            self._places += 1


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    came: float = field(default_factory=time.monotonic)
    result: "asyncio.Future[Result]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Groups(Generic[Item, Result]):
    """One thread that takes all items that wait as one group. While a group is worked on, the next one gathers.

    `function` returns one result for each item of a group, in order. If it raises, it is called for each item alone, so
    that no item fails because of another. At most `waiting` items wait.
    """

    def __init__(self, name: str, function: Callable[[Sequence[Item]], Sequence[Result]], *, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._function = function
        self._most = waiting
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._work: asyncio.Task[None] | None = None

    async def run(self, item: Item) -> Result:
        """Return the result for the item, once its group is done. Raises `Busy`, and what the function raises."""
        if len(self._waiting) >= self._most:
            raise Busy
        mine = _Waiting[Item, Result](item)
        self._waiting.append(mine)
        if self._work is None:
            self._work = asyncio.create_task(self._run_all())
        return await mine.result

    async def _run_all(self) -> None:
        try:
            while group := self._next_group():
                results = await self._results([waiting.item for waiting in group])
                for waiting, result in zip(group, results, strict=True):
                    _settle(waiting.result, result)
        finally:
            self._work = None

    async def _results(self, items: Sequence[Item]) -> list[Result | BaseException]:
        """Return a result for each item, or what the function raises for it alone."""
        done = asyncio.get_running_loop().run_in_executor(self._executor, self._function, items)
        await asyncio.wait([done])
        error = done.exception()
        if error is None:
            return list(done.result())
        return [error] if len(items) == 1 else [result for item in items for result in await self._results([item])]

    def _next_group(self) -> list[_Waiting[Item, Result]]:
        """Take all that wait; refuse those that have waited too long."""
        group: list[_Waiting[Item, Result]] = []
        while self._waiting and len(group) < MAX_GROUP:
            waiting = self._waiting.popleft()
            if time.monotonic() - waiting.came > STALE_SECONDS:
                _settle(waiting.result, Busy())
            else:
                group.append(waiting)
        return group


def _settle(future: "asyncio.Future[Result]", result: Result | BaseException) -> None:
    if future.done():
        # Who waited has been cancelled.
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
