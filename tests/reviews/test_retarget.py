"""A pull request with a new base branch: reviewed against it, although the head stays the same."""

import pytest

from reviews.models import Delivery, Review
from sandbox import PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.kill_points import Points
from tests.support.published import check_reported_once
from tests.support.runs import kill_at, resume
from tests.support.shop import AFTER, BEFORE
from tests.support.verdicts import receive, send, verdict, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def repo(github: Sandbox) -> Repository:
    """A repository with a gate on main, and none on dev, which has one more change."""
    repo = github.create_repository("octo/demo", files={"shop.py": BEFORE})
    repo.roles["mona"] = "write"
    repo.branches["dev"] = repo.head_sha
    repo.commit({"more.py": "x = 1\n"}, branch="dev")
    repo.commit({".kodiai.yml": "check: {fail_on: minor}\n"})
    return repo


@pytest.fixture
def pull(repo: Repository) -> PullRequest:
    return repo.open_pull_request(changes={"shop.py": AFTER})


def retarget(pull: PullRequest, base: str, **also: object) -> None:
    pull.retarget(base)
    pull.changes |= also
    send(pull, "edited")


def test_the_verdict_follows_the_base(pull: PullRequest) -> None:
    send(pull, "opened")
    assert verdict(pull) == "failure"
    retarget(pull, "dev")
    assert verdict(pull) == "neutral"
    retarget(pull, "main", title={"from": "Old"})
    assert verdict(pull) == "failure"

    assert [review.base_ref for review in Review.objects.order_by("pk")] == ["main", "dev", "main"]
    assert len(pull.threads) == 3
    check_reported_once([pull])


@pytest.mark.parametrize("point", ["loaded_at", "analysed_at"])
def test_a_run_against_the_old_base_publishes_nothing(
    pull: PullRequest, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    receive(pull, "opened")

    def change() -> None:
        pull.retarget("dev")
        receive(pull, "edited")

    Points(monkeypatch).plan(point, change)
    work()

    assert [review.conclusion for review in Review.objects.order_by("pk")] == [
        Conclusion.SUPERSEDED,
        Conclusion.SUCCESS,
    ]
    assert (verdict(pull), len(pull.reviews)) == ("neutral", 1)


def test_an_interrupted_run_against_the_old_base_ends(pull: PullRequest) -> None:
    receive(pull, "opened")
    delivery = Delivery.objects.get()
    kill_at("loaded_at", delivery)
    pull.retarget("dev")

    assert resume(delivery).conclusion_reason == "the base branch is now dev"


def test_triggers_do_not_keep_an_old_verdict(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "triggers: {actions: [opened]}\ncheck: {fail_on: minor}\n"})
    pull = repo.open_pull_request(changes={"shop.py": AFTER}, base_ref="dev")
    send(pull, "opened")
    assert verdict(pull) == "neutral"
    retarget(pull, "main")

    assert verdict(pull) == "failure"


def test_another_request_follows_the_new_base(pull: PullRequest) -> None:
    """GitHub's events come in any order: a review is requested of somebody else before the edit arrives."""
    send(pull, "opened")
    pull.retarget("dev")
    send(pull, "review_requested", requested_reviewer="octocat")

    assert verdict(pull) == "neutral"
