"""What the kill matrix and the storm share: the processes of a Kodiai, the invariants, and how figures are shown."""

import hashlib
import json
import os
import random
import signal
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from sandbox import PullRequest
from tests.e2e.killable import LOG
from tests.support.databases import POSTGRES_URL
from tests.support.published import check_reported_once
from tests.support.running_kodiai import Kodiai, running_kodiai

# `python -m tests.e2e.storm` and its like are started without pytest, which names the settings by itself.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

UNLIMITED = 10**9
DATABASE = "PostgreSQL" if POSTGRES_URL else "SQLite"
MAX_SHOWN = 50
"""Violations that are printed. One is enough to fail."""


def seeded() -> tuple[int, random.Random]:
    """A source of chance, and the seed that brings it back (`SEED` in the environment)."""
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    return seed, random.Random(seed)


# Processes


@contextmanager
def killable_kodiai(folder: Path, *, workers: int, lease: float, **environment: str) -> Iterator[Kodiai]:
    """A Kodiai whose workers die on order (`tests.e2e.killable`) and are started again at once, beside a GitHub without
    limits: what is tested here are not they."""
    orders = folder / "orders"
    orders.mkdir()
    with running_kodiai(
        folder,
        workers=workers,
        DJANGO_SETTINGS_MODULE="tests.e2e.killable_settings",
        KILL_ORDERS=str(orders),
        KODIAI_LEASE_SECONDS=str(lease),
        **environment,
    ) as kodiai:
        for limit in kodiai.github.limits.values():
            limit.limit = UNLIMITED
        yield kodiai


def orders_of(kodiai: Kodiai) -> Path:
    """The folder of the orders to die, and of the log of what was claimed and killed."""
    return Path(kodiai.environment["KILL_ORDERS"])


def logged(kodiai: Kodiai, event: str) -> list[dict[str, Any]]:
    """What workers have logged so far of one kind: `start`, `claim` or `kill`."""
    try:
        lines = (orders_of(kodiai) / LOG).read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    # A line that is being written in this moment is left to the next look.
    entries = (json.loads(line) for line in lines if line.endswith("\n"))
    return [entry for entry in entries if entry["event"] == event]


def at_work(kodiai: Kodiai) -> set[int]:
    """The workers that live and have started: that take tasks and do their periodic ones."""
    return children(kodiai, "manage.py worker") & {entry["pid"] for entry in logged(kodiai, "start")}


def children(kodiai: Kodiai, command: str) -> set[int]:
    """Children of this Kodiai's supervisor in whose command this is found. Source: proc(5)."""
    return {pid for pid in _below(kodiai.process.pid) if command in _read(f"/proc/{pid}/cmdline").replace("\0", " ")}


def kill(pid: int) -> bool:
    """End a process with SIGKILL; return False if it was gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def resident_mib(pid: int) -> float:
    """Memory of a process and of all below it, in MiB. Source: proc(5), VmRSS. What is gone counts nothing."""
    lines = _read(f"/proc/{pid}/status").splitlines()
    own = sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
    return own + sum(map(resident_mib, _below(pid)))


def _below(pid: int) -> list[int]:
    return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _read(path: str) -> str:
    """What a file of proc says; nothing where the process is gone."""
    try:
        return Path(path).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


# Invariants


@dataclass(frozen=True)
class Run:
    """A delivery and its run, as the database has them at the end."""

    delivery_id: str
    event_type: str
    status: str
    conclusion: str
    lease_owner: str
    attempts: int
    enriched_at: float | None
    execution_recorded_at: float | None
    github_review_id: int | None
    check_run_reported_at: float | None
    number: int
    """Runs have one each, later ones a higher one."""
    commit: tuple[str, int, str]
    """Repository, pull request and head commit."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.delivery_id}\n{self.event_type}".encode()).hexdigest()[:32]

    @property
    def marker(self) -> str:
        return f"<!-- kodiai:review {self.digest} -->"


def runs(kodiai: Kodiai) -> list[Run]:
    rows = kodiai.rows(
        "SELECT d.delivery_id, d.event_type, d.status, r.conclusion, r.lease_owner, r.attempts, r.enriched_at,"
        " r.execution_recorded_at, r.github_review_id, c.reported_at, r.id, r.repo, r.pr_number, r.head_sha"
        " FROM reviews_delivery d JOIN reviews_review r ON r.delivery_id = d.id"
        " LEFT JOIN reviews_checkrunreport c ON c.review_id = r.id"
    )
    return [Run(*row[:6], moment(row[6]), moment(row[7]), row[8], moment(row[9]), row[10], row[11:]) for row in rows]


