"""What the sandbox's GitHub knows."""

import threading
import time
from dataclasses import dataclass
from typing import Any

from sandbox.app import PERMISSIONS, App, Json
from sandbox.faults import FaultPlan
from sandbox.http import not_found
from sandbox.limits import LIMITS, Limit
from sandbox.state.repository import PullRequest, Repository
from sandbox.state.tokens import Tokens
from sandbox.webhooks import Hook


@dataclass(frozen=True)
class Call:
    """A request that came in. `status` is None where no answer was sent; `at` is of time.monotonic().

    `body` is the JSON of the request, None where there was none.
    """

    method: str
    route: str
    path: str
    query: dict[str, str]
    status: int | None
    at: float
    body: Any


class State:
    """Everything that endpoints read and write. `lock` guards it; endpoints run under it, one at a time."""

    def __init__(self, app: App, routes: frozenset[str]) -> None:
        self.app = app
        self.lock = threading.RLock()
        self.repositories: dict[str, Repository] = {}
        """By full name in lower case, as GitHub's names are case-insensitive."""
        self.removed_installations: set[int] = set()
        self.withheld_permissions: dict[int, set[str]] = {}
        """By installation, what the account's owner has not granted of what the App asks for."""
        self.merged_pull_requests: dict[tuple[str, str], int] = {}
        """(owner/name, login) to the number of merged pull requests that Search answers."""
        self.refused_lines: set[tuple[str, int]] = set()
        self.graphql_available = True
        self.permissions = dict(PERMISSIONS)
        """What the App asks for where it is installed; tokens can have no more."""
        self.limits = {key: Limit(key) for key in LIMITS}
        self.tokens = Tokens()
        self.hook = Hook(app)
        self.faults = FaultPlan(routes)
        self._routes = routes
        self._calls: list[Call] = []
        self._called = threading.Condition(self.lock)

    @property
    def calls(self) -> list[Call]:
        """Every request since the start, or since `reset_calls()`, in the order in which they were answered."""
        with self.lock:
            return list(self._calls)

    def count(self, route: str | None = None) -> int:
        """How many requests came for a route, or for all. Raises ValueError for a route that does not exist."""
        if route is not None and route not in self._routes:
            raise ValueError(f"no route {route!r}; there are {', '.join(sorted(self._routes))}")
        return sum(route is None or call.route == route for call in self.calls)

    def wait_for_calls(self, route: str, count: int = 1, seconds: float = 10) -> None:
        """Return when a route was called that many times since the start or `reset_calls()`.

        Raises TimeoutError after `seconds`, ValueError for a route that does not exist.
        """
        with self._called:
            if not self._called.wait_for(lambda: self.count(route) >= count, seconds):
                raise TimeoutError(f"{route} was called {self.count(route)} times in {seconds} s, not {count}")

    def reset_calls(self) -> None:
        """Forget the requests so far."""
        with self.lock:
            self._calls.clear()

    def record(self, method: str, route: str, path: str, query: dict[str, str], status: int | None, body: Any) -> None:
        """Remember a request. Done before it is answered, so that who has the answer can count on it."""
        with self.lock:
            self._calls.append(Call(method, route, path, query, status, time.monotonic(), body))
            self._called.notify_all()

    def installations(self) -> dict[int, str]:
        """Installation id to the account's login, for every installation that is not removed."""
        return {
            repo.installation_id: repo.owner
            for repo in self.repositories.values()
            if repo.installation_id not in self.removed_installations
        }

    def permissions_of(self, installation_id: int) -> Json:
        """What the App may do in an installation."""
        withheld = self.withheld_permissions.get(installation_id, set())
        return {name: level for name, level in self.permissions.items() if name not in withheld}

    def repository(self, full_name: str) -> Repository:
        """A repository that the App is installed on. Raises ApiError 404 for any other."""
        repo = self.repositories.get(full_name.lower())
        if repo is None or repo.installation_id in self.removed_installations:
            raise not_found()
        return repo

    def pull(self, full_name: str, number: str) -> PullRequest:
        """A pull request. Raises ApiError 404."""
        pull = self.repository(full_name).pulls.get(int(number))
        if pull is None:
            raise not_found()
        return pull

    def repositories_of(self, installation_id: int) -> dict[str, Repository]:
        """The repositories of an installation by full name in lower case."""
        return {name: repo for name, repo in self.repositories.items() if repo.installation_id == installation_id}
