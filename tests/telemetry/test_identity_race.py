"""Sixteen processes write the same hundred identities at once."""

import multiprocessing

import pytest

from tests.support.forked import IMPORTED
from tests.support.processes import python
from tests.telemetry.race_writer import IDENTITIES, PROCESSES, write_all
from tests.telemetry.stores import Store

pytestmark = pytest.mark.database


@pytest.mark.slow
@pytest.mark.ops04
@pytest.mark.usefixtures("django_db_blocker")
def test_sixteen_processes_leave_one_row_for_each_identity(store: Store) -> None:
    assert python("manage.py", "migrate", DATABASE_URL=store.url, KODIAI_SECRET_KEY="race").returncode == 0
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*IMPORTED])
    barrier, outcomes = context.Barrier(PROCESSES), context.Queue()
    writers = [
        context.Process(target=write_all, args=(store.url, number, barrier, outcomes)) for number in range(PROCESSES)
    ]
    for writer in writers:
        writer.start()
    reported = [outcomes.get(timeout=120) for _ in writers]
    for writer in writers:
        writer.join(30)

    assert [raised for _, raised, _ in reported if raised] == []
    rows = {int(row["delivery_id"][2:]): row for row in store.rows("rate_limit_events")}
    assert store.fetch("SELECT count(*) FROM rate_limit_events") == [(IDENTITIES,)]
    assert sorted(rows) == list(range(IDENTITIES))
    for row in rows.values():
        writer_number = row["skipped_queries"]
        assert (row["repo"], row["pr_number"]) == (f"acme/writer-{writer_number}", writer_number)
        assert (row["retry_attempts"], row["cache_hit_rate"]) == (writer_number, writer_number / PROCESSES)
    for _, _, seen in reported:
        assert seen == {identity: (row["id"], row["skipped_queries"]) for identity, row in rows.items()}
