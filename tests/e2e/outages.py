"""Deliveries sent to a Kodiai whose database fails, and what must have become of each of them after the repair."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from sandbox import Fault, FaultKind, PullRequest, Repository
from tests.support.running_kodiai import Kodiai
from tests.support.waiting import PATIENCE, eventually


@dataclass
class Deliveries:
    """Deliveries of one repository, each about a pull request of its own, and what each was answered last.

    An answer of 0 means that none came.
    """

    kodiai: Kodiai
    repo: Repository
    pulls: dict[str, PullRequest] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    log_before: int = 0

    def __post_init__(self) -> None:
        self.log_before = len(self.kodiai.events())

    def send(self) -> int:
        """Open a pull request, deliver it, and return the status of the answer."""
        number = len(self.pulls) + 1
        delivery_id = f"{self.repo.full_name}-{number}"
        # An author of its own, so that each run asks Search.
        self.pulls[delivery_id] = self.repo.open_pull_request(
            changes={"a.py": f"import os\nx = {number}\n"}, author=f"{self.repo.full_name.replace('/', '-')}-{number}"
        )
        return self._deliver(delivery_id)

    def send_many(self, count: int) -> list[int]:
        """Deliver `count` pull requests at once; return the statuses of the answers."""
        with ThreadPoolExecutor(count) as senders:
            return list(senders.map(lambda _: self.send(), range(count)))

    def send_held_at(self, route: str) -> Fault:
        """Deliver a pull request whose run is held at a call to GitHub, and return when it is there."""
        held = self.kodiai.github.fail(route, Fault(FaultKind.APPLIED_THEN_DELAYED))
        assert self.send() == 202
        assert held.reached.wait(PATIENCE), f"no run came to {route}"
        return held

    def send_refused_again(self) -> None:
        """Send again what was not accepted, as GitHub does when it is asked to, until each is accepted."""
        for delivery_id in self.refused:
            eventually(lambda delivery_id=delivery_id: self._deliver(delivery_id) == 202, "it is accepted now")

    @property
    def accepted(self) -> set[str]:
        return {delivery_id for delivery_id, status in self.answers.items() if status == 202}

    @property
    def refused(self) -> set[str]:
        return self.answers.keys() - self.accepted

    def stored(self) -> dict[str, str]:
        """The status of each of these deliveries in the inbox."""
        rows = self.kodiai.rows("SELECT delivery_id, status FROM reviews_delivery")
        return {delivery_id: status for delivery_id, status in rows if delivery_id in self.pulls}

    def attempts(self) -> dict[str, int]:
        """How many attempts the run of each delivery has used."""
        rows = self.kodiai.rows(
            "SELECT d.delivery_id, r.attempts FROM reviews_delivery d JOIN reviews_review r ON r.delivery_id = d.id"
        )
        return {delivery_id: attempts for delivery_id, attempts in rows if delivery_id in self.pulls}

    def logged(self, *events: str) -> list[dict[str, Any]]:
        """The log's entries of these kinds since the first of these deliveries, but for those about others."""
        entries = self.kodiai.events()[self.log_before :]
        return [
            entry for entry in entries if entry["event"] in events and entry.get("delivery_id") in (*self.pulls, None)
        ]

    def all_end_well(self) -> None:
        """Kodiai is repaired: what it accepted is there and is done, what it refused is accepted now, each once."""
        eventually(lambda: ready(self.kodiai) == 200, "Kodiai is ready again")
        assert self.accepted <= self.stored().keys(), "accepted, and not stored"
        self.send_refused_again()
        wanted = self.pulls.keys()
        eventually(lambda: set(self.stored().values()) == {"done"}, f"all are done: {self.stored()}")
        for table in ("rate_limit_events", "executions"):
            eventually(lambda table=table: self._rows_of(table) >= wanted, f"each has its row in {table}")
            counts = self.kodiai.rows(f"SELECT delivery_id, count(*) FROM {table} GROUP BY 1 HAVING count(*) > 1")
            assert counts == [], table
        assert {delivery_id: len(pull.reviews) for delivery_id, pull in self.pulls.items()} == dict.fromkeys(wanted, 1)
        assert self.kodiai.rows("SELECT count(*) FROM reviews_review WHERE lease_owner != ''") == [(0,)]
        nothing_died(self.kodiai)

    def _rows_of(self, table: str) -> set[str]:
        return {delivery_id for (delivery_id,) in self.kodiai.rows(f"SELECT delivery_id FROM {table}")}

    def _deliver(self, delivery_id: str) -> int:
        self.answers[delivery_id] = self.kodiai.send(self.pulls[delivery_id], delivery_id=delivery_id).status_code
        return self.answers[delivery_id]


def nothing_died(kodiai: Kodiai) -> None:
    """No process of Kodiai's ended or had to be started again."""
    died = [entry for entry in kodiai.events() if entry["event"] == "process died, restarting it"]
    assert died == []
    assert kodiai.process.poll() is None


def ready(kodiai: Kodiai) -> int:
    """The status of `/readyz`; fails where it does not answer."""
    return httpx.get(f"{kodiai.url}/readyz", timeout=PATIENCE).status_code


def alive(kodiai: Kodiai) -> bool:
    """Whether `/healthz` answers, and that well."""
    return httpx.get(f"{kodiai.url}/healthz", timeout=PATIENCE).status_code == 200
