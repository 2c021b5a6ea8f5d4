"""How long a review takes, and what it asks of GitHub: `make bench`.

A whole Kodiai reviews pull requests of the corpus, of one file to three hundred, beside the sandbox and with all
default engines. Times are those of the run's row: from its start to its published review. They are of this machine, so
what the others take is printed as a multiple of the review of one file, too.
"""

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sandbox import PullRequest
from tests.corpus import pulls as pulls
from tests.corpus.declarations import DECLARED
from tests.e2e import load
from tests.support.databases import POSTGRES_URL
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import eventually

NAMES = ("python-unused-imports", "ten-files", "three-hundred-files")


@dataclass(frozen=True)
class Measured:
    """Runs over one pull request: its files, the seconds from start to published of each, the calls of one."""

    name: str
    files: int
    seconds: list[float]
    calls: int


def measure(name: str, times: int) -> Measured:
    """Let a pull request be reviewed several times, each time by a Kodiai that has never seen it."""
    seconds, calls, files = [], 0, 0
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder, running_kodiai(Path(folder)) as kodiai:
            # What a process does once only, as importing, is not a review's.
            first = kodiai.github.create_repository("octo/first", files={"a.py": "x = 1\n"})
            _reviewed(kodiai, first.open_pull_request(changes={"a.py": "import os\n"}), "first")
            pull = DECLARED[name].opened(kodiai.github)
            before = kodiai.github.count()
            seconds.append(_reviewed(kodiai, pull, name))
            calls, files = kodiai.github.count() - before, len(pull.files())
    return Measured(name, files, seconds, calls)


def _reviewed(kodiai: Kodiai, pull: PullRequest, delivery: str) -> float:
    assert kodiai.send(pull, delivery_id=delivery).status_code == 202
    row = (
        "SELECT r.started_at, r.published_at FROM reviews_review r JOIN reviews_delivery d ON r.delivery_id = d.id"
        " JOIN reviews_checkrunreport c ON c.review_id = r.id"
        f" WHERE d.delivery_id = '{delivery}' AND r.published_at IS NOT NULL AND c.reported_at IS NOT NULL"
    )
    ((started, published),) = eventually(lambda: kodiai.rows(row), f"{delivery} is published")
    begun, ended = load.moment(started), load.moment(published)
    assert begun is not None
    assert ended is not None
    return ended - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="reviews of each pull request")
    options = parser.parse_args()
    measured = [measure(name, options.times) for name in NAMES]
    one = statistics.median(measured[0].seconds)
    rows = [
        (
            each.name,
            each.files,
            f"{statistics.median(each.seconds):.2f}",
            f"{max(each.seconds):.2f}",
            statistics.median(each.seconds) / one,
            each.calls,
        )
        for each in measured
    ]
    columns = ("pull request", "files", "median, s", "most, s", "× the first", "calls to GitHub")
    load.show(f"Start to published, {'PostgreSQL' if POSTGRES_URL else 'SQLite'}", columns, rows, ())


if __name__ == "__main__":
    main()
