"""An analyzer that a hostile file has taken over, behind each wall that this machine has."""

import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from pytest_django import Settings

from kodiai.checks import analyzers_are_confined
from reviews import engines
from reviews.engines import confinement, landlock
from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import ruff
from reviews.engines.confinement import LANDLOCK, LIMITS, WAYS, Confinement, Reach
from tests.support import takeover
from tests.support.waiting import eventually

FILES = {
    "a.py": "import os\n",
    "a.js": "debugger;\n",
    "a.md": "It depends on wether.\n",
    "a.sh": "#!/bin/sh\nrm $1/\n",
    "Dockerfile": "FROM debian\nRUN cd /tmp\n",
    ".github/workflows/a.yml": "on: push\njobs: {a: {runs-on: x, steps: [{run: 'echo ${{ github.head_ref }}'}]}}\n",
    "b.py": "TOKEN = 'ghp_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2'\n",
}
"""A finding for each analyzer."""
WORKING = [way for way in WAYS if confinement.works(way)]
WALLS = [way for way in WORKING if way.is_wall]


Stopped = Callable[[Confinement], dict[str, bool]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Confinement], dict[str, bool]]:
    """Attack a confinement; return for each attempt whether it was stopped."""

    @cache
    def attack(way: Confinement) -> dict[str, bool]:
        with takeover.installation(tmp_path_factory.mktemp(way.name)) as places:
            results = {attempt: error is not None for attempt, error in takeover.attack(way, places).items()}
            if Reach.DAEMONS in way.lacks:
                # Nothing but this test ends it.
                for daemon in takeover.daemons(places):
                    os.kill(daemon, signal.SIGKILL)
            else:
                results[takeover.HIDES] = True
            eventually(lambda: not takeover.daemons(places), "nothing is left behind")
        return results

    return attack


@pytest.mark.parametrize("way", WORKING, ids=lambda way: way.name)
def test_a_taken_over_analyzer_is_stopped(way: Confinement, stopped: Stopped) -> None:
    """What a way lacks succeeds, so that each attempt is seen to work."""
    expected = {attempt: reach in way.stops for attempt, (reach, _) in takeover.ATTEMPTS.items()}

    assert stopped(way) == expected


def test_the_published_table_is_what_was_seen(stopped: Stopped) -> None:
    if os.environ.get("KODIAI_TEST_WRITE_CONFINEMENT"):
        assert [*WAYS] == WORKING, "install bubblewrap, on a system with user namespaces and Landlock"
        results = {way.name: stopped(way) for way in WAYS}
        takeover.FILE.write_text(takeover.as_text(results, landlock.version()))
    published = takeover.published()
    alike = landlock.version() >= landlock.SIGNALS_VERSION
    for way in WORKING:
        if way is not LANDLOCK or alike:
            assert published[way.name] == stopped(way), "run make confinement"


def test_each_analyzer_reads_its_files_behind_each_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of the analyzers run behind the strictest wall only; KODIAI_TEST_CONFINEMENT chooses another."""
    for way in WALLS:
        monkeypatch.setattr(confinement, "in_force", lambda chosen=way: chosen)
        found, ran, failures, _ = engines.run_analyzers(FILES)
        assert (sorted(ran), failures) == (sorted(analyzer.name for analyzer in engines.ANALYZERS), [])
        assert {finding.engine for finding in found} == set(ran)


def test_a_shell_in_place_of_an_analyzer_reads_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("KODIAI_SECRET_KEY=the-key\n")
    script = f"read -r secret < {tmp_path}/.env; echo got $secret >&2; exit 3"
    monkeypatch.setattr(engines, "ANALYZERS", (Analyzer("sh", ("*.py",), ("sh", "-c", script), ruff.read),))

    def reason() -> str:
        [(_, reason)] = engines.run_analyzers({"a.py": "import os\n"})[2]
        return reason

    for way in WALLS:
        monkeypatch.setattr(confinement, "in_force", lambda chosen=way: chosen)
        assert "the-key" not in reason()
    monkeypatch.setattr(confinement, "in_force", lambda: LIMITS)
    assert "the-key" in reason()


def test_without_a_required_wall_no_analyzer_runs(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(confinement, "in_force", lambda: LIMITS)
    assert engines.run_analyzers({"a.py": "import os\n"}).ran
    assert analyzers_are_confined() == []

    settings.KODIAI_CONFINEMENT = "required"

    found, ran, failures, _ = engines.run_analyzers({"a.py": "import os\n"})
    assert (found, ran) == ([], [])
    assert {reason.partition(",")[0] for _, reason in failures} == {"it must be confined (`KODIAI_CONFINEMENT`)"}
    assert [problem.id for problem in analyzers_are_confined()] == ["kodiai.E010"]


def test_a_way_that_stops_nothing_does_not_count_as_working(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each system is asked whether it holds, not whether the command can be run."""
    monkeypatch.setattr(landlock, "restrict_thread", lambda readable, writable: None)

    assert not confinement.works(LANDLOCK)
