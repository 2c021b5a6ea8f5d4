"""`manage.py run` says at start what is wrong with the App, and starts all the same."""

from pathlib import Path

import pytest

from tests.support.running_kodiai import running_kodiai
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("KODIAI_GITHUB_APP_ID", "2", "check KODIAI_GITHUB_APP_ID"),
        ("KODIAI_GITHUB_API_URL", "http://127.0.0.1:9", "check the network"),
        ("KODIAI_WEBHOOK_SECRET", "x", "did you mean KODIAI_GITHUB_WEBHOOK_SECRET?"),
    ],
)
def test_a_start_says_what_does_not_fit(tmp_path: Path, setting: str, value: str, says: str) -> None:
    with running_kodiai(tmp_path, **{setting: value}) as kodiai:
        eventually(lambda: says in kodiai.log.read_text(), "it is said")

        assert "Traceback" not in kodiai.log.read_text()
