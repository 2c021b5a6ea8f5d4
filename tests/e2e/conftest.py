from collections.abc import Iterator

import pytest

from tests.e2e.servers import RedisServer, running_redis
from tests.support.running_kodiai import Kodiai, running_kodiai


@pytest.fixture(scope="session")
def kodiai(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kodiai]:
    """A whole Kodiai, which the tests share that leave it as it is."""
    rates = {"KODIAI_API_RATE": "1000000", "KODIAI_API_ANONYMOUS_RATE": "1000000"}
    with running_kodiai(tmp_path_factory.mktemp("kodiai"), **rates) as running:
        yield running


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis, which the tests of a module share."""
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running
