"""Every line that is logged during a run names the run, whoever writes it."""

import json
import logging
from typing import Any

import pytest
import structlog

from reviews import engines
from reviews.models import Review
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from tests.support.runs import admit, start_process
from tests.support.waiting import PATIENCE


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_each_line_of_a_run_names_delivery_run_and_installation(github: Sandbox, pull: PullRequest) -> None:
    github.fail("graphql", Fault(FaultKind.STATUS, status=502), times=None)
    delivery = admit(pull)

    # The cache is away, so that calls to GitHub, and engines, have something to say.
    process = start_process(delivery, KODIAI_CACHE_URL="redis://127.0.0.1:1/0")
    _, log = process.communicate(timeout=PATIENCE)

    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {line["logger"] for line in lines} >= {"reviews.cache", "reviews.github.files", "reviews.service"}
    named = {"delivery_id": delivery.delivery_id, "review_id": Review.objects.get().pk}
    for line in lines:
        assert line.items() >= (named | {"installation_id": pull.repository.installation_id}).items(), line


def test_an_engine_in_its_own_thread_knows_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def run_on_all(*args: Any) -> engines._Outcome:
        seen.append(structlog.contextvars.get_contextvars())
        logging.getLogger("reviews.engines").info("read")
        return engines._Outcome([], {})

    monkeypatch.setattr(engines, "_run_on_all", run_on_all)

    with structlog.contextvars.bound_contextvars(review_id=7):
        engines.run_each([(analyzer, {"a.py": "x = 1\n"}) for analyzer in engines.ANALYZERS[:2]])

    assert seen == [{"review_id": 7}] * 2
