"""The four chapters of the demo, each with its checks."""

import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django_tasks_db.models import DBTaskResult

from kodiai.demo import changes
from kodiai.demo.console import Check, DemoConsole
from kodiai.demo.environment import TELEMETRY_DATABASE
from kodiai.demo.processes import RunningKodiai
from reviews.models import Delivery, Review
from sandbox import Fault, FaultKind, PullRequest, Repository, WebhookResponse, webhook_payload
from telemetry.models import Execution, RateLimitEvent

PARTIAL = "Analysis is partial due to API limits."
RESET_SECONDS = 60
"""Until Search's limit resets: far longer than a review waits for it."""
REPEATS = 3


class OpenedPullRequest:
    """A pull request that was opened, the webhook that reported it, and what Kodiai made of it."""

    def __init__(
        self, kodiai: RunningKodiai, repo: Repository, *, title: str, author: str, files: Mapping[str, str]
    ) -> None:
        self._kodiai = kodiai
        self.files = files
        self.pull: PullRequest = repo.open_pull_request(title=title, author=author, changes=files)
        self.name = f"{repo.full_name}#{self.pull.number}"
        self._payload = webhook_payload(self.pull, "opened")
        self.response = self._send(None)
        self.delivery_id = self.response.delivery_id

    def send_again(self) -> WebhookResponse:
        """Send the same delivery: same id, same body, same signature."""
        return self._send(self.delivery_id)

    def _send(self, delivery_id: str | None) -> WebhookResponse:
        return self._kodiai.github.send_webhook(self._kodiai.webhook_url, "pull_request", self._payload, delivery_id)

    @property
    def reviews(self) -> list[dict[str, Any]]:
        """The reviews on GitHub."""
        return list(self.pull.reviews)

    @property
    def comments(self) -> list[dict[str, Any]]:
        """The inline comments of the reviews."""
        return [comment for review in self.reviews for comment in review["comments"]]

    @property
    def suggestions(self) -> int:
        """The number of comments with a suggested change."""
        return sum("```suggestion" in comment["body"] for comment in self.comments)

    @property
    def run(self) -> Review | None:
        """The run of the delivery, None before it is queued."""
        return Review.objects.filter(delivery__delivery_id=self.delivery_id).first()

    @property
    def conclusion(self) -> str:
        """The conclusion of the run, empty until it has ended."""
        run = self.run
        return run.conclusion if run else ""

    @property
    def events(self) -> list[RateLimitEvent]:
        """The telemetry rows of the delivery; one is expected."""
        return list(RateLimitEvent.objects.filter(delivery_id=self.delivery_id))

    @property
    def executions(self) -> int:
        """The number of execution rows of the delivery."""
        return Execution.objects.filter(delivery_id=self.delivery_id).count()

    @property
    def telemetry_pending(self) -> bool:
        """Whether the run has telemetry rows that are not known to be stored."""
        run = self.run
        return run is None or run.rate_limit_event_recorded_at is None or run.execution_recorded_at is None


