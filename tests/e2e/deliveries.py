"""Deliveries in numbers, and what must have become of them in the end."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle

from sandbox import PullRequest
from tests.support.running_kodiai import SMALL, Kodiai
from tests.support.waiting import eventually

SENDERS = 8
PAUSE_SECONDS = 0.5
"""Between two deliveries of one sender of a stream: about 15 deliveries a second in all."""


def pulls_of(kodiai: Kodiai, name: str, number: int) -> list[PullRequest]:
    """Pull requests of a new repository, each of another author, with one finding each."""
    repo = kodiai.github.create_repository(f"octo/{name}", files=SMALL)
    return [
        repo.open_pull_request(changes={"a.py": f"import os\nx = {index}\n"}, author=f"{name}-{index}")
        for index in range(number)
    ]


def send_all(kodiai: Kodiai, name: str, pulls: list[PullRequest]) -> list[int]:
    """Send a delivery `<name>-<index>` about each pull request, several at once; return the answers' statuses."""
    with ThreadPoolExecutor(SENDERS) as senders:
        return list(senders.map(lambda index: _send(kodiai, name, index, pulls), range(len(pulls))))


@dataclass
class Stream:
    """Deliveries that are on their way: every answer's status, and the indexes of the pull requests accepted so far."""

    statuses: list[int] = field(default_factory=list)
    accepted: set[int] = field(default_factory=set)


@contextmanager
def stream(kodiai: Kodiai, name: str, pulls: list[PullRequest]) -> Iterator[Stream]:
    """Send one delivery after another while the block runs, from several senders: `<name>-<index>`.

    First one about each pull request, then the same again, as GitHub's "Redeliver" does.
    """
    running, over, left = Stream(), threading.Event(), cycle(range(len(pulls)))
    turn = threading.Lock()

    def send_on() -> None:
        while not over.wait(PAUSE_SECONDS):
            with turn:
                index = next(left)
            status = _send(kodiai, name, index, pulls)
            running.statuses.append(status)
            if status == 202:
                running.accepted.add(index)

    with ThreadPoolExecutor(SENDERS) as senders:
        sending = [senders.submit(send_on) for _ in range(SENDERS)]
        try:
            yield running
        finally:
            over.set()
    for sender in sending:
        sender.result()


def all_are_done_once(kodiai: Kodiai, name: str, pulls: list[PullRequest], indexes: list[int] | None = None) -> None:
    """Wait for the runs to end; then each has one review, one event and one execution.

    `indexes` are those of the pull requests that were accepted; None is all.
    """
    indexes = list(range(len(pulls))) if indexes is None else indexes
    ended = f"SELECT count(*) FROM executions WHERE delivery_id LIKE '{name}-%'"
    eventually(lambda: kodiai.rows(ended) == [(len(indexes),)], "the runs end")
    assert [len(pulls[index].reviews) for index in indexes] == [1] * len(indexes)
    for table in ("rate_limit_events", "executions"):
        rows = kodiai.rows(f"SELECT delivery_id, count(*) FROM {table} WHERE delivery_id LIKE '{name}-%' GROUP BY 1")
        assert sorted(rows) == sorted((f"{name}-{index}", 1) for index in indexes)
    query = f"SELECT count(*) FROM reviews_delivery WHERE delivery_id LIKE '{name}-%' AND status != 'done'"
    eventually(lambda: kodiai.rows(query) == [(0,)], "each delivery is done")


def _send(kodiai: Kodiai, name: str, index: int, pulls: list[PullRequest]) -> int:
    return kodiai.send(pulls[index], delivery_id=f"{name}-{index}").status_code
