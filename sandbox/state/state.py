"""Everything that the sandbox's GitHub stores."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.app import PERMISSIONS, App, Json
from sandbox.faults import FaultPlan
from sandbox.http import Request, not_found
from sandbox.limits import LIMITS, RateLimit
from sandbox.state.repository import Repository
from sandbox.state.tokens import Token, Tokens
from sandbox.webhooks import Hook

SUSPENDED = "This installation has been suspended"
"""GitHub's answer to calls of a suspended installation. Source: answers quoted in public issues."""


@dataclass(frozen=True)
class Call:
    """A request that the sandbox received.

    `status` is None if no response was sent. `at` is the value of time.monotonic(). `body` is JSON, None if empty.
    `headers` have names in lower case.
    """

    method: str
    route: str
    path: str
    query: dict[str, str]
    status: int | None
    at: float
    body: Any
    headers: Mapping[str, str]


class State:
    """The data that endpoints read and write. They run under `lock`, one at a time."""

    def __init__(self, app: App, routes: frozenset[str]) -> None:
        self.app = app
        self.lock = threading.RLock()
        self.repositories: dict[str, Repository] = {}
        """By full name in lower case: GitHub's names are case-insensitive."""
        self.former_names: dict[str, int] = {}
        """Former full name in lower case to the id of the repository that was renamed or transferred."""
        self.removed_installations: set[int] = set()
        self.suspended_installations: set[int] = set()
        self.removed_repositories: set[str] = set()
        """Full names in lower case of those that were deleted, or removed from their installation."""
        self.withheld_permissions: dict[int, set[str]] = {}
        """By installation, the permissions that the App requests and the account has not granted."""
        self.merged_pull_requests: dict[tuple[str, str], int] = {}
        """(owner/name, login) to the number of merged pull requests that Search finds."""
        self.rejected_lines: set[tuple[str, int]] = set()
        self.graphql_available = True
        self.permissions = dict(PERMISSIONS)
        """The permissions that the App requests; tokens can have no others."""
        self.webhook_url = "https://kodiai.example.org/webhooks/github"
        """Where the App's webhooks go, until one was sent."""
        self.manifests: dict[str, tuple[float, str, Json]] = {}
        """Apps that were registered and not converted, by code: when, for which organisation, and the manifest."""
        self.limits = {key: RateLimit(key) for key in LIMITS}
        self.tokens = Tokens()
        self.hook = Hook(app)
        self.faults = FaultPlan(routes)
        self._routes = routes
        self._calls: list[Call] = []
        self._called = threading.Condition(self.lock)

    @property
    def calls(self) -> list[Call]:
        """Every request since the start or `reset_calls()`, in the order of the responses."""
        with self.lock:
            return list(self._calls)

    def count(self, route: str | None = None) -> int:
        """Count the requests of a route, or of all routes. Raises ValueError for an unknown route."""
        if route is not None and route not in self._routes:
            raise ValueError(f"no route {route!r}; there are {', '.join(sorted(self._routes))}")
        return sum(route is None or call.route == route for call in self.calls)

    def wait_for_calls(self, route: str, count: int = 1, seconds: float = 10) -> None:
        """Wait until a route has received `count` requests since the start or `reset_calls()`.

        Raises TimeoutError after `seconds`, ValueError for an unknown route.
        """
        with self._called:
            if not self._called.wait_for(lambda: self.count(route) >= count, seconds):
                raise TimeoutError(f"{route} was called {self.count(route)} times in {seconds} s, not {count}")

    def reset_calls(self) -> None:
        """Forget the requests so far."""
        with self.lock:
            self._calls.clear()

    def record(self, route: str, request: Request, status: int | None) -> None:
        """Record a request. Called before the response is sent, so that a client that has it can rely on the record."""
        call = Call(
            request.method,
            route,
            request.path,
            dict(request.query),
            status,
            time.monotonic(),
            request.json,
            request.headers,
        )
        with self.lock:
            self._calls.append(call)
            self._called.notify_all()

    def installations(self) -> dict[int, str]:
        """Map the id of each installation that is not removed to its account's login."""
        return {
            repo.installation_id: repo.owner
            for repo in self.repositories.values()
            if repo.installation_id not in self.removed_installations
        }

    def permissions_of(self, installation_id: int) -> Json:
        """Return the permissions that an installation has granted."""
        withheld = self.withheld_permissions.get(installation_id, set())
        return {name: level for name, level in self.permissions.items() if name not in withheld}

    def repository(self, full_name: str) -> Repository:
        """Return a repository on which the App is installed. Raises ApiError 404 for any other."""
        repo = self.repositories.get(full_name.lower())
        gone = full_name.lower() in self.removed_repositories
        if repo is None or gone or repo.installation_id in self.removed_installations:
            raise not_found()
        return repo

    def repository_with_id(self, number: int) -> Repository:
        """Return a repository by its id. Raises ApiError 404 for any other than `repository` finds."""
        names = [name for name, repo in self.repositories.items() if repo.id == number]
        return self.repository(names[0] if names else "")

    def renamed_to(self, full_name: str) -> Repository | None:
        """Return the repository that had this name before it was renamed, unless another one has the name now."""
        number = self.former_names.get(full_name.lower())
        taken = full_name.lower() in self.repositories
        return None if number is None or taken else self.repository_with_id(number)

    def repositories_of(self, installation_id: int) -> dict[str, Repository]:
        """Return the repositories of an installation by full name in lower case."""
        return {
            name: repo
            for name, repo in self.repositories.items()
            if repo.installation_id == installation_id and name not in self.removed_repositories
        }

    def repositories_reached_by(self, token: Token) -> dict[str, Repository]:
        """Return the repositories that a token gives access to by full name in lower case."""
        return {name: repo for name, repo in self.repositories.items() if token.reaches(repo.id, repo.installation_id)}
