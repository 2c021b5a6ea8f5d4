"""Redis as the queue is emptied, away, hanging and restarted: no delivery is lost or run twice."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Fault, FaultKind
from tests.e2e.deliveries import all_are_done_once, pulls_of, send_all
from tests.e2e.servers import RedisServer
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import PATIENCE

pytestmark = [
    pytest.mark.ops04,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server"),
]


@pytest.fixture(scope="module")
def kodiai(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kodiai]:
    with running_kodiai(tmp_path_factory.mktemp("kodiai"), KODIAI_TASKS_URL=redis_server.url) as running:
        yield running


def test_what_is_done_leaves_nothing_in_redis(kodiai: Kodiai, redis_server: RedisServer) -> None:
    pulls = pulls_of(kodiai, "plain", 3)

    assert send_all(kodiai, "plain", pulls) == [202] * 3

    all_are_done_once(kodiai, "plain", pulls)
    prefix = kodiai.environment["RQ_KEY_PREFIX"]
    # The one that stays is RQ's list of the queues that there are.
    assert [key.decode() for key in redis_server.client().scan_iter()] == [f"{prefix}:queues"]


def test_a_deferred_run_starts_when_it_is_due(kodiai: Kodiai) -> None:
    [pull] = pulls = pulls_of(kodiai, "deferred", 1)
    kodiai.github.fail("files", Fault(FaultKind.PRIMARY_LIMIT, reset_in=2))

    assert send_all(kodiai, "deferred", pulls) == [202]

    all_are_done_once(kodiai, "deferred", pulls)
    assert [entry for entry in kodiai.events() if entry["event"] == "run deferred"]
    assert not [entry for entry in kodiai.events() if entry["event"] == "task lost, requeueing its delivery"]
    assert pull.reviews


def test_redis_that_is_emptied_loses_nothing(kodiai: Kodiai, redis_server: RedisServer) -> None:
    pulls = pulls_of(kodiai, "emptied", 8)
    held = kodiai.github.fail("files", Fault(FaultKind.APPLIED_THEN_DELAYED))
    assert send_all(kodiai, "emptied", pulls) == [202] * 8
    assert held.reached.wait(PATIENCE)
    assert redis_server.client().llen(f"{kodiai.environment['RQ_KEY_PREFIX']}:queue:default") == 7

    redis_server.client().flushdb()
    held.release()

    all_are_done_once(kodiai, "emptied", pulls)


def test_deliveries_during_a_redis_outage_are_done_after_it(kodiai: Kodiai, redis_server: RedisServer) -> None:
    pulls = pulls_of(kodiai, "away", 4)
    redis_server.end()

    assert send_all(kodiai, "away", pulls) == [202] * 4

    assert kodiai.rows("SELECT count(*) FROM reviews_delivery WHERE task_id = '' AND status = 'queued'") == [(4,)]
    redis_server.start()
    all_are_done_once(kodiai, "away", pulls)


def test_deliveries_while_redis_hangs_are_done_afterwards(kodiai: Kodiai, redis_server: RedisServer) -> None:
    pulls = pulls_of(kodiai, "hanging", 4)
    os.kill(redis_server.process.pid, signal.SIGSTOP)
    try:
        assert send_all(kodiai, "hanging", pulls) == [202] * 4
    finally:
        os.kill(redis_server.process.pid, signal.SIGCONT)

    all_are_done_once(kodiai, "hanging", pulls)


def test_the_queue_moves_to_redis_while_deliveries_wait(redis_server: RedisServer, tmp_path: Path) -> None:
    with running_kodiai(tmp_path, workers=0, KODIAI_TASKS_URL="") as kodiai:
        pulls = pulls_of(kodiai, "moved", 3)
        assert send_all(kodiai, "moved", pulls) == [202] * 3
        assert kodiai.end() == 0
        kodiai.environment.update(KODIAI_TASKS_URL=redis_server.url, KODIAI_WORKERS="1")

        kodiai.start()

        all_are_done_once(kodiai, "moved", pulls)
