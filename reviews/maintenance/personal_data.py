"""What is held on one person, or one installation of the App: export it, or erase it.

To erase is to replace: a login becomes `[erased]`, which is no login of GitHub, so the rows and every count stay. The
identities of deliveries stay, so a redelivery of GitHub is a duplicate as before. Runs that are not finished are left
alone and counted: their login decides whose turn it is and who may command. A failed delivery can still be requeued;
its run then begins again at its first step, which reads the author from GitHub.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Any

from django.db import DEFAULT_DB_ALIAS, models, router, transaction
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Cast
from django.utils.crypto import salted_hmac
from django_tasks_db.models import DBTaskResult

from reviews.models import (
    PENDING_EXECUTION,
    Attempt,
    CheckRunReport,
    CommandOutcome,
    CountedUntil,
    Delivery,
    DeliveryStatus,
    GitHubLimit,
    GitHubOutage,
    IgnoredFinding,
    LanguageModelUsage,
    MissedDelivery,
    Notification,
    PeriodicTask,
    ReportedFinding,
    Review,
    Tally,
    ThumbsDown,
    Turn,
)
from telemetry.models import Conclusion, Execution, RateLimitEvent

ERASED = "[erased]"
"""What stands in place of a login. GitHub's logins have no brackets but in `[bot]`: nobody is mentioned by it."""
BATCH = 500
"""Rows changed in one transaction, which is how long SQLite's other writers wait."""
UNFINISHED = (DeliveryStatus.RECEIVED, DeliveryStatus.QUEUED, DeliveryStatus.RUNNING)
EMPTIED: dict[str, Any] = {
    "repositories": [],
    "github_review_url": "",
    "failure": "",
    "outcome": "",
    "error": "",
    "message": "",
    "reason": "",
    "calls": [],
}
"""Columns of an erased installation that become empty."""
DEGRADED = "degraded: "
"""The beginning of a reason that names nobody, and that `verify_telemetry` reads."""
QUOTING = frozenset({"message", "snippet", "fix", "suppression", "words", "suggestion"}) | {
    "config_problems",
    "config_change",
    "linter_problems",
}
"""Parts of a report that quote the repository. Rules, severities, lines and files stay: they are its verdict."""
KEPT_KEYS = frozenset({"path", "analysed_files", "partially_analysed"})
"""Parts of a report that name files."""


class Holds(StrEnum):
    """What a column of text holds about people."""

    LOGIN = "a login"
    TEXT = "text that may quote a login"
    REPOSITORY = "the name of a repository, whose owner may be a person"
    NOTHING = "nothing about a person"


def _columns(holds: Holds, names: str) -> dict[str, Holds]:
    return dict.fromkeys(names.split(), holds)


