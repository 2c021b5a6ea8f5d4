"""Turns: whose run comes next, whatever the order of the tasks in the queue."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reviews.maintenance.recovery import sweep
from reviews.models import Command, Delivery, DeliveryStatus, Review, Turn
from reviews.runs import runner, turns
from reviews.runs.lease import claim
from reviews.runs.runner import take_turn
from sandbox import PullRequest
from tests.support.factories import DeliveryFactory, ReviewFactory
from tests.support.runs import admit, forget_tasks, queued_tasks, say, take_task

pytestmark = [pytest.mark.database, pytest.mark.django_db]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The deliveries that were run, in this order; a run is over at once, and takes `SECONDS` of its author's time."""
    order: list[str] = []

    def attempt(review: Review, ending: object) -> None:
        order.append(review.delivery.delivery_id)
        Review.objects.filter(pk=review.pk).update(lease_owner="", finished_at=timezone.now())
        Delivery.objects.filter(pk=review.delivery_id).update(status=DeliveryStatus.DONE)

    monkeypatch.setattr(runner, "_attempt", attempt)
    charge = turns.charge
    monkeypatch.setattr(turns, "charge", lambda author, seconds: charge(author, SECONDS.get(author[1], 1.0)))
    return order


SECONDS = {"hostile": 41.0}


def waiting(author: str, name: str = "", *, installation: int | None = 1, event: str = "pull_request") -> Delivery:
    """A delivery that waits for a worker, with its task."""
    review = ReviewFactory.create(
        finished_at=None,
        publishing_at=None,
        published_at=None,
        delivery=DeliveryFactory.create(
            **({"delivery_id": name} if name else {}),
            author=author,
            installation_id=installation,
            event_type=f"{event}.opened",
            status=DeliveryStatus.QUEUED,
        ),
    )
    review.delivery.pr_number = review.pr_number
    runner.enqueue(review.delivery)
    review.delivery.refresh_from_db()
    return review.delivery


def work() -> None:
    """Take tasks as one worker does, until the queue is empty."""
    for _ in range(200):
        tasks = queued_tasks()
        if not tasks:
            return
        first = tasks[0]
        take_task(first.delivery_pk)
        take_turn(first.delivery_pk)
    pytest.fail("tasks are left")


@pytest.mark.parametrize(
    ("tasks", "order"),
    [
        ("a0 a1 a2 b0 b1 b2 c0 c1 c2", "a0 b0 c0 a1 b1 c1 a2 b2 c2"),
        # The author d has another installation, whose turn comes before that of its authors.
        ("a0 a1 b0 b1 c0 c1 d0 d1 d2", "a0 d0 b0 d1 c0 d2 a1 b1 c1"),
    ],
)
def test_authors_take_turns_whatever_the_order_of_the_tasks(ran: list[str], tasks: str, order: str) -> None:
    for name in tasks.split():
        waiting(name[0], name, installation=2 if name[0] == "d" else 1)

    work()

    assert ran == order.split()


def test_who_used_much_time_waits_for_the_others(ran: list[str]) -> None:
    for number in range(3):
        waiting("hostile", f"hostile{number}")
    for author in ("a", "b"):
        for number in range(5):
            waiting(author, f"{author}{number}")

    work()

    assert ran[0] == "hostile0"
    assert ran[-2:] == ["hostile1", "hostile2"]


def test_what_was_used_is_forgotten_in_time() -> None:
    turn = Turn(installation_id=1, author="a", used_seconds=40, used_at=timezone.now() - 2 * Turn.HALF_LIFE)

    assert turn.used == pytest.approx(10, rel=0.01)


def test_requests_come_before_automatic_reviews(ran: list[str]) -> None:
    waiting("a", "automatic")
    waiting("b", "comment", event="issue_comment")
    waiting("c", "rerun", event="check_run")
    waiting("d", "suite", event="check_suite")

    work()

    assert ran == ["comment", "rerun", "suite", "automatic"]


def test_many_requests_of_one_author_lose_their_priority(ran: list[str]) -> None:
    for number in range(5):
        waiting("hostile", f"request{number}", event="issue_comment")
    waiting("a", "automatic")

    work()

    assert ran.index("automatic") == 3, "after two minutes of work"


