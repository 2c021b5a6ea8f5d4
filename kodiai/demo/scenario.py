"""The story in four chapters, each of which checks what it tells."""

import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django_tasks_db.models import DBTaskResult

from kodiai.demo import changes
from kodiai.demo.console import Check, Screen
from kodiai.demo.environment import TELEMETRY_DATABASE
from kodiai.demo.processes import Stage
from reviews.models import Delivery, Review
from sandbox import Fault, FaultKind, PullRequest, Repository, WebhookResponse, webhook_payload
from telemetry.models import Execution, RateLimitEvent

PARTIAL = "Analysis is partial due to API limits."
RESET_SECONDS = 60
"""Until Search may be asked again: far more than a review waits for it."""
TIMES_AGAIN = 3


class Opened:
    """A pull request that was opened, the webhook that told Kodiai of it, and what became of it."""

    def __init__(self, stage: Stage, repo: Repository, *, title: str, author: str, files: Mapping[str, str]) -> None:
        self._stage = stage
        self.files = files
        self.pull: PullRequest = repo.open_pull_request(title=title, author=author, changes=files)
        self.name = f"{repo.full_name}#{self.pull.number}"
        self._payload = webhook_payload(self.pull, "opened")
        self.answer = self._send(None)
        self.delivery_id = self.answer.delivery_id

    def send_again(self) -> WebhookResponse:
        """Send the same delivery: same id, same body, same signature."""
        return self._send(self.delivery_id)

    def _send(self, delivery_id: str | None) -> WebhookResponse:
        return self._stage.github.send_webhook(self._stage.webhook_url, "pull_request", self._payload, delivery_id)

    @property
    def reviews(self) -> list[dict[str, Any]]:
        """What GitHub has."""
        return list(self.pull.reviews)

    @property
    def comments(self) -> list[dict[str, Any]]:
        return [comment for review in self.reviews for comment in review["comments"]]

    @property
    def suggestions(self) -> int:
        return sum("```suggestion" in comment["body"] for comment in self.comments)

    @property
    def run(self) -> Review | None:
        return Review.objects.filter(delivery__delivery_id=self.delivery_id).first()

    @property
    def conclusion(self) -> str:
        """How the run ended; empty as long as it did not."""
        run = self.run
        return run.conclusion if run else ""

    @property
    def events(self) -> list[RateLimitEvent]:
        """The telemetry rows; there is to be one."""
        return list(RateLimitEvent.objects.filter(delivery_id=self.delivery_id))

    @property
    def executions(self) -> int:
        return Execution.objects.filter(delivery_id=self.delivery_id).count()

    @property
    def owes(self) -> bool:
        """Whether the run has rows to write that are not known to be stored."""
        run = self.run
        return run is None or run.rate_limit_event_recorded_at is None or run.execution_recorded_at is None


