"""Merge queues: the check comes on the queue's commit, judged against its base. Signed webhook in, check run out."""

import pytest

from reviews.models import Delivery, DeliveryStatus, Review
from reviews.publishing.check_runs import external_id
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox, create_merge_group
from telemetry.models import Conclusion, Execution
from tests.support.runs import event_of, kill_at, resume, run
from tests.support.shop import AFTER, BEFORE
from tests.support.verdicts import receive, send, summary, verdict, work

pytestmark = pytest.mark.django_db

GATE = {".kodiai.yml": "check: {fail_on: minor}\n"}


@pytest.fixture
def repo(github: Sandbox) -> Repository:
    """A repository whose check blocks a merge on findings."""
    return github.create_repository("octo/demo", files={"shop.py": BEFORE, "other.py": "x = 1\n", **GATE})


@pytest.fixture
def clean(repo: Repository) -> PullRequest:
    return repo.open_pull_request(changes={"other.py": "x = 2\n"})


@pytest.fixture
def bad(repo: Repository) -> PullRequest:
    return repo.open_pull_request(changes={"shop.py": AFTER})


def test_a_group_is_judged_on_the_commit_of_the_queue(github: Sandbox, clean: PullRequest, bad: PullRequest) -> None:
    good_group, bad_group = create_merge_group(clean), create_merge_group(bad)

    delivery = send(good_group, "checks_requested", "merge_group")
    send(bad_group, "checks_requested", "merge_group")

    assert (verdict(good_group), verdict(bad_group)) == ("success", "failure")
    assert (verdict(clean), verdict(bad)) == ("pending", "pending"), "no event has come for these"
    assert "Analysed 1 of 1 changed file" in summary(good_group)
    review = Review.objects.get(delivery=delivery)
    assert (review.conclusion, review.pr_number, review.head_sha) == (Conclusion.SUCCESS, None, good_group.head_sha)
    assert external_id(review).startswith("0:")
    assert (event_of(delivery).pr_number, event_of(delivery).degradation_path) == (None, "none")
    assert Execution.objects.filter(event_type="merge_group.checks_requested").count() == 2
    assert (clean.reviews, bad.reviews, github.count("create_review"), github.count("search")) == ([], [], 0, 0)


def test_a_check_that_fails_on_info_names_what_it_fails_on(github: Sandbox, repo: Repository) -> None:
    """Nothing else is posted for a group, and in a summary what is info is folded."""
    repo.commit({".kodiai.yml": "check: {fail_on: info}\n"})
    group = create_merge_group(repo.open_pull_request(changes={"a.sh": "#!/bin/sh\necho $1\n"}))
    send(group, "checks_requested", "merge_group")

    assert verdict(group) == "failure"
    (note,) = repo.check_runs[-1]["annotations"]
    assert (note["path"], note["start_line"], note["title"]) == ("a.sh", 2, "SC2086")


def test_a_group_is_compared_with_the_group_before_it(clean: PullRequest, bad: PullRequest) -> None:
    """Each group is on its own: what the first has found does not fail the second."""
    first = create_merge_group(bad)
    second = create_merge_group(clean, after=first)
    answers = [receive(group, "checks_requested", "merge_group") for group in (first, second)]
    work()

    assert [answer.json()["status"] for answer in answers] == ["queued", "queued"]
    assert (verdict(first), verdict(second)) == ("failure", "success")


def test_groups_at_once_neither_block_nor_supersede(clean: PullRequest, bad: PullRequest) -> None:
    """One is at work while another begins and ends, for the same pull request too."""
    first = create_merge_group(clean)
    clean.repository.commit({"third.py": "z = 1\n"})
    second = create_merge_group(clean)
    third = create_merge_group(bad)
    for group in (first, second, third):
        receive(group, "checks_requested", "merge_group")
    deliveries = list(Delivery.objects.order_by("pk"))
    kill_at("analysed_at", deliveries[0])

    assert run(deliveries[1]).conclusion == Conclusion.SUCCESS
    assert run(deliveries[2]).conclusion == Conclusion.SUCCESS
    assert resume(deliveries[0]).conclusion == Conclusion.SUCCESS
    assert [verdict(group) for group in (first, second, third)] == ["success", "success", "failure"]


def test_the_configuration_is_that_of_the_base_branch(repo: Repository) -> None:
    repo.branches["quiet"] = repo.commit({".kodiai.yml": "check: {fail_on: never}\n"})
    repo.commit(GATE)
    changes = {"shop.py": AFTER, ".kodiai.yml": "check: {fail_on: never}\n"}
    groups = [create_merge_group(repo.open_pull_request(changes=changes, base_ref=ref)) for ref in ("main", "quiet")]
    for group in groups:
        send(group, "checks_requested", "merge_group")

    assert [verdict(group) for group in groups] == ["failure", "neutral"]


@pytest.mark.parametrize("event", ["check_run", "check_suite"])
def test_the_check_of_a_group_can_be_run_again(github: Sandbox, clean: PullRequest, event: str) -> None:
    group = create_merge_group(clean)
    github.fail("compare", Fault(FaultKind.STATUS, status=403))
    send(group, "checks_requested", "merge_group")
    assert verdict(group) == "failure", "what could not be read does not pass"

    delivery = send(group, "rerequested", event)

    assert (delivery.status, delivery.review.pr_number) == (DeliveryStatus.DONE, None)
    assert verdict(group) == "success"


def test_a_group_that_is_gone_is_skipped(github: Sandbox, clean: PullRequest) -> None:
    group = create_merge_group(clean)
    github.fail("compare", Fault(FaultKind.STATUS, status=404))

    delivery = send(group, "checks_requested", "merge_group")

    assert (delivery.status, delivery.review.conclusion) == (DeliveryStatus.DONE, Conclusion.SKIPPED)


def test_a_group_of_more_files_than_github_lists_fails(repo: Repository) -> None:
    pull = repo.open_pull_request(changes={f"pages/{number}.html": "<p>\n" for number in range(301)})
    group = create_merge_group(pull)

    send(group, "checks_requested", "merge_group")

    assert verdict(group) == "failure"
    assert "GitHub lists 300 changed files, and maybe not all" in summary(group)


def test_a_group_does_not_hide_the_failure_of_a_pull_request(repo: Repository, clean: PullRequest) -> None:
    """The queue's commit has become the head of main, and a pull request from main to production is open."""
    repo.branches["production"] = repo.commit({"shop.py": BEFORE})
    repo.commit({"shop.py": AFTER})
    group = create_merge_group(clean)
    release = repo.open_pull_request(head_sha=group.head_sha, base_ref="production")
    send(release, "opened")
    send(group, "checks_requested", "merge_group")

    assert verdict(group) == "failure"
    assert f"#{release.number} into production fails" in summary(group)
    assert "The merge group into main passes" in summary(group)
