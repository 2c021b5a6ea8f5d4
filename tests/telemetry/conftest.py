from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry.stores import Store, new_store


@pytest.fixture
def store(tmp_path: Path, django_db_blocker: Any) -> Iterator[Store]:
    """An empty database of the test's own, under the alias `store`."""
    with django_db_blocker.unblock(), new_store(tmp_path, "store") as store:
        yield store