class Scenario:
    """Plays the chapters with a running Kodiai, and prints them."""

    def __init__(self, kodiai: RunningKodiai, console: DemoConsole) -> None:
        self._kodiai = kodiai
        self._console = console
        self._github = kodiai.github
        self._shop = self._github.create_repository("octo/shop", files=changes.SHOP)
        # Another account has another installation, with its own rate limits.
        self._news = self._github.create_repository("octo-org/news", files=changes.NEWSLETTER)
        # Each chapter has another author, since Kodiai caches the tier of an author.
        self._github.merged_pull_requests = {("octo/shop", "mona"): 14, ("octo-org/news", "hubot"): 5}

    def play(self) -> list[Check]:
        """Play every chapter, and return its checks."""
        first, checks = self._opened()
        return checks + self._redelivered(first) + self._search_exhausted() + self._telemetry_locked()

    def _opened(self) -> tuple[OpenedPullRequest, list[Check]]:
        self._console.chapter(
            "1. A pull request is opened",
            "GitHub sends a signed webhook. Kodiai stores it, responds, and reviews the changes.",
        )
        opened = self._open(self._shop, "Give discounts on large orders", "mona", changes.DISCOUNTS)
        self._wait_for_review(opened)
        self._console.telemetry(opened.name, opened.events)
        return opened, self._console.checks(
            _queued(opened),
            Check("one review is published, by the App", ["kodiai[bot]"], _authors(opened)),
            Check("its comments are on the lines of its findings", [3, 14], _lines(opened)),
            Check("one comment has a change to commit with one click", 1, opened.suggestions),
            Check("the run ended with success", "success", opened.conclusion),
            Check("one telemetry row, nothing degraded", ["none"], _paths(opened)),
        )

    def _redelivered(self, first: OpenedPullRequest) -> list[Check]:
        self._console.chapter(
            "2. GitHub sends the same delivery three more times",
            "As after a lost response, or when a person presses Redeliver. Here all three arrive at once.",
        )
        tasks = DBTaskResult.objects.count()
        with ThreadPoolExecutor(REPEATS) as senders:
            responses = list(senders.map(lambda _: first.send_again(), range(REPEATS)))
        self._console.event(f"POST /webhooks/github  pull_request.opened  delivery {first.delivery_id}", mark="→")
        for response in responses:
            self._console.event(_shown(response), mark="←")
        return self._console.checks(
            Check(
                "each response is 202, duplicate",
                [(202, "duplicate")] * REPEATS,
                [(response.status_code, _status(response)) for response in responses],
            ),
            Check("no task was added to the queue", tasks, DBTaskResult.objects.count()),
            Check("still one delivery in the inbox", 1, Delivery.objects.filter(delivery_id=first.delivery_id).count()),
            Check("still one review on GitHub", 1, len(first.reviews)),
            Check("still one telemetry row", 1, len(first.events)),
        )

    def _search_exhausted(self) -> list[Check]:
        self._console.chapter(
            "3. GitHub's Search limit is exhausted",
            "Kodiai searches for an author's merged pull requests. Without the result it reviews, and says so.",
        )
        self._github.fail("search", Fault(FaultKind.PRIMARY_LIMIT, reset_in=RESET_SECONDS))
        self._console.event(f"GitHub's Search limit is exhausted for {RESET_SECONDS} s", mark="!")
        opened = self._open(self._shop, "Log cards that are refused", "octocat", changes.REFUSED_CARDS)
        self._wait_for_review(opened)
        self._console.telemetry(opened.name, opened.events)
        body = opened.reviews[0]["body"] if opened.reviews else ""
        return self._console.checks(
            _queued(opened),
            Check("the review is published nevertheless", ["kodiai[bot]"], _authors(opened)),
            Check(f"its text contains: {PARTIAL}", 1, body.count(PARTIAL)),
            Check("it has its findings", [11, 16], _lines(opened)),
            Check("the run ended as partial", "partial", opened.conclusion),
            Check("one telemetry row, whose degradation path is the limit", ["search-api-rate-limit"], _paths(opened)),
            Check("and which counts the skipped query", [1], [event.skipped_queries for event in opened.events]),
        )

    def _telemetry_locked(self) -> list[Check]:
        self._console.chapter(
            "4. The telemetry database is locked",
            "Another process holds the lock. The review is published; its telemetry is recorded later.",
        )
        with _lock(TELEMETRY_DATABASE):
            self._console.event(f"BEGIN EXCLUSIVE in {TELEMETRY_DATABASE.name}: no other process can write", mark="!")
            opened = self._open(self._news, "Only write to where we ship", "hubot", changes.SHIPPED_TO)
            self._wait_for_review(opened)
            locked, rows = _is_locked(TELEMETRY_DATABASE), len(opened.events) + opened.executions
            self._console.event(
                f"the database is {'still locked' if locked else 'not locked'}; rows of this run: {rows}"
            )
            while_locked = [
                _queued(opened),
                Check("the review is published nevertheless", ["kodiai[bot]"], _authors(opened)),
                Check("the run ended with success", "success", opened.conclusion),
                Check("the database was locked all the time", True, locked),
                Check("and had no row of this run", 0, rows),
                Check("Kodiai knows that rows are pending", True, opened.telemetry_pending),
            ]
        self._console.event("the lock is released", mark="!")
        with self._console.waiting("Waiting for the row"):
            self._kodiai.wait_until(lambda: not opened.telemetry_pending)
        self._console.event("the row is recorded" if opened.events else "no row was recorded")
        self._console.telemetry(opened.name, opened.events)
        return self._console.checks(
            *while_locked,
            Check("afterwards the pending row is recorded, once", ["none"], _paths(opened)),
            Check("so is the execution row", 1, opened.executions),
            Check("no rows are pending", False, opened.telemetry_pending),
        )

    def _open(self, repo: Repository, title: str, author: str, files: Mapping[str, str]) -> OpenedPullRequest:
        opened = OpenedPullRequest(self._kodiai, repo, title=title, author=author, files=files)
        self._console.event(f"{author} opens {opened.name}: “{title}”")
        self._console.event(f"POST /webhooks/github  pull_request.opened  delivery {opened.delivery_id}", mark="→")
        self._console.event(_shown(opened.response), mark="←")
        return opened

    def _wait_for_review(self, opened: OpenedPullRequest) -> None:
        """Wait for the review and print it; then wait until the run has ended."""
        with self._console.waiting("Kodiai is reviewing"):
            self._kodiai.wait_until(lambda: bool(opened.reviews or opened.conclusion))
        if not opened.reviews:
            self._console.event("no review was published", mark="!")
        for review in opened.reviews:
            self._console.event("the review is on GitHub:")
            self._console.review(opened.name, review, opened.files)
        self._kodiai.wait_until(lambda: bool(opened.conclusion))


def _queued(opened: OpenedPullRequest) -> Check:
    response = opened.response
    return Check(
        "the response to the webhook is 202, queued", (202, "queued"), (response.status_code, _status(response))
    )


def _status(response: WebhookResponse) -> str:
    return response.json()["status"] if response.status_code == 202 else response.text


def _shown(response: WebhookResponse) -> str:
    return f"{response.status_code or 'no response'}  {response.text}"


def _authors(opened: OpenedPullRequest) -> list[str]:
    return [review["user"]["login"] for review in opened.reviews]


def _lines(opened: OpenedPullRequest) -> list[int]:
    return sorted(comment["line"] for comment in opened.comments)


def _paths(opened: OpenedPullRequest) -> list[str]:
    return [event.degradation_path for event in opened.events]


@contextmanager
def _lock(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock during a `with` block."""
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        # Closing rolls the transaction back.
        connection.close()


def _is_locked(database: Path) -> bool:
    """Return whether a writer has to wait."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=0)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()
    return False
