"""Redis as the cache is killed, away and restarted: a broken cache is a miss, and reviews go on."""

import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.outages import Deliveries
from tests.e2e.servers import RedisServer
from tests.support.running_kodiai import SMALL, Kodiai, running_kodiai
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.ops04,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server"),
]


@pytest.fixture(scope="module")
def kodiai(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kodiai]:
    with running_kodiai(tmp_path_factory.mktemp("kodiai"), KODIAI_CACHE_URL=redis_server.url) as running:
        yield running


def done(deliveries: Deliveries) -> bool:
    return set(deliveries.stored().values()) == {"done"}


def test_a_killed_cache_is_a_miss_and_is_used_again_when_back(kodiai: Kodiai, redis_server: RedisServer) -> None:
    deliveries = Deliveries(kodiai, kodiai.github.create_repository("octo/cache-killed", files=SMALL))
    assert deliveries.send() == 202
    eventually(lambda: done(deliveries), "a review with the cache is done")
    assert redis_server.client().dbsize() > 0
    held = deliveries.send_held_at("pull")

    redis_server.end()
    held.release()
    assert deliveries.send() == 202
    eventually(lambda: done(deliveries), "reviews are done without the cache")
    assert deliveries.logged("cache failed")

    redis_server.start()
    assert redis_server.client().dbsize() == 0
    assert deliveries.send() == 202
    eventually(lambda: redis_server.client().dbsize() > 0, "the cache is used again")
    deliveries.all_end_well()
    assert set(deliveries.attempts().values()) == {0}


def test_a_cache_that_hangs_is_a_miss(kodiai: Kodiai, redis_server: RedisServer) -> None:
    deliveries = Deliveries(kodiai, kodiai.github.create_repository("octo/cache-hangs", files=SMALL))
    os.kill(redis_server.process.pid, signal.SIGSTOP)
    try:
        assert deliveries.send() == 202
        eventually(lambda: done(deliveries), "a review is done without the cache")
        assert deliveries.logged("cache failed")
    finally:
        os.kill(redis_server.process.pid, signal.SIGCONT)

    deliveries.all_end_well()
    assert set(deliveries.attempts().values()) == {0}
