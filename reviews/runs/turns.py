"""Turns: whose run comes next. One author's pull requests do not hold up the others'.

A task of the queue is a wake-up, and not an order to run its delivery: who takes one runs the waiting delivery whose
turn it is. Reviews that somebody asked for come first (`@kodiai review`, "Re-run", a merge queue). Then the
installation whose authors have used the least of the workers' time comes first, then the author who has, and of an
author the oldest delivery. Each author has one run at a time.

What is used is measured (`Turn`): nothing that a pull request says predicts how long its analysis takes. A turn is
taken with a filtered UPDATE in the transaction of the claim, so that two workers never give one author two runs.
"""

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import F, Min, Q, QuerySet
from django.utils import timezone

from reviews.github.facts import INSTALLATION_EVENTS
from reviews.models import CLAIMED, Delivery, DeliveryStatus, Review, Turn

MAX_FAVOURED_SECONDS = 120.0
"""Worker time used by an author from which on their requests come no earlier than automatic reviews."""

Author = tuple[int, str]
"""Installation (0 if unknown) and login."""


@dataclass(frozen=True)
class NextRun:
    """The delivery of an author that is next, and how many runs the author was given before."""

    delivery_pk: int
    author: Author
    runs: int


def in_order() -> list[NextRun]:
    """Return the next delivery of each author who has one waiting and none at work, in the order of their turns."""
    firsts: dict[tuple[int, str, bool], int] = {}
    for installation, author, event, addressed, first in oldest_waiting():
        key = (installation or 0, author, not Delivery(event=event, addressed=addressed).is_automatic)
        firsts[key] = min(first, firsts.get(key, first))
    turns = {
        (turn.installation_id, turn.author): turn
        for turn in Turn.objects.filter(installation_id__in={installation for installation, _, _ in firsts})
    }
    # After their turns: where a worker starts a run of an author in between, `runs` has changed.
    at_work = authors_at_work()
    used_by_installation: dict[int, float] = defaultdict(float)
    for (installation, _), turn in turns.items():
        used_by_installation[installation] += turn.used

    def rank(key: tuple[int, str, bool]) -> tuple[bool, float, float, bool, int]:
        installation, author, asked = key
        turn = turns.get((installation, author))
        used = turn.used if turn is not None else 0.0
        favoured = asked and used < MAX_FAVOURED_SECONDS
        return (not favoured, used_by_installation[installation], used, not asked, firsts[key])

    ranked = sorted((key for key in firsts if key[:2] not in at_work), key=rank)
    return [NextRun(firsts[key], key[:2], turns[key[:2]].runs if key[:2] in turns else 0) for key in ranked]


def oldest_waiting() -> QuerySet[Delivery, tuple[int | None, str, str, bool, int]]:
    """Query the oldest waiting delivery of each kind, by author. Grouped as the index is ordered, which alone answers.

    See `Delivery.Meta`: it takes milliseconds with ten thousand waiting.
    """
    return (
        Delivery.objects.filter(status=DeliveryStatus.QUEUED, queued_at__lte=timezone.now())
        .exclude(event__in=INSTALLATION_EVENTS)
        .values_list("installation_id", "author", "event", "addressed")
        .annotate(first=Min("pk"))
        .order_by()
    )


def authors_at_work() -> set[Author]:
    """Return the authors who have a claimed run."""
    claimed = Review.objects.filter(CLAIMED).values_list("delivery__installation_id", "delivery__author")
    return {(installation or 0, author) for installation, author in claimed}


def author_of(delivery: Delivery) -> Author:
    """Return whose turn a delivery uses."""
    return (delivery.installation_id or 0, delivery.author)


def take(next_run: NextRun) -> bool:
    """Take an author's turn; return False if another worker has taken it since `in_order`."""
    installation, author = next_run.author
    turns = Turn.objects.filter(installation_id=installation, author=author)
    if not next_run.runs:
        Turn.objects.bulk_create([Turn(installation_id=installation, author=author)], ignore_conflicts=True)
    return bool(turns.filter(runs=next_run.runs).update(runs=F("runs") + 1, started_at=timezone.now()))


def charge(author: Author, seconds: float) -> None:
    """Add the worker time of a run to what its author has used."""
    turn = Turn.objects.filter(installation_id=author[0], author=author[1]).first()
    if turn is not None:
        Turn.objects.filter(pk=turn.pk).update(used_seconds=turn.used + seconds, used_at=timezone.now())


def asleep() -> list[int]:
    """Return the next delivery of each author who has one waiting, none at work, and no task in the queue."""
    due = Delivery.objects.filter(status=DeliveryStatus.QUEUED, queued_at__lte=timezone.now())
    rows = due.exclude(task_id="").values_list("installation_id", "author").distinct()
    awake = {(installation or 0, author) for installation, author in rows}
    return [next_run.delivery_pk for next_run in in_order() if next_run.author not in awake]


def next_asleep(author: Author) -> Delivery | None:
    """Return the oldest waiting delivery of an author, if the queue has no task for any of theirs."""
    of_author = Q(installation_id=author[0]) if author[0] else Q(installation_id=None)
    waiting = Delivery.objects.filter(
        of_author, author=author[1], status=DeliveryStatus.QUEUED, queued_at__lte=timezone.now()
    )
    return None if waiting.exclude(task_id="").exists() else waiting.order_by("pk").first()
