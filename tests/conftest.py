"""What all tests share: one sandbox of GitHub per test, and settings that point at it."""

import os
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings as configured
from django.core.cache import cache
from pytest_django import Settings

from reviews import enrichment
from reviews.engines import analyzer, confinement
from reviews.github import connection, tokens
from reviews.intake import request_timeouts
from sandbox import Sandbox
from tests.support.analyzer_outputs import run_once
from tests.support.runs import forget_tasks

hypothesis.settings.register_profile("fast", max_examples=30)
hypothesis.settings.register_profile("thorough", max_examples=100)
hypothesis.settings.load_profile("fast")

FOLDERS = {
    "tests/e2e/": [pytest.mark.slow],
}
"""Markers of all tests in a folder: pyproject.toml says what they mean."""
MAX_NAME = 60
"""Characters of a test's name: a sentence that is read at one glance."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m database` or `-m queue`, import no file that does not have the marker: each process imports them all."""
    marker = config.getoption("markexpr")
    if marker in ("database", "queue") and collection_path.match("test_*.py"):
        return f"mark.{marker}" not in collection_path.read_text() or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if len(name := item.function.__name__) > MAX_NAME:  # type: ignore[attr-defined]
            raise pytest.UsageError(f"the name of a test has at most {MAX_NAME} characters: {name}")
        for folder, marks in FOLDERS.items():
            if item.nodeid.startswith(folder):
                for mark in marks:
                    item.add_marker(mark)
        # On Redis a task is queued after the commit, which a test inside of one transaction never comes to.
        if configured.KODIAI_TASKS_URL and item.get_closest_marker("django_db"):
            item.add_marker(pytest.mark.django_db(transaction=True), append=False)
    _mark_breadth(items)


def _mark_breadth(items: list[pytest.Item]) -> None:
    """Of the cases of a test marked `sampled(n)`, mark all but n as slow: evenly spread ones stay."""
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled") and not item.get_closest_marker("slow"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for group in cases.values():
        (count,) = group[0].get_closest_marker("sampled").args  # type: ignore[union-attr]
        kept = {round(number * (len(group) - 1) / max(count - 1, 1)) for number in range(count)}
        for at, item in enumerate(group):
            if at not in kept:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def _way_of_confinement() -> None:
    """With KODIAI_TEST_CONFINEMENT=landlock every analyzer is confined that way, not by the strictest that works."""
    if name := os.environ.get("KODIAI_TEST_CONFINEMENT"):
        (way,) = (way for way in confinement.WAYS if way.name == name)
        assert confinement.works(way)
        confinement.in_force = lambda: way  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def _empty_redis() -> None:
    if configured.KODIAI_TASKS_URL:
        forget_tasks()


@pytest.fixture(autouse=True)
def _save_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run an analyzer once for the same files, where it is not itself tested; shorten waits, and forget old ones."""
    if not request.node.nodeid.startswith("tests/reviews/engines/"):
        monkeypatch.setattr(analyzer, "run", run_once)
    monkeypatch.setattr(connection, "BACKOFF", 0.01)
    monkeypatch.setattr(enrichment, "UNHINTED_WAIT", 0.02)
    # Where the database of an earlier test hung, the next delivery would be refused at once.
    monkeypatch.setattr(request_timeouts, "_hung_at", None)


@pytest.fixture
def github(settings: Settings) -> Iterator[Sandbox]:
    """A GitHub in a box that Kodiai is set up to talk to. Caches and tokens of other tests are forgotten."""
    with Sandbox(webhook_secret=settings.KODIAI_GITHUB_WEBHOOK_SECRET[0]) as box:
        settings.KODIAI_GITHUB_API_URL = box.url
        settings.KODIAI_GITHUB_APP_ID = str(box.app_id)
        settings.KODIAI_GITHUB_APP_SLUG = box.app_slug
        settings.KODIAI_GITHUB_PRIVATE_KEY = box.private_key
        cache.clear()
        tokens._tokens.clear()
        yield box


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Logs that tests leave hold half surrogate pairs and the like, which pytest-xdist cannot send on as they are."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
