"""Renamed and transferred repositories, and a renamed App, are still the same ones."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from reviews.models import Delivery, IgnoredFinding, Review
from reviews.publishing.markdown import RESOLVED
from reviews.publishing.publish import marker
from reviews.runs.lease import claim
from sandbox import Fault, FaultKind, PullRequest, Sandbox, add_review, webhook_payload
from telemetry.models import Conclusion
from tests.support.runs import admit, event_of, forget_memory, run, say
from tests.support.shop import AFTER

pytestmark = pytest.mark.django_db

NEW_NAMES = ["octo/renamed", "newowner/demo"]


def push(pull: PullRequest, changes: dict[str, Any] | None = None) -> Review:
    pull.push(changes or {"note.txt": "a\n"})
    return run(admit(pull, "synchronize"))


def thread_on(pull: PullRequest, rule: str) -> int:
    return next(thread.first["id"] for thread in pull.threads if f"`{rule}`" in thread.first["body"])


# Repositories


@pytest.mark.parametrize("name", [*NEW_NAMES, "octo/demo"])
def test_nothing_is_said_twice_after_a_rename(github: Sandbox, pull: PullRequest, name: str) -> None:
    """Of the repository, or of the App."""
    run(admit(pull))
    github.rename_app("kodiai-too") if name == "octo/demo" else github.rename_repository(pull.repository, name)
    pull.repository.roles["mona"] = "write"
    review = push(pull)

    assert (review.conclusion, review.repo) == (Conclusion.SUCCESS, name)
    assert event_of(review.delivery).repo == name
    assert (len(pull.reviews), len(pull.review_comments)) == (1, 3)
    assert f"at commit {pull.head_sha[:12]}" in pull.reviews[0]["body"]

    push(pull, {"shop.py": AFTER.replace("import os\n", "")})
    assert [comment["body"].startswith(RESOLVED) for comment in pull.review_comments].count(True) == 1


def test_pauses_and_ignored_findings_outlive_a_rename(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    github.rename_repository(pull.repository, "octo/renamed")
    other = pull.repository.open_pull_request(changes={"more.py": "import os\n"}, author="mona")
    run(admit(other))
    assert other.review_comments == []
    run(say(other, "@kodiai pause"))
    github.rename_repository(pull.repository, "octo/again")

    assert push(other).conclusion_reason.startswith("paused by mona")
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    assert IgnoredFinding.objects.count() == 1


@pytest.mark.parametrize("name", NEW_NAMES)
def test_a_run_that_waited_during_a_rename_ends_once(github: Sandbox, pull: PullRequest, name: str) -> None:
    before = admit(pull)
    github.rename_repository(pull.repository, name)
    pull.push({"note.txt": "a\n"})
    after = admit(pull, "synchronize")
    assert claim(before.pk, "one") is not None
    with pytest.raises(IntegrityError), transaction.atomic():
        claim(after.pk, "two")
    Review.objects.update(lease_owner="", lease_expires_at=None)

    assert run(before).conclusion == Conclusion.SUPERSEDED
    assert run(after).conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1


def test_the_former_name_is_followed_where_no_other_is_known(github: Sandbox, pull: PullRequest) -> None:
    waiting = admit(pull)
    github.rename_repository(pull.repository, "octo/renamed")
    forget_memory()
    review = run(waiting)

    assert (review.conclusion, len(pull.review_comments)) == (Conclusion.SUCCESS, 3)
    assert len(pull.repository.check_runs) == 1
    assert {call.status for call in github.calls if call.path.startswith("/repos/octo/demo/")} == {301, 307}


def test_another_repository_of_the_former_name_is_another(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    waiting = admit(pull, "reopened")
    github.rename_repository(pull.repository, "octo/renamed")
    repo = github.create_repository("octo/demo", files={"shop.py": "x = 1\n"})
    other = repo.open_pull_request(changes={"shop.py": AFTER}, author="mona")
    forget_memory()
    # Whoever has a token can read a public repository.
    github.fail("pull", Fault(FaultKind.WRONG_JSON, body=webhook_payload(other, "opened")["pull_request"]))
    assert run(waiting).conclusion_reason == "octo/demo is another repository now"
    assert (other.reviews, repo.check_runs) == ([], [])

    assert run(admit(other)).conclusion == Conclusion.SUCCESS
    assert (len(other.reviews), len(other.review_comments), len(pull.reviews)) == (1, 3, 1)


def test_rows_without_an_id_are_known_by_name(pull: PullRequest) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    for model in (Delivery, Review, IgnoredFinding):
        model.objects.update(repo_id=None)
    push(pull, {"shop.py": AFTER + "\n\nmore = 1\n"})

    assert len(pull.reviews) == 1
    assert "1 finding ignored on request" in pull.reviews[0]["body"]


# The App


def test_a_renamed_app_knows_its_own_reviews(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    github.rename_app("kodiai-too")
    push(pull, {"shop.py": AFTER.replace("import os\n", "")})

    assert (len(pull.reviews), len(pull.review_comments)) == (1, 3)
    assert [comment["body"].startswith(RESOLVED) for comment in pull.review_comments].count(True) == 1


def test_a_stranger_with_the_former_name_is_not_trusted(github: Sandbox, pull: PullRequest) -> None:
    github.rename_app("kodiai-too")
    before = run(admit(pull))
    pull.reviews.clear()
    add_review(pull, "kodiai[bot]", f"Nothing to see\n\n{marker(before)}")
    for thread in pull.threads:
        thread.first["user"] = {**thread.first["user"], "login": "kodiai[bot]"}
    push(pull, {"more.py": "import sys\n"})

    assert pull.reviews[0]["body"].startswith("Nothing to see")
    assert len(pull.reviews) == 2
    assert [comment["user"]["login"] for comment in pull.review_comments][3:] == ["kodiai-too[bot]"]


@pytest.mark.parametrize("graphql", [True, False])
def test_a_post_of_unknown_outcome_is_found_after_a_rename(github: Sandbox, pull: PullRequest, graphql: bool) -> None:
    if graphql:
        github.rename_app("kodiai-too")
    github.graphql_available = graphql
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_RESET))
    delivery = admit(pull)
    run(delivery)

    assert run(delivery).conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1
