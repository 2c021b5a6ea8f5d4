"""What `record_rate_limit_event` costs beside a bare INSERT of the same row: `make bench`.

Both write new rows in turns, each in a transaction of its own; a replay is a third kind, which only reads.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import django
from django.core.management import call_command
from django.db import connection

from tests.e2e import load
from tests.support import processes
from tests.support.databases import empty_database

ROUNDS = 1000


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, empty_database(Path(folder)) as url:
        # Kodiai's own settings: those of the tests have a database of theirs.
        os.environ |= processes.environment(DATABASE_URL=url, KODIAI_SECRET_KEY="bench" * 12, KODIAI_LOG_LEVEL="ERROR")
        django.setup()
        call_command("migrate", verbosity=0)
        try:
            rows = _measured()
        finally:
            connection.close()
    title = f"Recording, {load.DATABASE}, medians of {ROUNDS}"
    load.publish(title, ("what", "ms", "times a bare INSERT"), rows, [], as_json="--json" in sys.argv)
    return 0


def _measured() -> list[tuple[str, str, str]]:
    from telemetry.models import RateLimitEvent
    from telemetry.recording import record_rate_limit_event

    values = {"repo": "octo/bench", "pr_number": 1, "cache_hit_rate": 0.5, "skipped_queries": 0, "retry_attempts": 1}
    insert = (
        "INSERT INTO rate_limit_events (delivery_id, event_type, repo, pr_number, cache_hit_rate, skipped_queries,"
        " retry_attempts, degradation_path) VALUES (%s, 'pull_request.opened', 'octo/bench', 1, 0.5, 0, 1, 'none')"
    )

    def bare(number: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(insert, [f"bare-{number}"])

    def recorded(number: int) -> None:
        row = record_rate_limit_event(
            delivery_id=f"row-{number}", event_type="pull_request.opened", degradation_path="none", **values
        )
        assert row is not None

    kinds: dict[str, Callable[[int], None]] = {"bare INSERT": bare, "recorded": recorded, "replayed": recorded}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(ROUNDS):
        for kind, write in kinds.items():
            began = time.perf_counter()
            write(number)
            times[kind].append(time.perf_counter() - began)
    assert RateLimitEvent.objects.count() == 2 * ROUNDS
    medians = {kind: statistics.median(taken) * 1000 for kind, taken in times.items()}
    return [(kind, f"{median:.2f}", f"{median / medians['bare INSERT']:.1f}") for kind, median in medians.items()]


if __name__ == "__main__":
    sys.exit(main())
