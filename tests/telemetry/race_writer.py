"""One of the processes of `test_identity_race`. It imports nothing of Kodiai before its settings are in place."""

import os
from multiprocessing.synchronize import Barrier
from typing import Any

from tests.support.processes import environment

PROCESSES = 16
IDENTITIES = 100
MAX_TRIES = 50


def write_all(url: str, number: int, barrier: Barrier, outcomes: Any) -> None:
    """Record every identity with values that identify the writer; put what went wrong into `outcomes`."""
    os.environ |= environment(DATABASE_URL=url, KODIAI_SECRET_KEY="race", KODIAI_LOG_LEVEL="CRITICAL")
    import django

    django.setup()
    from telemetry.recording import record_rate_limit_event

    raised, seen = [], {}
    barrier.wait(60)
    for identity in range(IDENTITIES):
        try:
            # None is what a store under contention may answer; the periodic task would try again, and so do we.
            for _ in range(MAX_TRIES):
                row = record_rate_limit_event(
                    delivery_id=f"d-{identity}",
                    event_type="pull_request.opened",
                    repo=f"acme/writer-{number}",
                    pr_number=number,
                    cache_hit_rate=number / PROCESSES,
                    skipped_queries=number,
                    retry_attempts=number,
                    degradation_path="none",
                )
                if row is not None:
                    seen[identity] = (row.pk, row.skipped_queries)
                    break
        except BaseException as error:  # noqa: BLE001  # reported by the assertion of the test
            raised.append(repr(error))
    outcomes.put((number, raised, seen))
