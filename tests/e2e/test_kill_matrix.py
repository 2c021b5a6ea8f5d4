"""A small kill matrix: a run for each point, and some killed at random. `make kill-matrix` runs all of it."""

from pathlib import Path

import pytest
from django.conf import settings

from tests.e2e import load
from tests.e2e.kill_matrix import run_matrix
from tests.e2e.killable import POINTS
from tests.support.databases import POSTGRES_URL

pytestmark = [pytest.mark.ops04, pytest.mark.database, pytest.mark.queue]

RANDOM_KILLS = 3
CHOSEN = ("given-out", "claimed", "publishing_at", "review-posted", "finished_at", "check-run-posted", "swept")
"""Points on PostgreSQL; the others, and those where a post may be repeated, are met on SQLite.

tests/reviews/runs has all points on both databases, without a process for each.
"""
OF_THE_QUEUE = ("given-out", "claimed", "review-posted", "swept")
"""Points on Redis: what the queue gives out, and gives out again."""
ON_SQLITE = tuple(point for point in POINTS if point not in CHOSEN or point in ("review-posted", "check-run-posted"))


def test_every_run_ends_once_wherever_its_worker_is_killed(tmp_path: Path) -> None:
    seed, chance = load.seeded()
    points = OF_THE_QUEUE if settings.KODIAI_TASKS_URL else CHOSEN if POSTGRES_URL else ON_SQLITE
    with load.killable_kodiai(tmp_path, workers=3, lease=2) as kodiai:
        outcome = run_matrix(kodiai, points=points, each_point=1, random_kills=RANDOM_KILLS, chance=chance)

    assert outcome.violations == [], f"SEED={seed}"
    assert outcome.runs == 1 + len(points) + RANDOM_KILLS
    assert {death.point for death in outcome.deaths} >= set(points)
