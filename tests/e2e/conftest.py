from collections.abc import Iterator

import pytest

from tests.support.running_kodiai import Kodiai, running_kodiai


@pytest.fixture(scope="module")
def kodiai(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kodiai]:
    """A whole Kodiai, which the tests of a module share."""
    with running_kodiai(tmp_path_factory.mktemp("kodiai")) as running:
        yield running
