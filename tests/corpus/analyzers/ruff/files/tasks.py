"""Background jobs."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger("jobs")

Job = Callable[[], Awaitable[None]]


class Runner:
    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task] = set()

    def register(self, name: str, job: Job) -> None:
        if name in self._jobs:
            raise KeyError(name)
        self._jobs[name] = job

    async def run(self, name: str) -> None:
        task = asyncio.create_task(self._jobs[name](), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for _ in range(len(self._tasks)):
            await asyncio.sleep(0)

    def report(self) -> str:
        try:
            import psutil
        except ImportError:
            return "no figures"
        return str(psutil.Process().memory_info().rss)
