"""One head commit and several verdicts: of several open pull requests, or of one with another base."""

import pytest

from reviews.models import CheckRunReport, Delivery, Review
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.kill_points import Points
from tests.support.published import check_reported_once
from tests.support.runs import end_waits, kill_at, process, resume, say
from tests.support.shop import AFTER, BEFORE
from tests.support.verdicts import receive, send, summary, verdict, work

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
def gated(repo: Repository) -> PullRequest:
    """A pull request that fails."""
    return repo.open_pull_request(changes={"shop.py": AFTER})


@pytest.fixture
def free(gated: PullRequest) -> PullRequest:
    """A pull request with the same head that does not fail."""
    return gated.repository.open_pull_request(base_ref="dev", head_sha=gated.head_sha)


@pytest.mark.parametrize("failure_first", [True, False])
def test_no_verdict_hides_a_failure(gated: PullRequest, free: PullRequest, failure_first: bool) -> None:
    first, second = (gated, free) if failure_first else (free, gated)
    send(first, "opened")
    assert verdict(first) == ("failure" if failure_first else "neutral")
    send(second, "opened")

    assert verdict(gated) == "failure"
    assert summary(free).startswith(f"#{gated.number}: 3 findings")
    assert f"- #{gated.number} into main fails: 3 findings" in summary(free)
    assert f"- #{free.number} into dev passes: 3 findings" in summary(free)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "end", ["closed", pytest.param("merged", marks=pytest.mark.slow), "pushed", "force-pushed", "retargeted"]
)
def test_the_verdict_is_renewed_when_the_failing_one_leaves(gated: PullRequest, free: PullRequest, end: str) -> None:
    send(gated, "opened")
    send(free, "opened")
    if end in ("closed", "merged"):
        gated.close(merged=end == "merged")
        send(gated, "closed")
    elif end == "retargeted":
        gated.retarget("dev")
        send(gated, "edited")
    else:
        (gated.push if end == "pushed" else gated.force_push)({"shop.py": BEFORE})
        send(gated, "synchronize")
        assert verdict(gated) == "success"

    assert verdict(free) == "neutral"
    assert "fails" not in summary(free)


def test_it_is_renewed_only_when_all_that_fail_have_left(gated: PullRequest, free: PullRequest) -> None:
    """Three pull requests with one head, one of them from a fork, one closed in between."""
    fork = gated.repository.open_pull_request(author="stranger", head_sha=gated.head_sha, fork=True)
    for pull in (fork, gated, free):
        send(pull, "opened")
    gated.close()
    send(gated, "closed")
    assert verdict(free) == "failure"
    assert summary(free).startswith(f"#{fork.number}: 3 findings")
    assert f"#{gated.number}" not in summary(free)

    fork.close()
    send(fork, "closed")
    assert verdict(free) == "neutral"

    gated.reopen()
    send(gated, "reopened")
    assert verdict(free) == "failure"


def test_a_skipped_one_hides_no_failure(gated: PullRequest) -> None:
    send(gated, "opened")
    draft = gated.repository.open_pull_request(base_ref="dev", head_sha=gated.head_sha, draft=True)
    send(draft, "opened")

    assert verdict(gated) == "failure"


def test_a_head_mended_without_an_event_counts_no_more(gated: PullRequest, free: PullRequest) -> None:
    send(gated, "opened")
    gated.push({"shop.py": BEFORE})
    send(free, "opened")

    assert verdict(free) == "neutral"


def test_a_verdict_that_comes_during_a_post_is_not_hidden(
    gated: PullRequest, free: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is posted while the other's success is on its way, and is the older one to GitHub then."""
    receive(free, "opened")

    def fail_meanwhile() -> None:
        send_only(gated)
        mine = CheckRunReport.objects.get(review__pr_number=gated.number)
        assert mine.reported_at is not None

    def send_only(pull: PullRequest) -> None:
        receive(pull, "opened")
        for delivery in Delivery.objects.filter(pr_number=pull.number):
            process(delivery.pk)

    Points(monkeypatch).plan("posting_at", fail_meanwhile)
    work()

    assert [run["conclusion"] for run in gated.repository.check_runs] == ["failure", "neutral", "failure"]
    assert verdict(free) == "failure"


def test_github_away_while_it_asks_defers_the_report(github: Sandbox, gated: PullRequest, free: PullRequest) -> None:
    send(gated, "opened")
    github.fail("pull", Fault(FaultKind.STATUS, status=502), times=3, after=1)
    receive(free, "opened")
    end_waits()
    process(Delivery.objects.get(pr_number=free.number).pk)
    assert len(gated.repository.check_runs) == 1
    work()

    assert verdict(free) == "failure"


# A pull request with a new base branch: reviewed against it, although the head stays the same


def retarget(gated: PullRequest, base: str, **also: object) -> None:
    gated.retarget(base)
    gated.changes |= also
    send(gated, "edited")


def test_the_verdict_follows_the_base(gated: PullRequest) -> None:
    send(gated, "opened")
    assert verdict(gated) == "failure"
    retarget(gated, "dev")
    assert verdict(gated) == "neutral"
    retarget(gated, "main", title={"from": "Old"})
    assert verdict(gated) == "failure"

    assert [review.base_ref for review in Review.objects.order_by("pk")] == ["main", "dev", "main"]
    assert len(gated.threads) == 3
    check_reported_once([gated])


@pytest.mark.parametrize("point", ["loaded_at", "analysed_at"])
def test_a_run_against_the_old_base_publishes_nothing(
    gated: PullRequest, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    receive(gated, "opened")

    def change() -> None:
        gated.retarget("dev")
        receive(gated, "edited")

    Points(monkeypatch).plan(point, change)
    work()

    assert [review.conclusion for review in Review.objects.order_by("pk")] == [
        Conclusion.SUPERSEDED,
        Conclusion.SUCCESS,
    ]
    assert (verdict(gated), len(gated.reviews)) == ("neutral", 1)


def test_an_interrupted_run_against_the_old_base_ends(gated: PullRequest) -> None:
    receive(gated, "opened")
    delivery = Delivery.objects.get()
    kill_at("loaded_at", delivery)
    gated.retarget("dev")

    assert resume(delivery).conclusion_reason == "the base branch is now dev"


def test_triggers_do_not_keep_an_old_verdict(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "triggers: {actions: [opened]}\ncheck: {fail_on: minor}\n"})
    gated = repo.open_pull_request(changes={"shop.py": AFTER}, base_ref="dev")
    send(gated, "opened")
    assert verdict(gated) == "neutral"
    retarget(gated, "main")

    assert verdict(gated) == "failure"


def test_another_request_follows_the_new_base(gated: PullRequest) -> None:
    """GitHub's events come in any order: a review is requested of somebody else before the edit arrives."""
    send(gated, "opened")
    gated.retarget("dev")
    send(gated, "review_requested", requested_reviewer="octocat")

    assert verdict(gated) == "neutral"


def test_a_suite_of_a_fork_is_asked_again_after_a_comment(repo: Repository) -> None:
    """GitHub names no pull request for a fork's commit, and a comment names no commit: Kodiai's own run knows both."""
    pull = repo.open_pull_request(changes={"shop.py": AFTER}, fork=True, author="stranger")
    say(pull, "@kodiai review")
    work()
    reported = verdict(pull)

    again = send(pull, "rerequested", "check_suite")

    assert (again.status, again.ignore_reason) == ("done", "")
    assert (reported, verdict(pull)) == ("failure", "failure")
