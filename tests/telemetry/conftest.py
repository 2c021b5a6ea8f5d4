from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.telemetry.stores import Store, migrated_store, new_store


@pytest.fixture
def store(tmp_path: Path, django_db_blocker: Any) -> Iterator[Store]:
    """An empty database of the test's own, under the alias `store`."""
    with django_db_blocker.unblock(), new_store(tmp_path, "store") as store:
        yield store


@pytest.fixture
def own_store(tmp_path: Path, django_db_blocker: Any) -> Iterator[Store]:
    """The telemetry store of this installation: empty, and migrated."""
    with django_db_blocker.unblock(), migrated_store(tmp_path) as store:
        yield store