def moment(value: Any) -> float | None:
    """A time of the database in seconds since the epoch; SQLite keeps it as text, in UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value.timestamp() if value is not None else None


def unfinished(kodiai: Kodiai) -> int:
    """Deliveries that have not ended, whose execution is not recorded, or whose check run is not reported."""
    return int(
        kodiai.rows(
            "SELECT count(*) FROM reviews_delivery d JOIN reviews_review r ON r.delivery_id = d.id"
            " LEFT JOIN reviews_checkrunreport c ON c.review_id = r.id"
            " WHERE d.status NOT IN ('done', 'failed', 'ignored') OR r.execution_recorded_at IS NULL"
            " OR c.due_at IS NOT NULL"
        )[0][0]
    )


def ended(kodiai: Kodiai) -> int:
    """Runs whose execution is recorded."""
    return int(kodiai.rows("SELECT count(*) FROM reviews_review WHERE execution_recorded_at IS NOT NULL")[0][0])


def tasks_left(kodiai: Kodiai) -> int:
    """Tasks that the queue holds as waiting or running."""
    query = "SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status IN ('READY', 'RUNNING')"
    left = int(kodiai.rows(query)[0][0])
    if url := kodiai.environment.get("KODIAI_TASKS_URL"):
        with redis.Redis.from_url(url) as client:
            left += client.llen("rq:queue:default") + client.zcard("rq:scheduled:default")
    return left


def violations(kodiai: Kodiai, sent: Mapping[str, PullRequest]) -> list[str]:
    """What is not as promised, after everything has ended; `sent` are the pull requests by accepted delivery id.

    Nothing is lost: each is there and done. Nothing is twice: the marker of a run that published stands in one review
    of the App, that of any other in none; no finding is said twice on the lines of a pull request, and there is one
    summary; the same with check runs, of which one that was skipped may have one too. A run that published has none, or
    one that it does not know of, where a later run reported on its commit first. Each run has one execution, and one
    rate-limit event from the moment its enrichment was final.
    """
    found = runs(kodiai)
    wrong = [
        f"{delivery}: accepted and not in the inbox" for delivery in sent.keys() - {run.delivery_id for run in found}
    ]
    wrong += [f"{run.delivery_id}: in the inbox and never accepted" for run in found if run.delivery_id not in sent]
    events, executions = (
        Counter(row[0] for row in kodiai.rows(f"SELECT delivery_id FROM {table}"))
        for table in ("rate_limit_events", "executions")
    )
    bot = f"{kodiai.github.app_slug}[bot]"
    repositories = kodiai.github.repositories.values()
    check_runs = Counter(kept["external_id"] for repository in repositories for kept in repository.check_runs)
    reported_last: dict[tuple[str, int, str], int] = {}
    for run in found:
        if run.check_run_reported_at is not None:
            reported_last[run.commit] = max(run.number, reported_last.get(run.commit, 0))
    for run in found:
        if run.delivery_id not in sent:
            continue
        reviews = [
            review["id"]
            for review in sent[run.delivery_id].reviews
            if review["user"]["login"] == bot and run.marker in review["body"]
        ]
        published = run.conclusion in ("success", "partial")
        reported = check_runs[f"{sent[run.delivery_id].number}:{run.digest}"]
        for what, is_so in {
            "done": run.status == "done",
            "held by nobody": run.lease_owner == "",
            "in one review" if published else "in no review": len(reviews) == published,
            "the row knows its review": reviews == ([run.github_review_id] if published else []),
            "one check run at most": reported <= 1,
            "the check run that the row knows of": reported or run.check_run_reported_at is None,
            "its commit has a check run": not (published or reported) or reported_last.get(run.commit, 0) >= run.number,
            "one execution": executions[run.delivery_id] == 1,
            "one event": events[run.delivery_id] == (run.enriched_at is not None),
        }.items():
            if not is_so:
                wrong.append(
                    f"{run.delivery_id}: not '{what}': {run}, reviews {reviews}, check runs {reported}, executions "
                    f"{executions[run.delivery_id]}, events {events[run.delivery_id]}"
                )
    try:
        check_reported_once({id(pull): pull for pull in sent.values()}.values())
    except AssertionError as twice:
        wrong.append(str(twice))
    if len(events) < sum(events.values()) or len(executions) < sum(executions.values()):
        wrong.append("a telemetry row is there twice")
    return wrong


# Figures


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], wrong: Sequence[str]) -> None:
    """Print a table, and what is not as promised."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row))
    console = Console(width=100, markup=False, highlight=False)
    console.print(table, *wrong[:MAX_SHOWN], sep="\n", soft_wrap=True)


def publish(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str], *, as_json: bool
) -> None:
    """Print a table and notes below it, or both as one line of JSON for `tests.benchmarks.performance`."""
    if as_json:
        sys.stdout.write(json.dumps({"title": title, "columns": columns, "rows": rows, "notes": notes}) + "\n")
    else:
        show(title, columns, rows, notes)


def median_and_worst(seconds: Sequence[float]) -> tuple[object, object]:
    return (statistics.median(seconds), max(seconds)) if seconds else ("–", "–")