class Story:
    """Tells the chapters on `screen`, as they happen on `stage`."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen
        self._github = stage.github
        self._shop = self._github.create_repository("octo/shop", files=changes.SHOP)
        # Of another account: the App's installation there has limits of its own.
        self._news = self._github.create_repository("octo-org/news", files=changes.NEWSLETTER)
        # Each chapter has an author of its own: Kodiai remembers whom it has asked Search about.
        self._github.merged_pull_requests = {("octo/shop", "mona"): 14, ("octo-org/news", "hubot"): 5}

    def tell(self) -> list[Check]:
        """Tell all of it; return every check."""
        first, checks = self._opened()
        return checks + self._sent_again(first) + self._limited() + self._locked()

    def _opened(self) -> tuple[Opened, list[Check]]:
        self._screen.chapter(
            "1. A pull request is opened",
            "GitHub sends a signed webhook. Kodiai stores it, answers, and reviews what has changed.",
        )
        opened = self._open(self._shop, "Give discounts on large orders", "mona", changes.DISCOUNTS)
        self._see_published(opened)
        self._screen.rows(opened.name, opened.events)
        return opened, self._screen.checks(
            _queued(opened),
            Check("one review is published, by the App", ["kodiai[bot]"], _authors(opened)),
            Check("its comments stand on the lines they are about", [3, 9, 14], _lines(opened)),
            Check("one of them can be committed with one click", 1, opened.suggestions),
            Check("the run ended with success", "success", opened.conclusion),
            Check("one telemetry row, nothing degraded", ["none"], _paths(opened)),
        )

    def _sent_again(self, first: Opened) -> list[Check]:
        self._screen.chapter(
            "2. GitHub sends the same delivery three times more",
            "As it does when an answer got lost, or when somebody presses Redeliver. Here all three come at once.",
        )
        tasks = DBTaskResult.objects.count()
        with ThreadPoolExecutor(TIMES_AGAIN) as senders:
            answers = list(senders.map(lambda _: first.send_again(), range(TIMES_AGAIN)))
        self._screen.tell(f"POST /webhooks/github  pull_request.opened  delivery {first.delivery_id}", mark="→")
        for answer in answers:
            self._screen.tell(_said(answer), mark="←")
        return self._screen.checks(
            Check(
                "each was answered 202, duplicate",
                [(202, "duplicate")] * TIMES_AGAIN,
                [(answer.status_code, _status(answer)) for answer in answers],
            ),
            Check("nothing new is in the queue", tasks, DBTaskResult.objects.count()),
            Check("still one delivery in the inbox", 1, Delivery.objects.filter(delivery_id=first.delivery_id).count()),
            Check("still one review on GitHub", 1, len(first.reviews)),
            Check("still one telemetry row", 1, len(first.events)),
        )

    def _limited(self) -> list[Check]:
        self._screen.chapter(
            "3. GitHub's Search limit is exhausted",
            "Kodiai asks Search how well a repository knows an author. Without an answer it reviews, and says so.",
        )
        self._github.fail("search", Fault(FaultKind.PRIMARY_LIMIT, reset_in=RESET_SECONDS))
        self._screen.tell(f"GitHub's Search limit is used up for {RESET_SECONDS} s", mark="!")
        opened = self._open(self._shop, "Log cards that are refused", "octocat", changes.REFUSED_CARDS)
        self._see_published(opened)
        self._screen.rows(opened.name, opened.events)
        body = opened.reviews[0]["body"] if opened.reviews else ""
        return self._screen.checks(
            _queued(opened),
            Check("the review is published all the same", ["kodiai[bot]"], _authors(opened)),
            Check(f"it says, in these words: {PARTIAL}", 1, body.count(PARTIAL)),
            Check("its findings are there", [13, 14], _lines(opened)),
            Check("the run ended as partial", "partial", opened.conclusion),
            Check("one telemetry row, which names the limit", ["search-api-rate-limit"], _paths(opened)),
            Check("and counts the query given up", [1], [event.skipped_queries for event in opened.events]),
        )

    def _locked(self) -> list[Check]:
        self._screen.chapter(
            "4. The telemetry store is locked",
            "Somebody else holds the store. The review is published, and the row that it owes comes afterwards.",
        )
        with _lock(TELEMETRY_DATABASE):
            self._screen.tell(f"BEGIN EXCLUSIVE in {TELEMETRY_DATABASE.name}: nobody else can write there", mark="!")
            opened = self._open(self._news, "Only write to where we ship", "hubot", changes.SHIPPED_TO)
            self._see_published(opened)
            locked, rows = _is_locked(TELEMETRY_DATABASE), len(opened.events) + opened.executions
            self._screen.tell(f"the store is {'still locked' if locked else 'not locked'}; rows of this run: {rows}")
            while_locked = [
                _queued(opened),
                Check("the review is published all the same", ["kodiai[bot]"], _authors(opened)),
                Check("the run ended with success", "success", opened.conclusion),
                Check("all this time the store was locked", True, locked),
                Check("and had no row of this run", 0, rows),
                Check("which Kodiai knows that it owes", True, opened.owes),
            ]
        self._screen.tell("the lock is let go", mark="!")
        with self._screen.waiting("waiting for the row"):
            self._stage.wait_until(lambda: not opened.owes)
        self._screen.tell("the row is there" if opened.events else "there is no row")
        self._screen.rows(opened.name, opened.events)
        return self._screen.checks(
            *while_locked,
            Check("afterwards the owed row is there, and only once", ["none"], _paths(opened)),
            Check("so is the row of how the run ended", 1, opened.executions),
            Check("nothing is owed any more", False, opened.owes),
        )

    def _open(self, repo: Repository, title: str, author: str, files: Mapping[str, str]) -> Opened:
        opened = Opened(self._stage, repo, title=title, author=author, files=files)
        self._screen.tell(f"{author} opens {opened.name}: “{title}”")
        self._screen.tell(f"POST /webhooks/github  pull_request.opened  delivery {opened.delivery_id}", mark="→")
        self._screen.tell(_said(opened.answer), mark="←")
        return opened

    def _see_published(self, opened: Opened) -> None:
        """Wait for the review and show it; then wait until the run has ended."""
        with self._screen.waiting("Kodiai is reviewing"):
            self._stage.wait_until(lambda: bool(opened.reviews or opened.conclusion))
        if not opened.reviews:
            self._screen.tell("no review was published", mark="!")
        for review in opened.reviews:
            self._screen.tell("the review is on GitHub:")
            self._screen.review(opened.name, review, opened.files)
        self._stage.wait_until(lambda: bool(opened.conclusion))


def _queued(opened: Opened) -> Check:
    answer = opened.answer
    return Check("the webhook was answered 202, queued", (202, "queued"), (answer.status_code, _status(answer)))


def _status(answer: WebhookResponse) -> str:
    return answer.json()["status"] if answer.status_code == 202 else answer.text


def _said(answer: WebhookResponse) -> str:
    return f"{answer.status_code or 'no answer'}  {answer.text}"


def _authors(opened: Opened) -> list[str]:
    return [review["user"]["login"] for review in opened.reviews]


def _lines(opened: Opened) -> list[int]:
    return sorted(comment["line"] for comment in opened.comments)


def _paths(opened: Opened) -> list[str]:
    return [event.degradation_path for event in opened.events]


@contextmanager
def _lock(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock."""
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        # What is open is rolled back.
        connection.close()


def _is_locked(database: Path) -> bool:
    """Tell whether a writer is refused."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=0)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()
    return False
