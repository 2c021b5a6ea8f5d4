"""Hostile pull requests of one author do not hold up the others'. `make fairness` measures it with more of each."""

from pathlib import Path

from tests.e2e.fairness import HOSTILE_FILES, run_beside
from tests.support.running_kodiai import running_kodiai


def test_normal_pull_requests_do_not_wait_for_hostile_ones(tmp_path: Path) -> None:
    with running_kodiai(tmp_path, workers=0, KODIAI_LEASE_SECONDS="60") as kodiai:
        outcome = run_beside(kodiai, normal=4, authors=2, hostile=3, files=HOSTILE_FILES, longest=600)

    assert outcome.order[0] == "hostile-0", "it came first, and nothing is known of its author"
    assert len(outcome.waits) == 4
    # Where the machine has so much other work that a normal run takes as long, the hostile author gets another turn.
    assert sum(name.startswith("hostile") for name in outcome.order) <= 2