INVENTORY: dict[type[Model], dict[str, Holds]] = {
    Delivery: _columns(Holds.LOGIN, "sender author")
    | _columns(Holds.TEXT, "failure")
    | _columns(Holds.REPOSITORY, "repo repositories")
    | _columns(
        Holds.NOTHING,
        "delivery_id event event_type status ignore_reason head_sha base_ref base_sha command task_id",
    ),
    Review: _columns(Holds.LOGIN, "pr_author")
    | _columns(Holds.TEXT, "config report conclusion_reason")
    | _columns(Holds.REPOSITORY, "repo github_review_url")
    | _columns(Holds.NOTHING, "lease_owner head_sha base_ref author_tier degradation_path conclusion"),
    Execution: _columns(Holds.LOGIN, "pr_author")
    | _columns(Holds.REPOSITORY, "repo")
    | _columns(
        Holds.NOTHING, "delivery_id legacy_delivery_id event_type provider model conclusion session_id stop_reason"
    ),
    RateLimitEvent: _columns(Holds.REPOSITORY, "repo")
    | _columns(Holds.NOTHING, "delivery_id legacy_delivery_id event_type degradation_path"),
    IgnoredFinding: _columns(Holds.LOGIN, "ignored_by")
    | _columns(Holds.TEXT, "message")
    | _columns(Holds.REPOSITORY, "repo")
    | _columns(Holds.NOTHING, "content_hash rule path"),
    # How many people, and not who.
    ThumbsDown: _columns(Holds.REPOSITORY, "repo") | _columns(Holds.NOTHING, "path rule"),
    ReportedFinding: _columns(Holds.REPOSITORY, "repo")
    | _columns(Holds.NOTHING, "fingerprint engine rule severity path"),
    Turn: _columns(Holds.LOGIN, "author"),
    PeriodicTask: _columns(Holds.TEXT, "outcome failure") | _columns(Holds.NOTHING, "name"),
    GitHubOutage: _columns(Holds.TEXT, "error"),
    Notification: _columns(Holds.TEXT, "message failure") | _columns(Holds.NOTHING, "kind begin_sent end_sent"),
    MissedDelivery: _columns(Holds.NOTHING, "delivery_id event_type"),
    # The paths of calls name repositories, and so their owners.
    Attempt: _columns(Holds.TEXT, "calls reason") | _columns(Holds.NOTHING, "worker outcome"),
    CommandOutcome: {},
    CheckRunReport: {},
    LanguageModelUsage: _columns(Holds.NOTHING, "usage"),
    # Numbers, by names that are Kodiai's own.
    GitHubLimit: _columns(Holds.NOTHING, "resource"),
    Tally: _columns(Holds.NOTHING, "metric label"),
    CountedUntil: _columns(Holds.NOTHING, "source"),
    # The queue: it names deliveries by their keys, and tracebacks are removed with their tasks, a day later.
    DBTaskResult: _columns(
        Holds.NOTHING,
        "status args_kwargs task_path worker_ids queue_name backend_name return_value exception_class_path traceback",
    ),
}
"""Every column of text of every table, and what it holds."""
OUT_OF_SCOPE = frozenset({"admin", "auth", "authtoken", "contenttypes", "sessions"})
"""Apps whose rows are about administrators' accounts, which the admin shows and deletes."""


@dataclass
class Outcome:
    """What was erased, or would be: rows by `table.column`, and rows that are left until their run has finished."""

    changed: Counter[str] = field(default_factory=Counter)
    unfinished: int = 0
    installations: list[int] = field(default_factory=list)
    """Installations whose repositories are named after the person; these names stay."""


