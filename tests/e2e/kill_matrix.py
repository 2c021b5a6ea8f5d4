"""The kill matrix: workers get SIGKILL at every step of a run and at random moments; every run ends, once.

`python -m tests.e2e.kill_matrix` runs the whole and prints the table: `make kill-matrix`. The suite runs a smaller one.
"""

import argparse
import contextlib
import math
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import PullRequest
from tests.e2e import load
from tests.e2e.killable import LOG, POINTS, order_path
from tests.e2e.servers import running_redis
from tests.support.databases import POSTGRES_URL
from tests.support.kill_points import AFTER_THE_END, IN_PUBLISH_WINDOW, OF_THE_CHECK_RUN
from tests.support.running_kodiai import SMALL, Kodiai
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Death:
    """A worker was killed while it had the run of a delivery."""

    delivery_id: str
    point: str
    at: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Outcome:
    """What the matrix found; `violations` is empty where the promise was kept."""

    runs: int
    deaths: list[Death]
    recoveries: dict[str, list[float]]
    """By point, the seconds from each kill to the next claim, or to the end where there is nothing left to claim."""
    violations: list[str]

    def show(self, title: str) -> None:
        rows = [
            (point, len(seconds), *load.median_and_worst(seconds), _waits_for(point))
            for point, seconds in sorted(self.recoveries.items(), key=lambda found: _rank(found[0]))
        ]
        title += f": {self.runs} runs, {len(self.deaths)} kills, {len(self.violations)} violations"
        load.show(title, ("killed at", "kills", "median s", "worst s", "what it waits for"), rows, self.violations)


def run_matrix(
    kodiai: Kodiai,
    *,
    each_point: int,
    random_kills: int,
    chance: random.Random,
    points: Sequence[str] = POINTS,
    longest: float = math.inf,
) -> Outcome:
    """Send runs and kill the worker of each, but never so many at a time that less than half of the workers are left:
    the time to recover must be Kodiai's, and not that in which this machine starts a process. After `longest` seconds
    no more are sent."""
    workers = int(kodiai.environment["KODIAI_WORKERS"])
    orders = load.orders_of(kodiai)
    repo = kodiai.github.create_repository("octo/matrix", files=SMALL)
    sent: dict[str, PullRequest] = {}
    deaths: list[Death] = []

    def deliver(delivery_id: str, *points: str) -> None:
        # An author of its own, so that each search belongs to one run.
        pull = repo.open_pull_request(changes={"a.py": f"import os\nx = {len(sent)}\n"}, author=f"of-{delivery_id}")
        for point in points:
            order_path(orders, delivery_id, point).touch()
        assert kodiai.send(pull, delivery_id=delivery_id).json()["status"] == "queued"
        sent[delivery_id] = pull

    def have_room() -> None:
        def room() -> bool:
            pending = sum(order.name != LOG for order in orders.iterdir())
            return len(load.at_work(kodiai)) - pending > workers // 2 and load.unfinished(kodiai) < workers * 2

        assert wait_until(room, every=0.3), _stuck(kodiai)

    have_room()
    deliver("unharmed")
    longest_moment = _time_of(kodiai, "unharmed")
    plan = [point for point in points for _ in range(each_point)] + ["random"] * random_kills
    chance.shuffle(plan)
    deadline = time.monotonic() + longest
    for number, point in enumerate(plan):
        have_room()
        if time.monotonic() > deadline:
            break
        if point == "random":
            deliver(f"random-{number}")
            deaths += _kill_at_random(kodiai, f"random-{number}", chance.uniform(0.0, longest_moment))
        else:
            # A sweep finds only runs whose worker has died before.
            deliver(f"{point}-{number}", *(("claimed", point) if point == "swept" else (point,)))
    assert wait_until(lambda: not load.unfinished(kodiai)), _stuck(kodiai)
    left = wait_until(lambda: not load.tasks_left(kodiai))

    deaths += [Death(entry["delivery"], entry["point"], entry["at"]) for entry in load.logged(kodiai, "kill")]
    wrong = load.violations(kodiai, sent) + _searched_again(kodiai, sent, deaths)
    wrong += [f"an order was never carried out: {order.name}" for order in orders.iterdir() if order.name != LOG]
    if not left:
        wrong.append(f"{load.tasks_left(kodiai)} tasks are left in the queue")
    return Outcome(len(sent), deaths, _recoveries(kodiai, deaths), wrong)


def _time_of(kodiai: Kodiai, delivery_id: str) -> float:
    """Wait for the end of a run; return the seconds that it took from its claim."""
    assert wait_until(lambda: not load.unfinished(kodiai)), _stuck(kodiai)
    (claimed,) = (entry["at"] for entry in load.logged(kodiai, "claim") if entry["delivery"] == delivery_id)
    (ended,) = (run.execution_recorded_at for run in load.runs(kodiai) if run.delivery_id == delivery_id)
    assert ended is not None
    return ended - claimed


