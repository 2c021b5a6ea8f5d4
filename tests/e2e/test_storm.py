"""A small storm. `make storm` sends ten thousand deliveries."""

from pathlib import Path

import pytest

from tests.e2e import load
from tests.e2e.storm import run_storm

pytestmark = [pytest.mark.ops04, pytest.mark.database]

MAX_GROWTH = 100
"""MiB by which the web server may grow while it takes the deliveries. One body of each would be 3 MiB."""


def test_a_storm_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    seed, chance = load.seeded()
    with load.killable_kodiai(tmp_path, workers=3, lease=2) as kodiai:
        outcome = run_storm(kodiai, deliveries=40, senders=16, kill_every=2, longest=600, chance=chance)

    assert outcome.violations == [], f"SEED={seed}"
    assert (outcome.deliveries, outcome.identities) == (40, 36)
    assert outcome.answers["202 queued"] <= 36
    assert outcome.answers["202 duplicate"] >= 4
    assert outcome.killed > 0
    assert max(outcome.memory.web) < outcome.memory.web[0] + MAX_GROWTH
