"""A small kill matrix: a run for each point, and some killed at random. `make kill-matrix` runs all of it."""

from pathlib import Path

import pytest

from tests.e2e import load
from tests.e2e.kill_matrix import run_matrix
from tests.e2e.killable import POINTS

pytestmark = [pytest.mark.ops04, pytest.mark.xdist_group("e2e"), pytest.mark.database, pytest.mark.queue]

RANDOM_KILLS = 8


def test_every_run_ends_once_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    seed, chance = load.seeded()
    with load.killable_kodiai(tmp_path, workers=3, lease=2) as kodiai:
        outcome = run_matrix(kodiai, each_point=1, random_kills=RANDOM_KILLS, chance=chance)

    assert outcome.violations == [], f"SEED={seed}"
    assert outcome.runs == 1 + len(POINTS) + RANDOM_KILLS
    assert {death.point for death in outcome.deaths} >= set(POINTS)
