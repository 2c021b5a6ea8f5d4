"""A short outage of GitHub in the middle of some runs. `make outage` makes a long one, in the middle of two hundred."""

from pathlib import Path

from tests.e2e.outage import UNREACHABLE, run_outage
from tests.support.running_kodiai import running_kodiai
from tests.support.waiting import PATIENCE

RUNS = 10


def test_runs_in_the_middle_of_an_outage_are_all_reviewed(tmp_path: Path) -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "tests.e2e.scaled_settings", "SCALE_OUTAGES": "0.05"}
    with running_kodiai(tmp_path, workers=2, KODIAI_LEASE_SECONDS="10", **environment) as kodiai:
        outcome = run_outage(kodiai, runs=RUNS, seconds=4, longest=PATIENCE)

    assert outcome.violations == []
    assert (dict(outcome.conclusions), outcome.attempts) == ({"success": RUNS}, 0)
    assert outcome.before < RUNS
    assert outcome.readiness == UNREACHABLE
    asked = sum(outcome.away <= at < outcome.back for at in outcome.calls)
    assert 0 < asked < 3 * (RUNS - outcome.before), "not each of the runs that wait asks, three times"