def test_an_author_has_one_run_at_a_time_and_then_the_next(ran: list[str]) -> None:
    first, second, third = (waiting("a", f"a{number}") for number in range(3))
    other = waiting("b", "b0")
    claimed = claim(first.pk, "another worker")
    assert claimed is not None
    for delivery in (first, second, third, other):
        take_task(delivery.pk)

    for delivery in (second, third):
        take_turn(delivery.pk)

    assert ran == ["b0"], "by the first wake-up; the second finds nothing"
    assert [task.delivery_pk for task in queued_tasks()] == [second.pk]
    take_task(second.pk)
    take_turn(second.pk)
    assert queued_tasks() == []
    assert sweep()["deliveries requeued"] == 0, "the run at work wakes the next"
    Review.objects.filter(pk=claimed.pk).update(lease_owner="", finished_at=timezone.now())
    Delivery.objects.filter(pk=first.pk).update(status=DeliveryStatus.DONE)
    Delivery.objects.update(queued_at=timezone.now() - timedelta(seconds=10))
    assert sweep()["deliveries requeued"] == 1, "where the worker died before it did so, the sweep does"
    work()
    assert ran == ["b0", "a1", "a2"]


def test_a_turn_is_taken_once(ran: list[str]) -> None:
    waiting("a", "a0")
    waiting("a", "a1")
    (seen,) = turns.in_order()

    assert turns.take(seen)
    assert not turns.take(seen)


@pytest.mark.parametrize("lost", [False, True])
def test_a_wake_up_is_never_lost(ran: list[str], lost: bool) -> None:
    """Each delivery has a task, or another one of its author has; what the queue loses, the sweep queues again."""
    for author in ("a", "b"):
        for number in range(3):
            waiting(author, f"{author}{number}")
    late = Delivery.objects.latest("pk")
    take_task(late.pk)
    take_turn(late.pk)
    assert ran == ["a0"]
    late.refresh_from_db()
    assert (late.status, late.is_waiting) == (DeliveryStatus.QUEUED, True)
    if lost:
        forget_tasks()
        Delivery.objects.update(queued_at=timezone.now() - timedelta(hours=1))
        assert sweep()["deliveries requeued"] == 5

    work()

    assert sorted(ran) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert not Delivery.objects.filter(status=DeliveryStatus.QUEUED).exists()


def test_a_deferred_run_waits_for_its_time(ran: list[str]) -> None:
    deferred = waiting("a", "deferred")
    waiting("b", "ready")
    Delivery.objects.filter(pk=deferred.pk).update(queued_at=timezone.now() + timedelta(hours=1))

    work()

    assert ran == ["ready"]


@pytest.mark.parametrize("count", [2, 300])
def test_the_next_turn_takes_the_same_statements_for_any_queue(count: int) -> None:
    rows = [
        Delivery(delivery_id=f"{number}", event="pull_request", event_type="pull_request.opened", status="queued",
            author=f"author-{number % 20}", installation_id=1, queued_at=timezone.now())
        for number in range(count)
    ]  # fmt: skip
    Delivery.objects.bulk_create(rows)

    with CaptureQueriesContext(connection) as queries:
        assert len(turns.in_order()) == min(count, 20)

    assert len(queries) == 3
    if connection.vendor == "sqlite":
        assert "USING COVERING INDEX reviews_delivery_turn_idx" in turns.oldest_waiting().explain()


def test_the_turn_is_that_of_the_author_and_not_of_the_sender(pull: PullRequest) -> None:
    pushed = admit(pull, "synchronize", sender="lisa")
    asked = say(pull, "@kodiai review", by="lisa")
    on_lines = admit(pull, "created", event="issue_comment", commenter="lisa", comment_body="@kodiai help")

    assert {pushed.author, asked.author, on_lines.author} == {"mona"}
    assert asked.sender == "lisa"
    assert asked.command == Command.REVIEW


def test_real_runs_are_charged_to_their_author(pull: PullRequest) -> None:
    take_turn(admit(pull).pk)

    turn = Turn.objects.get()
    assert (turn.author, turn.runs, turn.installation_id) == ("mona", 1, pull.repository.installation_id)
    assert turn.used_seconds > 0
    assert len(pull.reviews) == 1
