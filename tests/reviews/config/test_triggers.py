"""`triggers`: which pull requests a repository leaves out."""

import pytest

from reviews.models import Review
from sandbox import PullRequest, Repository
from telemetry.models import Conclusion
from tests.support.runs import admit, only_check_run, run, say

pytestmark = pytest.mark.django_db


def opened(repo: Repository, triggers: str) -> PullRequest:
    repo.commit({".kodiai.yml": f"triggers: {{{triggers}}}"})
    repo.branches["release/2"] = repo.head_sha
    pull = repo.open_pull_request(
        title="WIP: [draft] Sort", changes={"a.py": "import os\n"}, author="mona", base_ref="release/2"
    )
    pull.labels = ["Size/S", "do not review"]
    return pull


@pytest.mark.parametrize(
    ("triggers", "excluded"),
    [
        ("ignore_labels: [do not review]", "its label (`ignore_labels`)"),
        ("ignore_labels: [wip, 'size/*']", "its label (`ignore_labels`)"),
        ("ignore_titles: ['wip*']", "its title (`ignore_titles`)"),
        ("ignore_titles: ['*[DRAFT]*']", "its title (`ignore_titles`)"),
        ("ignore_authors: [Mona]", "its author (`ignore_authors`)"),
        ("base_branches: [main, 'release/1']", "its base branch (`base_branches`)"),
        ("actions: [reopened]", "opened"),
        ("ignore_labels: [size], ignore_titles: [wip], ignore_authors: [mon, 'mona[bot]']", ""),
        ("base_branches: ['RELEASE/?']", ""),
    ],
)
def test_a_pull_request_that_is_left_out_says_why(repo: Repository, triggers: str, excluded: str) -> None:
    pull = opened(repo, triggers)
    review = run(admit(pull))
    check_run = only_check_run(pull)

    if not excluded:
        assert (review.conclusion, check_run["conclusion"], len(pull.reviews)) == ("success", "neutral", 1)
        return
    assert review.conclusion == Conclusion.SKIPPED
    assert review.conclusion_reason == f"`triggers` of `.kodiai.yml` excludes {excluded}"
    assert (check_run["conclusion"], check_run["head_sha"], pull.reviews) == ("skipped", pull.head_sha, [])
    assert excluded.partition(" (")[0] in check_run["output"]["summary"]
    assert Review.objects.get().enriched_at is None


@pytest.mark.parametrize("how", ["mention", "requested", "rerun"])
def test_who_asks_gets_a_review_of_what_is_left_out(repo: Repository, how: str) -> None:
    pull = opened(repo, "ignore_titles: ['WIP*'], ignore_authors: [mona], base_branches: [main]")
    run(admit(pull))
    match how:
        case "mention":
            asked = say(pull, "@kodiai review")
        case "requested":
            asked = admit(pull, "review_requested")
        case _:
            asked = admit(pull, "rerequested", event="check_run")

    assert run(asked).conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1


def test_no_title_is_a_way_around_a_check_that_may_fail(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "triggers: {ignore_titles: ['WIP*']}\ncheck: {fail_on: minor}\n"})
    pull = repo.open_pull_request(title="WIP", changes={"a.py": "import os\n"}, author="octocat")
    run(admit(pull))
    assert only_check_run(pull)["conclusion"] == "failure"
