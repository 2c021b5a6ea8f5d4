"""GitHub goes away in the middle of many runs and comes back: all are reviewed, none failed, and there is no burst.

`python -m tests.e2e.outage` prints the requests over time: `make outage`. The suite runs a smaller one. With `--scale`
below 1 the outage and the waits of Kodiai are shorter by this factor.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from sandbox import Fault, FaultKind, PullRequest
from tests.e2e import load
from tests.support.databases import POSTGRES_URL
from tests.support.running_kodiai import SMALL, Kodiai, running_kodiai
from tests.support.waiting import PATIENCE, wait_until

AUTHORS = 10
UNREACHABLE = "200 unreachable"
"""What `/readyz` answers when a run has met an outage."""
ROWS = 24
"""Rows of the table of requests over time."""


@dataclass(frozen=True)
class Outcome:
    """What came of it. Times are by `time.monotonic()`; `calls` are those of all requests to GitHub."""

    began: float
    away: float
    back: float
    ended: float
    calls: Sequence[float]
    before: int
    """Runs that had ended when GitHub went away."""
    conclusions: Counter[str]
    attempts: int
    readiness: str
    """What `/readyz` said of GitHub in the middle of the outage."""
    violations: Sequence[str]

    def peak(self, start: float, end: float, window: float) -> float:
        """The most requests a second in any window of the given length."""
        times = [at for at in self.calls if start <= at < end]
        return max((sum(at <= other < at + window for other in times) / window for at in times), default=0.0)

    def show(self, title: str) -> None:
        length = max(1.0, (self.ended - self.began) / ROWS)
        rows = []
        for number in range(ROWS):
            start = self.began + number * length
            asked = sum(start <= at < start + length for at in self.calls)
            state = "away" if start < self.back and start + length > self.away else ""
            rows.append((f"{number * length:.0f} s", state, asked / length))
        load.show(title, ("from", "GitHub", "requests a second"), rows, ())
        figures = [
            ("runs that had ended when GitHub went away", self.before),
            ("runs that ended after it", sum(self.conclusions.values()) - self.before),
            *((f"runs ended as {conclusion}", count) for conclusion, count in sorted(self.conclusions.items())),
            ("failed attempts", self.attempts),
            ("/readyz during the outage", self.readiness),
            ("requests during the outage", sum(self.away <= at < self.back for at in self.calls)),
            ("most requests in a second, before", self.peak(self.began, self.away, 1)),
            ("most requests in a second, in the outage", self.peak(self.away, self.back, 1)),
            ("most requests in a second, after", self.peak(self.back, self.ended, 1)),
            ("until GitHub was back, s", self.back - self.away),
            ("from then until the last run ended, s", self.ended - self.back),
            ("violations", len(self.violations)),
        ]
        load.show("", ("what", "how much"), figures, self.violations)


def run_outage(kodiai: Kodiai, *, runs: int, seconds: float, longest: float) -> Outcome:
    """Send deliveries, let GitHub go away when a tenth is done, and come back after `seconds`."""
    for limit in kodiai.github.limits.values():
        limit.limit = load.UNLIMITED
    repo = kodiai.github.create_repository("octo/outage", files=SMALL)
    pulls: dict[str, PullRequest] = {
        f"outage-{number}": repo.open_pull_request(
            changes={"a.py": f"import os\nx = {number}\n"}, author=f"author-{number % AUTHORS}"
        )
        for number in range(runs)
    }
    began = time.monotonic()
    for delivery_id, pull in pulls.items():
        assert kodiai.send(pull, delivery_id=delivery_id).status_code == 202
    wait_until(lambda: _ended(kodiai) >= max(1, runs // 10), longest, every=0.05)
    kodiai.github.fail("*", Fault(FaultKind.RESET), times=None)
    away, before = time.monotonic(), _ended(kodiai)
    # The outage begins when a run meets it, however slow this machine is; its length is what is set.
    wait_until(lambda: _readiness(kodiai) == UNREACHABLE, longest, every=0.1)
    readiness = _readiness(kodiai)
    time.sleep(seconds)
    kodiai.github.clear_faults()
    back = time.monotonic()
    done = wait_until(lambda: not load.unfinished(kodiai), longest, every=0.25)
    ended = time.monotonic()
    found = load.runs(kodiai)
    wrong = [] if done else [f"{load.unfinished(kodiai)} runs had not ended after {longest:.0f} s"]
    return Outcome(
        began=began,
        away=away,
        back=back,
        ended=ended,
        calls=[call.at for call in kodiai.github.calls],
        before=before,
        conclusions=Counter(run.conclusion for run in found),
        attempts=sum(run.attempts for run in found),
        readiness=readiness,
        violations=wrong + load.violations(kodiai, pulls),
    )


def _ended(kodiai: Kodiai) -> int:
    return int(kodiai.rows("SELECT count(*) FROM reviews_review WHERE finished_at IS NOT NULL")[0][0])


def _readiness(kodiai: Kodiai) -> str:
    answer = httpx.get(f"{kodiai.url}/readyz", timeout=PATIENCE)
    return f"{answer.status_code} {answer.json()['github']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10, help="how long GitHub is away, before it is scaled")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    environment = {"DJANGO_SETTINGS_MODULE": "tests.e2e.scaled_settings", "SCALE_OUTAGES": str(options.scale)}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_kodiai(Path(folder), workers=options.workers, KODIAI_LEASE_SECONDS="10", **environment) as kodiai,
    ):
        outcome = run_outage(
            kodiai, runs=options.runs, seconds=options.minutes * 60 * options.scale, longest=60 + 10 * options.runs
        )
    database = "PostgreSQL" if POSTGRES_URL else "SQLite"
    outcome.show(f"GitHub away for {outcome.back - outcome.away:.0f} s: {database}, {options.workers} workers")
    return bool(outcome.violations or outcome.attempts or set(outcome.conclusions) != {"success"})


if __name__ == "__main__":
    sys.exit(main())
