"""Fifty pull requests of ten authors beside one author with thirty hostile ones, and one worker: how long they wait.

`python -m tests.e2e.fairness` measures it without and with the hostile ones, whose analysis goes up to its limit,
and prints both: `make fairness`. All deliveries are sent before the worker starts, the hostile ones first. It ends when
the fifty are reviewed, and leaves the rest of the thirty.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import PullRequest
from tests.e2e import load
from tests.support.databases import POSTGRES_URL
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import wait_until

HOSTILE_FILES = {"a.sh": "#!/bin/sh\necho " + '"$(echo ' * 40 + "x" + ')"' * 40 + "\n"}
"""ShellCheck takes time with the power of the nesting, and is ended by its limit."""


@dataclass(frozen=True)
class Outcome:
    """The order in which runs started, by delivery id, and how long those of each normal author waited, in seconds."""

    order: Sequence[str]
    waits: Sequence[float]
    longest_hostile: float

    @property
    def median(self) -> float:
        return statistics.median(self.waits)


def run_beside(
    kodiai: Kodiai, *, normal: int, authors: int, hostile: int, files: dict[str, str], longest: float
) -> Outcome:
    """Send all deliveries while no worker runs, the hostile ones first; then let one work until the others are done."""
    for limit in kodiai.github.limits.values():
        limit.limit = load.UNLIMITED
    repo = kodiai.github.create_repository(f"octo/beside-{hostile}", files={"a.py": "x = 1\n"})
    pulls: dict[str, PullRequest] = {
        f"hostile-{number}": repo.open_pull_request(changes={**files, "b.py": f"x = {number}\n"}, author="hostile")
        for number in range(hostile)
    }
    pulls |= {
        f"normal-{number}": repo.open_pull_request(
            changes={"a.py": f"import os\nx = {number}\n"}, author=f"author-{number % authors}"
        )
        for number in range(normal)
    }
    for delivery_id, pull in pulls.items():
        assert kodiai.send(pull, delivery_id=delivery_id).status_code == 202
    with kodiai.working():
        began = time.time()
        done = wait_until(lambda: _ended(kodiai) == normal, longest, every=0.25)
        assert done, f"{_ended(kodiai)} of {normal} were reviewed after {longest:.0f} s"
    rows = [
        (delivery_id, load.moment(started), load.moment(finished))
        for delivery_id, started, finished in kodiai.rows(
            "SELECT d.delivery_id, r.started_at, r.finished_at FROM reviews_review r"
            " JOIN reviews_delivery d ON d.id = r.delivery_id WHERE r.started_at IS NOT NULL ORDER BY r.started_at"
        )
    ]
    return Outcome(
        order=[row[0] for row in rows],
        waits=[(start or 0) - began for delivery_id, start, _ in rows if delivery_id.startswith("normal")],
        longest_hostile=max(
            ((end or time.time()) - (start or 0) for delivery_id, start, end in rows if delivery_id[0] == "h"),
            default=0.0,
        ),
    )


def _ended(kodiai: Kodiai) -> int:
    query = (
        "SELECT count(*) FROM reviews_review r JOIN reviews_delivery d ON d.id = r.delivery_id"
        " WHERE r.finished_at IS NOT NULL AND d.delivery_id LIKE 'normal-%'"
    )
    return int(kodiai.rows(query)[0][0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--normal", type=int, default=50)
    parser.add_argument("--authors", type=int, default=10)
    parser.add_argument("--hostile", type=int, default=30)
    options = parser.parse_args()
    outcomes = []
    for hostile in (0, options.hostile):
        with (
            tempfile.TemporaryDirectory() as folder,
            running_kodiai(Path(folder), workers=0, KODIAI_LEASE_SECONDS="60") as kodiai,
        ):
            outcomes.append(
                run_beside(
                    kodiai, normal=options.normal, authors=options.authors, hostile=hostile, files=HOSTILE_FILES,
                    longest=3600,
                )
            )  # fmt: skip
    without, beside = outcomes
    first = next((index for index, name in enumerate(beside.order) if name.startswith("hostile")), -1)
    rows = [
        ("median wait of the normal ones, s", without.median, beside.median),
        ("longest wait of a normal one, s", max(without.waits), max(beside.waits)),
        ("hostile ones that started before the last normal one", 0, sum(name[0] == "h" for name in beside.order)),
        ("of them the first, by position", "–", first + 1),
        ("longest time of a hostile one, s", 0.0, beside.longest_hostile),
    ]
    database = "PostgreSQL" if POSTGRES_URL else "SQLite"
    load.show(f"One worker: {database}", ("what", "without hostile ones", "beside them"), rows, ())
    return beside.median > 2 * without.median


if __name__ == "__main__":
    sys.exit(main())