def _kill_at_random(kodiai: Kodiai, delivery_id: str, after: float) -> list[Death]:
    """Kill the worker of a run `after` so many seconds from its claim; return the death if it had the run then."""

    def claims() -> list[dict[str, Any]]:
        return [entry for entry in load.logged(kodiai, "claim") if entry["delivery"] == delivery_id]

    assert wait_until(claims), _stuck(kodiai)
    # Not a wait for a condition: the moment is what is drawn.
    time.sleep(after)
    pid = claims()[-1]["pid"]
    at = time.time()
    if not load.kill(pid):
        return []
    owner, publishing, published = kodiai.rows(
        "SELECT r.lease_owner, r.publishing_at, r.published_at FROM reviews_review r"
        f" JOIN reviews_delivery d ON d.id = r.delivery_id WHERE d.delivery_id = '{delivery_id}'"
    )[0]
    if f":{pid}:" not in owner:
        return []
    in_window = publishing is not None and published is None
    return [Death(delivery_id, "at random in the publish window" if in_window else "at random", at)]


def _searched_again(kodiai: Kodiai, sent: dict[str, PullRequest], deaths: list[Death]) -> list[str]:
    """Search is asked once for each run; again only where a worker died before the answer was stored."""
    since_epoch = time.time() - time.monotonic()
    stored = {run.delivery_id: run.enriched_at or 0.0 for run in load.runs(kodiai)}
    asked: dict[str, list[float]] = {delivery_id: [] for delivery_id in sent}
    for call in kodiai.github.calls:
        if call.route == "search":
            asked[call.query["q"].partition("author:of-")[2]].append(call.at + since_epoch)
    wrong = []
    for delivery_id, times in asked.items():
        died_before = sum(death.delivery_id == delivery_id and death.at < stored[delivery_id] for death in deaths)
        if not 1 <= len(times) <= 1 + died_before or any(at > stored[delivery_id] for at in times):
            wrong.append(f"{delivery_id}: Search was asked {len(times)} times, {died_before} workers had died before")
    return wrong


def _recoveries(kodiai: Kodiai, deaths: list[Death]) -> dict[str, list[float]]:
    runs = load.runs(kodiai)
    ended = {run.delivery_id: run.execution_recorded_at for run in runs}
    reported = {run.delivery_id: run.check_run_reported_at for run in runs}
    claims = load.logged(kodiai, "claim")
    found: dict[str, list[float]] = {}
    for death in deaths:
        after = [claim["at"] for claim in claims if claim["delivery"] == death.delivery_id and claim["at"] > death.at]
        last = reported if death.point in OF_THE_CHECK_RUN else ended
        recovered = min(after, default=last[death.delivery_id] or death.at)
        # Where one more worker died before that, the time is counted from the last.
        if not any(other.delivery_id == death.delivery_id and death.at < other.at < recovered for other in deaths):
            found.setdefault(death.point, []).append(max(0.0, recovered - death.at))
    return found


def _rank(point: str) -> int:
    return POINTS.index(point) if point in POINTS else len(POINTS)


def _waits_for(point: str) -> str:
    if point in OF_THE_CHECK_RUN:
        return "lease, and GitHub to settle, of the check run"
    if point in ("finished", *AFTER_THE_END):
        return "its pending telemetry"
    if point in IN_PUBLISH_WINDOW or "window" in point:
        return "lease, and GitHub to settle"
    return "lease"


def _stuck(kodiai: Kodiai) -> str:
    left = [run for run in load.runs(kodiai) if run.status != "done" or run.execution_recorded_at is None]
    return f"runs did not end: {left}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each-point", type=int, default=10, help="runs for each of the points (default %(default)s)")
    parser.add_argument("--random", type=int, default=80, help="runs killed at random moments (default %(default)s)")
    parser.add_argument("--workers", type=int, default=4 if POSTGRES_URL else 2)
    parser.add_argument("--lease", type=float, default=5, help="KODIAI_LEASE_SECONDS (default %(default)s)")
    parser.add_argument("--longest", type=float, default=3600, help="seconds after which it sends no more runs")
    parser.add_argument("--redis", action="store_true", help="the queue on a Redis that is started for this")
    options = parser.parse_args()
    seed, chance = load.seeded()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {"KODIAI_TASKS_URL": stack.enter_context(running_redis(folder)).url} if options.redis else {}
        kodiai = stack.enter_context(
            load.killable_kodiai(folder, workers=options.workers, lease=options.lease, **environment)
        )
        outcome = run_matrix(
            kodiai, each_point=options.each_point, random_kills=options.random, chance=chance, longest=options.longest
        )
    where = ("PostgreSQL" if POSTGRES_URL else "SQLite") + (" and RQ on Redis" if options.redis else "")
    outcome.show(f"Kill matrix: {where}, {options.workers} workers, lease {options.lease:g} s, SEED={seed}")
    return bool(outcome.violations)


if __name__ == "__main__":
    sys.exit(main())
