"""The App lost a repository, or never got a permission: runs end as skipped, or do without it."""

from collections.abc import Callable

import pytest
from pytest_django import Settings

from reviews.models import Delivery, DeliveryStatus, Review
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.runs import end_waits, process
from tests.support.shop import AFTER
from tests.support.verdicts import receive, send, verdict, work

pytestmark = pytest.mark.django_db

LOSSES: dict[str, Callable[[Sandbox], None]] = {
    "repository removed or deleted": lambda github: github.remove_repository("octo/demo"),
    "App uninstalled": lambda github: github.remove_installation("octo"),
    "App suspended": lambda github: github.suspend_installation("octo"),
}
EVENTS = {
    "repository removed or deleted": ("removed", "installation_repositories"),
    "App uninstalled": ("deleted", "installation"),
    "App suspended": ("suspend", "installation"),
}


@pytest.mark.parametrize(
    ("loss", "installation"), [*((loss, "named") for loss in LOSSES), ("App uninstalled", "not named")]
)
def test_a_run_that_comes_too_late_is_skipped(github: Sandbox, pull: PullRequest, loss: str, installation: str) -> None:
    receive(pull, "opened", **({} if installation == "named" else {"installation": None}))
    LOSSES[loss](github)
    work()

    review = Review.objects.get()
    assert (review.conclusion, review.delivery.status) == (Conclusion.SKIPPED, DeliveryStatus.DONE)
    assert "the App has no access" in review.conclusion_reason
    assert (verdict(pull), pull.reviews) == ("pending", [])


@pytest.mark.parametrize(
    ("loss", "route"),
    list(zip([*LOSSES, "App suspended"], ["pull", "contents", "files", "create_review"], strict=True)),
)
def test_a_run_that_loses_it_at_work_is_skipped(github: Sandbox, pull: PullRequest, loss: str, route: str) -> None:
    receive(pull, "opened")
    github.fail(route, Fault(FaultKind.STATUS, status=502), times=None)
    end_waits()
    process(Delivery.objects.get().pk)
    github.clear_faults()
    LOSSES[loss](github)
    work()

    review = Review.objects.get()
    assert (review.conclusion, review.delivery.status) == (Conclusion.SKIPPED, DeliveryStatus.DONE)


@pytest.mark.parametrize("loss", LOSSES)
def test_waiting_runs_end_with_the_event(github: Sandbox, pull: PullRequest, loss: str) -> None:
    """The run was deferred for long; another repository's is not touched by the removal of one."""
    github.limits["core"].exhaust(reset_in=3600)
    other = github.create_repository("octo/other", files={"a.py": "x = 1\n"})
    for each in (pull, other.open_pull_request(changes={"a.py": "x = 2\n"})):
        receive(each, "opened")
        process(Delivery.objects.latest("pk").pk)
    action, event = EVENTS[loss]
    receive(pull, action, event)
    removal = Delivery.objects.latest("pk")
    process(removal.pk)

    removal.refresh_from_db()
    conclusions = dict(Review.objects.values_list("repo", "conclusion"))
    assert removal.status == DeliveryStatus.DONE
    assert conclusions["octo/demo"] == Conclusion.SKIPPED
    assert conclusions["octo/other"] == ("" if event == "installation_repositories" else Conclusion.SKIPPED)


@pytest.mark.parametrize("checks", ["granted", "withheld"])
def test_threads_stay_open_where_it_is_not_granted(
    github: Sandbox, repo: Repository, settings: Settings, checks: str
) -> None:
    settings.KODIAI_RESOLVE_THREADS = True
    if checks == "withheld":
        github.withhold_permission("octo", "checks")
    pull = repo.open_pull_request(changes={"shop.py": AFTER})
    send(pull, "opened")
    pull.push({"shop.py": "x = 1\n"})
    assert send(pull, "synchronize").review.conclusion == Conclusion.SUCCESS

    assert len(pull.threads) == 3
    assert not any(thread.resolved_by for thread in pull.threads)
    assert verdict(pull) == ("success" if checks == "granted" else "pending")
    refused = [call for call in github.calls if call.route == "installation_token" and call.status == 422]
    assert len(refused) == 1
