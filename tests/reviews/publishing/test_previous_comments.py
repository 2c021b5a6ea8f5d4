"""Later reviews: what is reported, what is not repeated, and what happens when GitHub fails."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from pytest_django import Settings

from reviews import engines
from reviews.engines.analyzer import AnalyzerFailed
from reviews.models import Review, ThumbsDown
from reviews.publishing import previous_comments, publish, resolve_threads
from reviews.publishing.markdown import PARTIAL, RESOLVED
from reviews.publishing.previous_comments import finding_marker, review_markers
from reviews.publishing.publish import marker
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox, add_review
from sandbox.rest.posts import react
from telemetry.models import Conclusion
from tests.support.runs import admit, body_without_marker, run
from tests.support.shop import AFTER

pytestmark = pytest.mark.django_db

FIXED = AFTER.replace("import os\n\n\n", "")
"""Without one of the three findings."""


def follow_up(pull: PullRequest, code: str = FIXED, action: str = "synchronize", **payload: Any) -> Review:
    """Push and review again."""
    pull.push({"shop.py": code})
    return run(admit(pull, action, **payload))


def routes(github: Sandbox) -> list[str]:
    return [call.route for call in github.calls]


# Calls


def test_a_follow_up_reads_the_conversation_with_one_call(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    of_first = "installation_token pull contents files search graphql create_review create_check_run"
    assert routes(github) == of_first.split(), "a first review asks for no conversation"
    github.reset_calls()
    follow_up(pull, AFTER + "\n\nmore = 1\n")
    assert routes(github) == ["pull", "contents", "files", "graphql", "graphql", "update_review", "create_check_run"]


@pytest.mark.slow
def test_a_long_conversation_is_read_page_by_page(github: Sandbox, repo: Repository) -> None:
    repo.commit({".kodiai.yml": "limits: {comments: 50}"})
    functions = [f"def f{number}():\n    return missing_{number}\n\n\n" for number in range(120)]
    pull = repo.open_pull_request(changes={"shop.py": "".join(functions[:50])}, author="mona")
    for number in range(110):
        add_review(pull, "mona", f"Review {number}")
    run(admit(pull))
    follow_up(pull, "".join(functions[:100]))
    follow_up(pull, "".join(functions))
    github.reset_calls()
    follow_up(pull, "".join(functions) + "more = 1\n")

    assert len(pull.review_comments) == 120
    assert (github.count("graphql"), github.count("create_review"), github.count("update_review")) == (3, 0, 1)


# What is said


def test_without_news_the_runs_marker_joins_the_summary(pull: PullRequest) -> None:
    first = run(admit(pull))
    later = follow_up(pull)
    last = follow_up(pull, AFTER)

    (summary,) = pull.reviews
    assert review_markers(summary["body"]) == [marker(first), marker(later), marker(last)]
    assert {review.github_review_id for review in Review.objects.all()} == {summary["id"]}
    assert later.github_review_url == summary["html_url"]


def test_where_something_is_new_the_run_has_a_review_of_its_own(pull: PullRequest) -> None:
    first = run(admit(pull))
    later = follow_up(pull, AFTER + "\n\nvalue = unknown\n")

    summary, own = pull.reviews
    assert (review_markers(summary["body"]), review_markers(own["body"])) == ([marker(first)], [marker(later)])
    assert later.github_review_id == own["id"]
    (comment,) = own["comments"]
    assert "`unknown`" in comment["body"]


def test_a_mention_is_answered_in_one_sentence(pull: PullRequest) -> None:
    run(admit(pull))
    sha = pull.head_sha[:7]
    run(admit(pull, "created", event="issue_comment", comment_body="@kodiai please"))
    follow_up(pull, FIXED, "created", event="issue_comment", comment_body="@kodiai review")

    summary, same, later = pull.reviews
    link = f"the [summary]({summary['html_url']}) is up to date."
    assert body_without_marker(same).strip() == f"Nothing new at `{sha}`: {link}"
    assert body_without_marker(later).strip() == f"Nothing new since `{sha}`: {link}"
    assert "### Kodiai: 2 findings" in summary["body"]


def test_a_partial_follow_up_says_so(github: Sandbox, pull: PullRequest) -> None:
    github.limits["search"].exhaust(reset_in=600)
    run(admit(pull))
    assert follow_up(pull, AFTER + "\n\nvalue = unknown\n").conclusion == Conclusion.PARTIAL

    assert all(PARTIAL in posted["body"] for posted in pull.reviews)


def test_findings_beyond_the_comments_stand_in_the_summary(repo: Repository) -> None:
    lines = [f"def f{number}():\n    return missing_{number}\n\n\n" for number in range(12)]
    pull = repo.open_pull_request(changes={"shop.py": "".join(lines)}, author="mona")
    run(admit(pull))
    assert len(pull.review_comments) == 10
    follow_up(pull, "".join(lines[1:]) + "last = new_name\n")

    summary, own = pull.reviews
    assert ["`new_name`" in comment["body"] for comment in own["comments"]] == [True]
    assert "### Kodiai: 12 findings (12 critical)" in summary["body"]
    assert [f"missing_{number}`" in summary["body"] for number in (9, 10, 11)] == [False, True, True]
    assert "1 earlier finding resolved" in summary["body"]


def test_a_summary_finding_survives_a_renamed_file(repo: Repository) -> None:
    lines = [f"def f{number}():\n    return missing_{number}\n\n\n" for number in range(12)]
    pull = repo.open_pull_request(changes={"old.py": "".join(lines)}, author="mona")
    run(admit(pull))
    pull.push(renames={"old.py": "new.py"})
    run(admit(pull, "synchronize"))

    (summary,) = pull.reviews
    assert "### Kodiai: 12 findings (12 critical)" in summary["body"]
    assert summary["body"].count("`new.py:") == 2
    assert "gone" not in summary["body"]


def test_the_longest_summary_keeps_its_markers_and_is_taken(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "x" * 900
    code = "".join(f"def f{number}():\n    return {name}_{number}\n\n\n" for number in range(90))
    pull = repo.open_pull_request(changes={"shop.py": code}, author="mona")
    run(admit(pull))
    many = "\n".join(f"<!-- kodiai:review {number:032x} -->" for number in range(publish.MAX_MARKERS + 20))
    pull.reviews[0]["body"] += f"\n{many}"
    later = follow_up(pull, f"{code}more = 1\n")

    kept = review_markers(pull.reviews[0]["body"])
    assert (len(kept), kept[-1]) == (publish.MAX_MARKERS, marker(later))
    assert "(truncated: GitHub's limit on the length of a comment)" in pull.reviews[0]["body"]


# Whose words count


def test_only_the_apps_own_comments_count_as_posted(pull: PullRequest) -> None:
    report = run(admit(pull)).report
    for comment in pull.review_comments:
        comment["user"] = comment["user"] | {"login": "mallory", "type": "User"}
    Review.objects.update(report=None)
    follow_up(pull, AFTER + "\n\nmore = 1\n")

    assert {comment["body"].rpartition("\n")[2] for comment in pull.review_comments} == {
        finding_marker([(finding["fingerprint"], 1)]) for finding in report["findings"]
    }
    assert [len(posted["comments"]) for posted in pull.reviews] == [3, 3]


def test_a_user_who_has_the_apps_name_is_not_the_app(pull: PullRequest) -> None:
    first = run(admit(pull))
    pull.reviews.insert(0, pull.reviews[0] | {"id": 1, "user": pull.reviews[0]["user"] | {"login": "kodiai"}})
    follow_up(pull)

    assert review_markers(pull.reviews[0]["body"]) == [marker(first)]
    assert len(review_markers(pull.reviews[1]["body"])) == 2


# What an engine did not see


def test_a_failed_engine_resolves_nothing(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    run(admit(pull))

    def fail(*_: object) -> None:
        raise AnalyzerFailed("it exited with status 1")

    monkeypatch.setattr(engines, "run_analyzer", fail)
    assert follow_up(pull).conclusion == Conclusion.PARTIAL

    assert not any(comment["body"].startswith(RESOLVED) for comment in pull.review_comments)
    assert "gone" not in pull.reviews[0]["body"]


def test_nothing_is_resolved_in_a_file_not_analysed(pull: PullRequest) -> None:
    run(admit(pull))
    pull.max_patch_lines = 3
    follow_up(pull)

    assert "1 file skipped" in pull.reviews[0]["body"]
    assert not any(comment["body"].startswith(RESOLVED) for comment in pull.review_comments)


# Where GitHub does not play along


@pytest.mark.parametrize("gone", ["the list has none", "the update finds none"])
def test_a_missing_summary_is_posted_without_repeated_comments(github: Sandbox, pull: PullRequest, gone: str) -> None:
    run(admit(pull))
    if gone == "the list has none":
        pull.reviews.clear()
    else:
        github.fail("update_review", Fault(FaultKind.STATUS, status=404))
        github.fail("list_reviews", Fault(FaultKind.WRONG_JSON, body=[]))
    later = follow_up(pull)

    whole = pull.reviews[-1]
    assert (whole["id"], review_markers(whole["body"])) == (later.github_review_id, [marker(later)])
    assert "### Kodiai: 2 findings" in whole["body"]
    assert (whole["comments"], len(pull.review_comments)) == ([], 3)


def test_without_an_earlier_review_a_whole_one_is_posted(pull: PullRequest) -> None:
    delivery = run(admit(pull)).delivery
    delivery.delete()
    run(admit(pull))

    assert [len(posted["comments"]) for posted in pull.reviews] == [3, 3]


def test_without_graphql_nothing_is_repeated(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    pull.resolve_thread(pull.review_comments[0]["id"], by="mona")
    github.graphql_available = False
    later = follow_up(pull, FIXED + "\n\nvalue = unknown\n")

    assert later.conclusion == Conclusion.SUCCESS
    assert [len(posted["comments"]) for posted in pull.reviews] == [3, 1]
    assert "### Kodiai: 3 findings" in pull.reviews[0]["body"]
    assert github.count("update_comment") == 0


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("route", "fault"),
    [
        ("graphql", Fault(FaultKind.STATUS, status=403)),
        ("graphql", Fault(FaultKind.RESET)),
        ("update_comment", Fault(FaultKind.SECONDARY_LIMIT)),
        ("update_comment", Fault(FaultKind.STATUS, status=502)),
        ("update_comment", Fault(FaultKind.WRONG_JSON)),
    ],
)
def test_a_failure_to_resolve_threads_costs_nothing(
    github: Sandbox, pull: PullRequest, settings: Settings, route: str, fault: Fault
) -> None:
    if route == "graphql":
        settings.KODIAI_RESOLVE_THREADS = True
        github.permissions["contents"] = "write"
    run(admit(pull))
    github.reset_calls()
    github.fail(route, fault, times=None, after=2 if route == "graphql" else 0)
    later = follow_up(pull)

    assert (later.conclusion, later.attempts, later.deferred_since) == (Conclusion.SUCCESS, 0, None)
    assert github.count("graphql") == 3
    refused = fault.kind in (FaultKind.STATUS, FaultKind.WRONG_JSON) and fault.status != 502
    assert github.count("update_comment") == (1 if route == "update_comment" or refused else 0)
    assert all(thread.resolved_by is None for thread in pull.threads)


def test_what_was_not_closed_is_closed_by_the_next_run(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    github.fail("update_comment", Fault(FaultKind.STATUS, status=502))
    follow_up(pull)
    assert not any(comment["body"].startswith(RESOLVED) for comment in pull.review_comments)
    follow_up(pull, FIXED + "\n\nmore = 1\n")

    assert [comment["body"].startswith(RESOLVED) for comment in pull.review_comments].count(True) == 1


@pytest.mark.parametrize("resolved_by_person", [True, False])
def test_a_finding_that_comes_back_is_said_somewhere(
    github: Sandbox, pull: PullRequest, resolved_by_person: bool
) -> None:
    run(admit(pull))
    follow_up(pull)
    (gone,) = [comment for comment in pull.review_comments if comment["body"].startswith(RESOLVED)]
    if resolved_by_person:
        pull.resolve_thread(gone["id"], by="mona")
    for code in (AFTER, f"{AFTER}\n\nmore = 1\n"):
        follow_up(pull, code)

        listed = "Not posted inline:" in pull.reviews[0]["body"] and "imported but unused" in pull.reviews[0]["body"]
        assert listed == resolved_by_person
        assert gone["body"].startswith(RESOLVED) == resolved_by_person
    assert len(pull.reviews) == 1

    pull.unresolve_thread(gone["id"])
    follow_up(pull, f"{AFTER}\n\nother = 1\n")
    assert not gone["body"].startswith(RESOLVED), "a thread that is open again has the finding"
    follow_up(pull, f"{AFTER}\n\nlast = 1\n")
    assert "Not posted inline:" not in pull.reviews[0]["body"]


def test_a_comment_that_was_put_away_offers_nothing_to_commit(pull: PullRequest) -> None:
    run(admit(pull))
    follow_up(pull)

    (gone,) = [comment["body"] for comment in pull.review_comments if comment["body"].startswith(RESOLVED)]
    assert gone.startswith(
        f"**Resolved** in `{pull.head_sha[:7]}`.\n\n<details><summary>Original comment</summary>\n\n**minor**"
    )
    assert "suggestion" not in gone
    assert previous_comments._MARKER.search(gone)


# Whose run it is


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("module", "effect", "route", "most"),
    [
        (publish, "update_summary", "update_review", 0),
        (publish, "post", "create_review", 1),
        (resolve_threads, "resolve", "graphql", 3),
        (resolve_threads, "edit", "update_comment", 0),
    ],
)
def test_a_worker_whose_claim_was_taken_does_nothing_more(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch, module: Any, effect: str, route: str, most: int
) -> None:
    run(admit(pull))
    do: Callable[..., Any] = getattr(module, effect)

    def taken_over_then(*args: Any, **kwargs: Any) -> Any:
        Review.objects.exclude(lease_owner="").update(lease_owner="another")
        return do(*args, **kwargs)

    monkeypatch.setattr(module, effect, taken_over_then)
    later = follow_up(pull, FIXED + "\n\nvalue = unknown\n")

    assert (later.lease_owner, later.finished_at) == ("another", None)
    assert github.count(route) == most


# Thumbs down


@pytest.mark.parametrize("by_graphql", [True, False])
def test_thumbs_down_are_counted_by_rule(
    github: Sandbox, pull: PullRequest, admin_client: Browser, by_graphql: bool
) -> None:
    if not by_graphql:
        github.fail("graphql", Fault(FaultKind.STATUS, status=502), times=None)
    run(admit(pull))
    comment = next(comment for comment in pull.review_comments if "F401" in comment["body"])
    for author, content in (("mona", "-1"), ("hubot", "-1"), ("mona", "eyes")):
        react(comment, author, content)
    for _ in range(2):
        follow_up(pull, AFTER + "\n\nmore = 1\n")

    counted = ThumbsDown.objects.values_list("comment_id", "rule", "people", "repo", "pr_number", "path")
    assert list(counted) == [(comment["id"], "F401", 2, "octo/demo", 1, "shop.py")]
    page = admin_client.get("/admin/reviews/thumbsdown/").content.decode()
    assert "F401 (1)" in page

    comment["reacted"], comment["reactions"]["-1"] = [], 0
    follow_up(pull, AFTER + "\n\nless = 1\n")
    assert list(counted.all()) == []
