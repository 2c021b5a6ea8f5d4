"""`manage.py run` says at start what is wrong with the App, and starts all the same."""

from pathlib import Path

from tests.support.running_kodiai import running_kodiai
from tests.support.waiting import eventually


def test_a_start_says_what_does_not_fit(tmp_path: Path) -> None:
    wrong = {"KODIAI_GITHUB_APP_ID": "2", "KODIAI_WEBHOOK_SECRET": "x"}
    with running_kodiai(tmp_path, workers=0, **wrong) as kodiai:
        for said in ("check KODIAI_GITHUB_APP_ID", "did you mean KODIAI_GITHUB_WEBHOOK_SECRET?"):
            eventually(lambda said=said: said in kodiai.log.read_text(), said)

        assert "Traceback" not in kodiai.log.read_text()