@dataclass(frozen=True)
class Person:
    """A person by their login on GitHub, in any letter case."""

    login: str

    def mentioned_in(self, text: str) -> bool:
        """Return whether a text names the login as a whole word."""
        return self._word.search(text) is not None

    def erased_from(self, text: str) -> str:
        """Return the text without the login."""
        return self._word.sub(ERASED, text)

    def is_login(self, text: str | None) -> bool:
        """Return whether a text is the login."""
        return (text or "").lower() == self.login.lower()

    def owns(self, repo: str) -> bool:
        """Return whether the repository `owner/name` is the person's own."""
        return repo.lower().startswith(f"{self.login.lower()}/")

    @property
    def _word(self) -> re.Pattern[str]:
        # `octocat` is neither in `octocat-two` nor in `octocat[bot]`.
        return re.compile(rf"(?<![\w-]){re.escape(self.login)}(?![\w-]|\[bot\])", re.IGNORECASE)

    def rows(self, model: type[Model], *, owned: bool = False) -> QuerySet[Any]:
        """Query the rows that may be about the person: a superset; with `owned`, also their repositories' rows."""
        found, texts = Q(), {}
        for name, holds in INVENTORY[model].items():
            if holds is Holds.LOGIN:
                found |= Q(**{f"{name}__iexact": self.login})
            elif holds is Holds.TEXT:
                texts[f"{name}_text"] = Cast(name, models.TextField())
                found |= Q(**{f"{name}_text__icontains": self.login})
            elif holds is Holds.REPOSITORY and name == "repo" and owned:
                found |= Q(repo__istartswith=f"{self.login}/")
        rows: QuerySet[Any] = model._base_manager.alias(**texts)
        return rows.filter(found) if found else rows.none()

    def changes(self, row: Model) -> dict[str, Any]:
        """Return the columns of a row that name the person, with their values after the erasure."""
        changed: dict[str, Any] = {}
        for name, holds in INVENTORY[type(row)].items():
            value = getattr(row, name)
            if holds is Holds.LOGIN and self.is_login(value):
                changed[name] = ERASED
            elif holds is Holds.TEXT and (after := self._without(value)) != value:
                changed[name] = after
        return changed

    def _without(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.erased_from(value)
        if isinstance(value, list):
            return [self._without(each) for each in value]
        if isinstance(value, dict):
            return {name: each if name in KEPT_KEYS else self._without(each) for name, each in value.items()}
        return value


def export_person(person: Person) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the table and the columns of each row about a person; those of their own repositories too."""
    for model in INVENTORY:
        for row in person.rows(model, owned=True).order_by("pk").iterator(chunk_size=BATCH):
            if person.changes(row) or person.owns(getattr(row, "repo", "")):
                yield model._meta.db_table, _values(row)


def erase_person(person: Person, *, dry_run: bool = False, progress: Callable[[int], None] = lambda _: None) -> Outcome:
    """Replace a login wherever it is held, in batches. Safe to interrupt and to repeat; finds nothing the second time.

    With `dry_run` nothing is written. `progress` is called with the rows of each batch.
    """
    left = _identities(_unfinished().filter(_concerns(person)))
    outcome = _Erasure(person.changes, left, dry_run, progress).of(person.rows(model) for model in INVENTORY)
    owned = Delivery.objects.filter(repo__istartswith=f"{person.login}/", installation_id__isnull=False)
    outcome.installations = sorted({number for number in owned.values_list("installation_id", flat=True) if number})
    return outcome


def export_installation(installation_id: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the table and the columns of each row about an installation's repositories."""
    for rows in _of_installation(installation_id, repository_names(installation_id)):
        for row in rows.order_by("pk").iterator(chunk_size=BATCH):
            yield row._meta.db_table, _values(row)


def erase_installation(
    installation_id: int, *, dry_run: bool = False, progress: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Replace logins and repositories' names of an installation, and empty what quotes them, in batches.

    Each repository gets a different new name, so rows can be counted by repository as before. GitHub's numbers
    stay. A failed delivery cannot be requeued afterwards: its repository has no name.
    """
    names = repository_names(installation_id)
    left = _identities(_unfinished().filter(installation_id=installation_id))
    erasure = _Erasure(lambda row: _nameless(row, names), left, dry_run, progress)
    return erasure.of(_of_installation(installation_id, names))


def repository_names(installation_id: int) -> dict[str, str]:
    """Return the repositories of an installation, and what their names become: the same each time."""
    rows = Delivery.objects.filter(installation_id=installation_id).exclude(repo="")
    found = {repo for repo in rows.values_list("repo", flat=True).distinct() if not repo.startswith(f"{ERASED}/")}
    return {repo: f"{ERASED}/{salted_hmac(__name__, repo).hexdigest()[:16]}" for repo in sorted(found)}


def _of_installation(installation_id: int, names: dict[str, str]) -> Iterator[QuerySet[Any]]:
    """Yield the rows of each table. Deliveries are last: without them nothing shows whose the repositories were."""
    by_name: tuple[type[Model], ...] = (RateLimitEvent, Execution, IgnoredFinding, ThumbsDown, ReportedFinding)
    by_number: tuple[type[Model], ...] = (Turn, GitHubOutage, Delivery)
    yield from (model._base_manager.filter(repo__in=list(names)) for model in by_name)
    yield Attempt._base_manager.filter(review__delivery__installation_id=installation_id)
    yield Review._base_manager.filter(delivery__installation_id=installation_id)
    yield from (model._base_manager.filter(installation_id=installation_id) for model in by_number)


def _nameless(row: Model, names: dict[str, str]) -> dict[str, Any]:
    """Return the columns of a row that name people or repositories, with their values after the erasure."""
    changed: dict[str, Any] = {}
    for name, holds in INVENTORY[type(row)].items():
        value = getattr(row, name)
        if not value or holds is Holds.NOTHING:
            continue
        if name == "repo":
            after: Any = names.get(value, value)
        elif name == "report":
            after = _unquoted(value)
        elif name == "config":
            # What decides the verdict stays: a check run can be reported anew.
            after = {section: each for section, each in value.items() if section != "triggers"}
        elif name == "conclusion_reason" and value.startswith(DEGRADED):
            continue
        else:
            after = EMPTIED.get(name, ERASED)
        if after != value:
            changed[name] = after
    return changed


def _unquoted(value: Any) -> Any:
    """Return a stored report without what it quotes."""
    if isinstance(value, list):
        return [_unquoted(each) for each in value]
    if isinstance(value, dict):
        return {name: _emptied(each) if name in QUOTING else _unquoted(each) for name, each in value.items()}
    return value


def _emptied(value: Any) -> Any:
    if isinstance(value, str):
        return ERASED if value else ""
    return [] if isinstance(value, list) else None


def _values(row: Model) -> dict[str, Any]:
    return {each.attname: getattr(row, each.attname) for each in row._meta.concrete_fields}


# Batches: what is not finished stays


def _unfinished() -> QuerySet[Delivery]:
    """Deliveries that wait or run, or whose execution is still to be recorded, with the run's author in it."""
    pending = Review.objects.filter(PENDING_EXECUTION).values("delivery")
    return Delivery.objects.filter(Q(status__in=UNFINISHED) | Q(pk__in=pending))


def _identities(deliveries: QuerySet[Delivery]) -> set[tuple[str, str]]:
    return set(deliveries.values_list("delivery_id", "event_type"))


def _concerns(person: Person) -> Q:
    columns = ("sender", "author", "review__pr_author")
    return reduce(or_, (Q(**{f"{column}__iexact": person.login}) for column in columns))


@dataclass
class _Erasure:
    """Changes rows whose runs have ended, a batch in a transaction, and counts the others."""

    changes: Callable[[Any], dict[str, Any]]
    left: set[tuple[str, str]]
    """Identities whose runs have not ended: their telemetry rows stay."""
    dry_run: bool
    progress: Callable[[int], None]
    outcome: Outcome = field(default_factory=Outcome)

    def of(self, tables: Iterable[QuerySet[Any]]) -> Outcome:
        for rows in tables:
            last = None
            while batch := self._batch(rows if last is None else rows.filter(pk__gt=last)):
                last = batch[-1]
                self.progress(len(batch))
        return self.outcome

    def _batch(self, rows: QuerySet[Any]) -> list[Any]:
        """Change a batch; return the keys of its rows. A delivery that is requeued meanwhile waits or is left alone."""
        model = rows.model
        # A search through the table, which must not hold SQLite's write lock.
        keys = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
        with transaction.atomic(using=router.db_for_write(model) or DEFAULT_DB_ALIAS):
            batch = model._base_manager.filter(pk__in=keys)
            if model in (Delivery, Review):
                of_batch = keys if model is Delivery else list(batch.values_list("delivery", flat=True))
                # Not `filter`: SQLite would search by the status, and for minutes.
                ended = Delivery.objects.filter(pk__in=of_batch).exclude(status__in=UNFINISHED).order_by("pk")
                locked = {delivery.pk for delivery in ended.select_for_update(of=("self",)).only("pk")}
                pending = Review.objects.filter(delivery__in=locked).filter(PENDING_EXECUTION)
                ended_now = locked - set(pending.values_list("delivery", flat=True))
                batch = batch.filter(**{"pk__in" if model is Delivery else "delivery__in": ended_now})
                self.outcome.unfinished += len(keys) - len(ended_now) if model is Delivery else 0
            for row in batch.order_by("pk"):
                if not self._is_left(row) and (changes := self.changes(row)):
                    self.outcome.changed.update(f"{model._meta.db_table}.{name}" for name in changes)
                    if not self.dry_run:
                        _replace(row, changes)
        return keys

    def _is_left(self, row: Any) -> bool:
        if isinstance(row, Execution | RateLimitEvent):
            return (row.delivery_id, row.event_type) in self.left
        if isinstance(row, Turn):
            of_author = Q(installation_id=row.installation_id or None, author=row.author)
            return _unfinished().filter(of_author).exists()
        return False


def _replace(row: Model, changes: dict[str, Any]) -> None:
    """Store the changes of a row; remove a row that means nothing without what is erased."""
    if isinstance(row, Turn) or (isinstance(row, IgnoredFinding) and "repo" in changes and row.repo_id is None):
        row.delete()
        return
    if (
        isinstance(row, Review)
        and row.published_at is None
        and row.conclusion in (Conclusion.ERROR, Conclusion.TIMEOUT)
    ):
        # If it is requeued, it reads everything again.
        changes = {**changes, "loaded_at": None, "analysed_at": None}
    type(row)._base_manager.filter(pk=row.pk).update(**changes)
