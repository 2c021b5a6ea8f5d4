"""The one review of a run: its contents, and how it is recognised."""

from typing import Any

import pytest

from reviews.models import Review
from reviews.publishing.publish import marker
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox, add_review
from telemetry.models import Conclusion
from tests.support.runs import admit, event_of, kill_at, resume, run, say

pytestmark = pytest.mark.django_db

ALWAYS_TRUE = "x = 1\nassert (\n    x,\n    'y',\n)\n"


def published(pull: PullRequest) -> dict[str, Any]:
    run(admit(pull))
    (review,) = pull.reviews
    return review


# What is posted


def test_comments_stand_on_all_lines_of_their_findings_in_order(repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"a.py": "import os\nimport re\n", "b.py": ALWAYS_TRUE})

    comments = published(pull)["comments"]

    for comment in comments:
        assert comment.pop("body").startswith("**")
    assert comments == [
        {"path": "b.py", "start_line": 2, "start_side": "RIGHT", "line": 5, "side": "RIGHT"},
        {"path": "a.py", "line": 1, "side": "RIGHT"},
        {"path": "a.py", "line": 2, "side": "RIGHT"},
    ]


def test_the_most_severe_findings_are_comments(repo: Repository) -> None:
    unused = {f"m{number:02}.py": "import os\n" for number in range(11)}
    pull = repo.open_pull_request(changes={**unused, "z.py": "print(undefined)\n"})

    review = published(pull)

    places = [(comment["path"], comment["line"]) for comment in review["comments"]]
    assert len(places) == 10
    assert places[0] == ("z.py", 1)
    assert places[1:] == [(path, 1) for path in list(unused)[:9]]
    assert "Not posted inline:" in review["body"]
    assert [path for path in unused if f"`{path}:1`" in review["body"]] == ["m09.py", "m10.py"]


def test_a_comment_that_github_refuses_moves_to_the_summary(
    github: Sandbox, repo: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    pull = repo.open_pull_request(changes={"a.py": "import os\n"})
    github.reject_line("a.py", 1)
    delivery = admit(pull)

    with caplog.at_level("INFO"):
        run(delivery)

    (review,) = pull.reviews
    assert review["comments"] == []
    assert "GitHub rejected comments on these lines" in review["body"]
    assert "`a.py:1`" in review["body"]
    assert "F401" in review["body"]
    [reported] = [vars(entry) for entry in caplog.records if entry.message == "GitHub rejected the review"]
    assert reported["delivery_id"] == delivery.delivery_id
    assert "Line could not be resolved" in reported["error"]


def test_the_run_knows_the_id_and_the_address_of_its_review(pull: PullRequest) -> None:
    review = run(admit(pull))

    assert (review.github_review_id, review.github_review_url) == (pull.reviews[0]["id"], pull.reviews[0]["html_url"])


def test_a_review_without_an_address_from_github_has_none(github: Sandbox, pull: PullRequest) -> None:
    delivery = admit(pull)
    body = {"id": 5, "body": f"\n\n<!-- kodiai:review {delivery.identity_digest} -->", "user": None}
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_REPLACED, body=body))

    review = run(delivery)

    assert (review.conclusion, review.github_review_id, review.github_review_url) == (Conclusion.SUCCESS, 5, "")


# By what it is known again


def test_a_review_is_recognised_among_others(github: Sandbox, pull: PullRequest) -> None:
    delivery = admit(pull)
    add_review(pull, "somebody who is gone", "Looks good to me.")["user"] = None
    add_review(pull, "kodiai[bot]", "The review of another run.")
    add_review(pull, "kodiai[bot]", "")["body"] = None
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_RESET))
    run(delivery)
    pull.reviews[-1]["body"] += "\n"

    review = run(delivery)

    assert (review.conclusion, review.github_review_id) == (Conclusion.SUCCESS, pull.reviews[-1]["id"])
    assert sum(marker(review) in (posted["body"] or "") for posted in pull.reviews) == 1


# Nothing found


def clean(repo: Repository, when_clean: str) -> PullRequest:
    repo.commit({".kodiai.yml": f"reviews: {{when_clean: {when_clean}}}"})
    return repo.open_pull_request(changes={"shop.py": "x = 1\n"}, author="mona")


def push(pull: PullRequest, text: str) -> Review:
    pull.push({"shop.py": text})
    return run(admit(pull, "synchronize"))


@pytest.mark.parametrize(("when_clean", "reviews"), [("review", 1), ("check", 0)])
def test_a_clean_pull_request_has_one_review_or_none(repo: Repository, when_clean: str, reviews: int) -> None:
    pull = clean(repo, when_clean)
    runs = [run(admit(pull)), push(pull, "x = 2\n")]

    assert [(one.conclusion, one.published_at is not None) for one in runs] == [(Conclusion.SUCCESS, True)] * 2
    assert len(pull.reviews) == reviews
    assert [check_run["conclusion"] for check_run in repo.check_runs] == ["success", "success"]
    assert [event_of(one.delivery).pr_number for one in runs] == [pull.number] * 2

    push(pull, "import os\n")
    assert (len(pull.reviews), len(pull.review_comments)) == (reviews + 1, 1)
    push(pull, "x = 3\n")
    assert len(pull.reviews) == reviews + 1
    assert "1 earlier finding resolved" in pull.reviews[0]["body"]


def test_a_deleted_summary_is_not_posted_again_for_nothing(repo: Repository) -> None:
    pull = clean(repo, "review")
    run(admit(pull))
    pull.reviews.clear()

    assert push(pull, "x = 2\n").conclusion == Conclusion.SUCCESS
    assert pull.reviews == []


def test_who_asks_about_a_clean_pull_request_is_answered(repo: Repository) -> None:
    pull = clean(repo, "check")
    run(say(pull, "@kodiai review"))

    assert "no findings" in pull.reviews[0]["body"]


def test_without_check_runs_a_clean_pull_request_has_a_review(github: Sandbox, repo: Repository) -> None:
    github.withhold_permission("octo", "checks")
    pull = clean(repo, "check")
    run(admit(pull))

    assert (len(pull.reviews), repo.check_runs) == (1, [])


@pytest.mark.parametrize("point", ["published_at", "finished_at"])
def test_a_clean_run_that_is_killed_posts_nothing_either(repo: Repository, point: str) -> None:
    pull = clean(repo, "check")
    delivery = admit(pull)
    kill_at(point, delivery)

    assert resume(delivery).conclusion == Conclusion.SUCCESS
    assert (pull.reviews, len(repo.check_runs)) == ([], 1)
