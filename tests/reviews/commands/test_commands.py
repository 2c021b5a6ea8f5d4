"""Commands in comments: their effects, their permissions, and each applied and answered once."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reviews.commands import handlers
from reviews.commands.handlers import marker
from reviews.exceptions import LeaseLost
from reviews.github import connection, tokens
from reviews.github.client import Client as GitHubClient
from reviews.github.facts import POST_VISIBILITY_DELAY
from reviews.intake.inbox import requeue
from reviews.maintenance.retention import retain
from reviews.models import Command, CommandOutcome, Delivery, DeliveryStatus, IgnoredFinding, Review
from reviews.publishing.markdown import IGNORED
from reviews.runs.lease import claim
from reviews.runs.runner import process
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox, add_comment
from telemetry.models import Conclusion, RateLimitEvent
from tests.support.factories import MissedDeliveryFactory
from tests.support.published import check_reported_once
from tests.support.runs import admit, kill_at, report_of, resume, run, say
from tests.support.shop import AFTER

pytestmark = [pytest.mark.django_db, pytest.mark.database]

F401 = "https://docs.astral.sh/ruff/rules/unused-import"


def answers(pull: PullRequest) -> list[str]:
    """What the App has said in the conversation and in threads, without the comments that began these."""
    replies = [comment for comment in pull.review_comments if "in_reply_to_id" in comment]
    return [comment["body"] for comment in [*pull.comments, *replies] if comment["user"]["login"] == "kodiai[bot]"]


def reactions(comment: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in comment["reactions"].items() if name != "url" and count}


def thread_on(pull: PullRequest, rule: str) -> int:
    """The comment with which Kodiai began its thread on a rule."""
    return next(thread.first["id"] for thread in pull.threads if f"`{rule}`" in thread.first["body"])


def push_and_review(pull: PullRequest, code: str = AFTER) -> Review:
    pull.push({"shop.py": code})
    return run(admit(pull, "synchronize"))


# help, and what is not understood


def test_help_is_answered_with_the_commands_and_starts_no_review(pull: PullRequest) -> None:
    review = run(say(pull, "@kodiai help"))

    (answer,) = answers(pull)
    assert all(f"| `@kodiai {command}` |" in answer for command in Command)
    assert answer.endswith(f"\n\n{marker(review)}")
    assert (review.conclusion, review.conclusion_reason) == (Conclusion.SKIPPED, "answered: help")
    assert review.delivery.status == DeliveryStatus.DONE
    assert reactions(pull.comments[0]) == {"total_count": 1, "eyes": 1}
    assert (pull.reviews, pull.repository.check_runs) == ([], [])
    assert report_of(review).due_at is None
    assert not RateLimitEvent.objects.exists()


def test_help_in_a_thread_is_answered_there_for_everybody(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    first = thread_on(pull, "F401")
    run(say(pull, "@kodiai help", by="stranger", to=first))

    (thread,) = [thread for thread in pull.threads if thread.first["id"] == first]
    _, asked, answer = thread.comments
    assert (answer["user"]["login"], reactions(asked)) == ("kodiai[bot]", {"total_count": 1, "eyes": 1})
    assert pull.comments == []
    assert github.count("permission") == 0
    check_reported_once([pull])


def test_a_typo_is_answered_with_the_command_that_was_meant(github: Sandbox, pull: PullRequest) -> None:
    review = run(say(pull, "@kodiai reveiw", by="stranger"))

    (answer,) = answers(pull)
    assert answer.startswith("That is not a command. Did you mean `@kodiai review`?\n\n| Comment |")
    assert review.conclusion == Conclusion.SKIPPED
    assert (pull.reviews, github.count("permission")) == ([], 0)


@pytest.mark.parametrize("word", ["zzz", "ignore_me_and_close_the_repository", "überprüfe"])
def test_nothing_of_a_comment_is_repeated(pull: PullRequest, word: str) -> None:
    run(say(pull, f"@kodiai {word} @someone <img src=x> [a](https://evil.example)"))

    (answer,) = answers(pull)
    assert answer.startswith("That is not a command.\n\n|")
    assert not any(part in answer for part in (word, "someone", "img", "evil"))


# Who may command


def test_a_command_of_who_may_write_is_applied(pull: PullRequest) -> None:
    pull.repository.roles["lisa"] = "write"
    run(say(pull, "@kodiai review", by="lisa"))

    assert len(pull.reviews) == 1
    assert answers(pull) == []


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("triage", "pause"),
        ("none", "resume"),
        *(("read", command) for command in sorted(set(Command) - {Command.HELP})),
    ],
)
def test_a_command_without_write_access_changes_nothing(pull: PullRequest, role: str, command: str) -> None:
    run(admit(pull))
    said = [thread.first["body"] for thread in pull.threads]
    # What GitHub puts into the comment is not what is asked for.
    pull.author_association = "MEMBER"
    pull.repository.roles["mona"] = role
    review = run(say(pull, f"@kodiai {command}", to=thread_on(pull, "F401")))

    (answer,) = answers(pull)
    assert answer.startswith("This command needs write access to the repository. `@kodiai help` lists")
    assert review.conclusion_reason == "answered: mona has no write access"
    assert [thread.first["body"] for thread in pull.threads] == said
    assert not IgnoredFinding.objects.exists()
    assert push_and_review(pull).conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1


def test_somebody_whom_github_does_not_know_there_is_refused(github: Sandbox, pull: PullRequest) -> None:
    github.fail("permission", Fault(FaultKind.STATUS, status=404))
    run(say(pull, "@kodiai pause"))

    assert answers(pull)[0].startswith("This command needs write access")


def test_a_bot_on_the_allow_list_is_not_answered(pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_BOT_ALLOW_LIST = ["renovate"]
    reviews = [run(say(pull, f"@kodiai {word}", by="renovate[bot]")) for word in ("help", "reveiw", "pause")]

    assert {review.conclusion for review in reviews} == {Conclusion.SKIPPED}
    assert answers(pull) == []


# Once


@pytest.mark.parametrize("word", ["help", "reveiw", "explain"])
def test_a_delivery_that_comes_twice_is_answered_once(pull: PullRequest, word: str) -> None:
    comment = add_comment(pull, "mona", f"@kodiai {word}")
    for _ in range(2):
        run(admit(pull, "created", event="issue_comment", delivery_id="d-1", comment=comment))

    assert len(answers(pull)) == 1


@pytest.mark.parametrize(
    ("point", "in_a_thread"),
    [
        *((point, False) for point in ("started_at", "answering_at", "answer-posted", "answered_at", "finished_at")),
        *((point, True) for point in ("answering_at", "answer-posted")),
    ],
)
def test_a_run_that_is_killed_at_any_point_leaves_one_answer(pull: PullRequest, point: str, in_a_thread: bool) -> None:
    if in_a_thread:
        run(admit(pull))
    delivery = say(pull, "@kodiai explain", to=thread_on(pull, "F401") if in_a_thread else None)
    kill_at(point, delivery)
    review = resume(delivery)

    assert review.conclusion == Conclusion.SKIPPED
    assert len(answers(pull)) == 1
    check_reported_once([pull])


@pytest.mark.parametrize("point", ["applied_at", "threads-resolved", "comment-edited"])
def test_an_ignore_that_is_killed_at_any_point_is_done_once(pull: PullRequest, point: str) -> None:
    run(admit(pull))
    first = thread_on(pull, "F401")
    delivery = say(pull, "@kodiai ignore", to=first)
    kill_at(point, delivery)
    resume(delivery)

    assert IgnoredFinding.objects.count() == 1
    (body,) = [thread.first["body"] for thread in pull.threads if thread.first["id"] == first]
    assert body.count(IGNORED) == 1
    assert answers(pull) == []


def test_a_reply_of_unknown_outcome_is_looked_for(github: Sandbox, pull: PullRequest) -> None:
    delivery = say(pull, "@kodiai help")
    github.fail("create_comment", Fault(FaultKind.APPLIED_THEN_RESET))
    before = timezone.now()
    review = run(delivery)
    assert review.deferred_until is not None
    assert review.deferred_until >= before + POST_VISIBILITY_DELAY
    process(delivery.pk)
    assert github.count("list_comments") == 0, "not before its time, even if a task comes too early"

    assert run(delivery).command_outcome.answered_at is not None
    assert len(answers(pull)) == github.count("list_comments") == 1


def test_a_worker_that_lost_its_run_does_not_answer(pull: PullRequest) -> None:
    delivery = say(pull, "@kodiai help")
    mine = claim(delivery.pk, "slow")
    assert mine is not None
    Review.objects.update(lease_owner="another")

    with GitHubClient(mine.repo, delivery.installation_id) as github, pytest.raises(LeaseLost):
        handlers.post(github, mine, "The commands")

    assert answers(pull) == []
    assert CommandOutcome.objects.get().answering_at is None


def test_a_forged_marker_keeps_no_answer_back(github: Sandbox, pull: PullRequest) -> None:
    delivery = say(pull, "@kodiai help")
    add_comment(pull, "stranger", marker(Review.objects.get(delivery=delivery)))
    github.fail("create_comment", Fault(FaultKind.RESET))
    run(delivery)
    run(delivery)

    assert len(answers(pull)) == 1


def test_a_restored_database_does_not_reply_again(pull: PullRequest) -> None:
    delivery = say(pull, "@kodiai help")
    run(delivery)
    identity = {"delivery_id": delivery.delivery_id, "event_type": delivery.event_type}
    Review.objects.update(finished_at=None)
    CommandOutcome.objects.update(answering_at=None, answered_at=None)
    MissedDeliveryFactory(**identity)
    run(delivery)

    assert len(answers(pull)) == 1


def test_a_refused_reply_is_posted_once_when_requeued(github: Sandbox, pull: PullRequest) -> None:
    delivery = say(pull, "@kodiai help")
    github.fail("create_comment", Fault(FaultKind.STATUS, status=403))
    review = run(delivery)
    assert (review.conclusion, report_of(review).due_at) == (Conclusion.ERROR, None)
    assert requeue(review.delivery)
    run(delivery)

    assert len(answers(pull)) == 1


@pytest.mark.parametrize("route", ["installation_token", "react_on_lines", "permission", "graphql", "reply"])
def test_a_limit_puts_a_command_off_and_loses_nothing(github: Sandbox, pull: PullRequest, route: str) -> None:
    run(admit(pull))
    tokens._tokens.clear()
    delivery = say(pull, "@kodiai explain", to=thread_on(pull, "F401"))
    github.fail(route, Fault(FaultKind.SECONDARY_LIMIT, retry_after=1))
    deferred = run(delivery)
    assert (deferred.finished_at, deferred.attempts) == (None, 0)
    assert deferred.deferred_since is not None

    cache.clear()  # The limit that is known is over.
    run(delivery)
    assert len(answers(pull)) == 1


@pytest.mark.parametrize(
    ("route", "fault"),
    [
        ("installation_token", Fault(FaultKind.STATUS, status=502)),
        ("permission", Fault(FaultKind.RESET)),
        ("graphql", Fault(FaultKind.BROKEN_JSON)),
        ("reply", Fault(FaultKind.WRONG_JSON, body=[{}])),
        ("reply", Fault(FaultKind.RESET)),
    ],
)
def test_a_failure_of_any_call_leaves_one_answer(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch, route: str, fault: Fault
) -> None:
    monkeypatch.setattr(connection, "BACKOFF", 0)
    run(admit(pull))
    tokens._tokens.clear()
    delivery = say(pull, "@kodiai explain", to=thread_on(pull, "F401"))
    github.fail(route, fault)
    run(delivery)

    assert run(delivery).conclusion == Conclusion.SKIPPED
    assert len(answers(pull)) == 1
    assert answers(pull)[0].startswith("**minor** · [`F401`]")


@pytest.mark.parametrize("fault", [Fault(FaultKind.RESET), Fault(FaultKind.STATUS, status=403)])
def test_a_reaction_is_politeness(github: Sandbox, pull: PullRequest, fault: Fault) -> None:
    github.fail("react", fault, None)
    review = run(say(pull, "@kodiai help"))

    assert (review.conclusion, review.attempts) == (Conclusion.SKIPPED, 0)
    assert len(answers(pull)) == 1


def test_a_command_ends_no_review_that_waits(pull: PullRequest) -> None:
    waiting = admit(pull)
    run(say(pull, "@kodiai help"))
    run(say(pull, "@kodiai pause"))
    run(say(pull, "@kodiai resume"))

    assert run(waiting).conclusion == Conclusion.SUCCESS


# pause and resume


def test_a_paused_pull_request_is_reviewed_only_on_request(pull: PullRequest) -> None:
    paused = run(say(pull, "@kodiai pause"))
    assert (paused.conclusion, paused.conclusion_reason) == (Conclusion.SKIPPED, "paused by mona")
    assert reactions(pull.comments[0]) == {"total_count": 2, "eyes": 1, "+1": 1}

    skipped = push_and_review(pull)
    assert skipped.conclusion == Conclusion.SKIPPED
    assert skipped.conclusion_reason == "paused by mona; `@kodiai resume` ends the pause"
    assert skipped.enriched_at is None
    assert not RateLimitEvent.objects.exists()
    assert (pull.reviews, pull.repository.check_runs) == ([], [])

    assert run(say(pull, "@kodiai review")).conclusion == Conclusion.SUCCESS
    assert push_and_review(pull, AFTER + "\n\nmore = 1\n").conclusion == Conclusion.SKIPPED

    assert run(say(pull, "@kodiai resume", by="octocat")).conclusion_reason == "resumed by octocat"
    assert push_and_review(pull, AFTER + "\n\nmore = 2\n").conclusion == Conclusion.SUCCESS
    assert answers(pull) == []


def test_a_rerun_of_a_paused_pull_request_counts_as_a_request(pull: PullRequest) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai pause"))

    assert run(admit(pull, "rerequested", event="check_suite")).conclusion == Conclusion.SUCCESS


def test_a_pause_is_for_one_pull_request(pull: PullRequest, repo: Repository) -> None:
    run(say(pull, "@kodiai pause"))
    other = repo.open_pull_request(changes={"more.py": "import sys\n"}, author="mona")

    assert run(admit(other)).conclusion == Conclusion.SUCCESS


def test_the_later_of_pause_and_resume_wins(pull: PullRequest) -> None:
    pause, resume = say(pull, "@kodiai pause"), say(pull, "@kodiai resume")
    run(resume)
    run(pause)
    assert run(admit(pull)).conclusion == Conclusion.SUCCESS

    resume, pause = say(pull, "@kodiai resume"), say(pull, "@kodiai pause")
    run(pause)
    run(resume)
    assert push_and_review(pull).conclusion == Conclusion.SKIPPED


def test_a_pause_outlives_the_retention_of_deliveries(pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_RETENTION_DAYS = 1
    run(say(pull, "@kodiai help"))
    run(say(pull, "@kodiai pause"))
    Delivery.objects.update(finished_at=timezone.now() - timedelta(days=2))
    Review.objects.update(execution_recorded_at=timezone.now())
    assert retain()["deliveries removed"] == 1

    assert push_and_review(pull).conclusion == Conclusion.SKIPPED


# ignore


def test_an_ignored_finding_is_counted_in_other_pull_requests(pull: PullRequest, repo: Repository) -> None:
    run(admit(pull))
    review = run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    other = repo.open_pull_request(changes={"more.py": "import os\nimport sys\n"}, author="mona")
    run(admit(other))

    assert review.conclusion_reason == "F401 is ignored from now on, as requested"
    assert [comment["body"].count("`sys`") for comment in other.review_comments] == [1]
    assert "### Kodiai: 1 finding" in other.reviews[0]["body"]
    assert "1 finding ignored on request (`ignore`)." in other.reviews[0]["body"]


def test_an_ignored_finding_is_reported_in_another_repository(github: Sandbox, pull: PullRequest) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    other = github.create_repository("octo/other").open_pull_request(changes={"a.py": "import os\n"}, author="mona")
    run(admit(other))

    assert len(other.review_comments) == 1


def test_the_next_run_resolves_a_thread_ignored_elsewhere(pull: PullRequest, repo: Repository) -> None:
    other = repo.open_pull_request(changes={"more.py": "import os\n"}, author="mona")
    run(admit(other))
    run(admit(pull))
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    other.push({"notes.csv": "1\n"})
    run(admit(other, "synchronize"))

    assert other.review_comments[0]["body"].startswith(IGNORED)
    assert "of earlier commits" not in other.reviews[0]["body"]


def test_two_people_who_ignore_the_same_leave_one_row(pull: PullRequest) -> None:
    run(admit(pull))
    first = thread_on(pull, "F401")
    run(say(pull, "@kodiai ignore", to=first))
    assert run(say(pull, "@kodiai ignore", by="octocat", to=first)).conclusion == Conclusion.SKIPPED

    (ignored,) = IgnoredFinding.objects.all()
    assert (ignored.repo, ignored.rule, ignored.path, ignored.ignored_by) == ("octo/demo", "F401", "shop.py", "mona")
    assert "`os` imported but unused" in ignored.message


def test_a_thread_that_a_person_resolved_stays_theirs(pull: PullRequest) -> None:
    run(admit(pull))
    first = thread_on(pull, "F401")
    said = [thread.first["body"] for thread in pull.threads]
    pull.resolve_thread(first, by="mona")
    run(say(pull, "@kodiai ignore", to=first))

    assert [thread.first["body"] for thread in pull.threads] == said
    assert IgnoredFinding.objects.count() == 1


def test_ignore_works_after_its_report_was_removed(pull: PullRequest) -> None:
    run(admit(pull))
    Delivery.objects.all().delete()
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    assert IgnoredFinding.objects.get().rule == ""
    push_and_review(pull)

    assert "### Kodiai: 2 findings" in pull.reviews[-1]["body"]


def test_deleting_an_ignored_finding_reports_it_again(pull: PullRequest, admin_client: Client) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    ignored = IgnoredFinding.objects.get()
    page = admin_client.get("/admin/reviews/ignoredfinding/?q=octo/demo").content.decode()
    assert all(text in page for text in ("octo/demo", "F401", "imported but unused", "shop.py", "mona"))
    assert admin_client.get("/admin/reviews/ignoredfinding/add/").status_code == 403

    answer = admin_client.post(f"/admin/reviews/ignoredfinding/{ignored.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    push_and_review(pull, AFTER + "\n\nmore = 1\n")

    assert "### Kodiai: 3 findings" in pull.reviews[0]["body"]
    assert not any(IGNORED in thread.first["body"] for thread in pull.threads)
    check_reported_once([pull])


# explain


def test_explain_shows_the_rule_and_how_to_suppress_it(pull: PullRequest) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai explain", to=thread_on(pull, "F401")))

    (answer,) = answers(pull)
    assert answer.startswith(f"**minor** · [`F401`]({F401}) `os` imported but unused")
    assert "reply `@kodiai ignore` here" in answer
    assert '`severities: {rules: {"F401": never}}` in `.kodiai.yml`' in answer
    assert "suggestion" not in answer


def test_the_way_to_suppress_a_rule_is_valid_configuration(pull: PullRequest, repo: Repository) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai explain", to=thread_on(pull, "F401")))
    line = answers(pull)[0].partition("in the whole repository: `")[2].partition("`")[0]
    repo.commit({".kodiai.yml": f"{line}\n"})
    push_and_review(pull)

    assert "1 finding suppressed by `.kodiai.yml`." in pull.reviews[0]["body"]


def test_explain_says_so_where_nothing_is_known_any_more(pull: PullRequest) -> None:
    run(admit(pull))
    Delivery.objects.all().delete()
    run(say(pull, "@kodiai explain", to=thread_on(pull, "F401")))

    assert answers(pull)[0].startswith("Nothing more is known")


@pytest.mark.parametrize("command", ["ignore", "explain"])
@pytest.mark.parametrize("where", ["in the conversation", "in a thread of somebody else"])
def test_a_command_about_a_finding_must_be_in_its_thread(pull: PullRequest, command: str, where: str) -> None:
    run(admit(pull))
    first = thread_on(pull, "F401")
    if where == "in a thread of somebody else":
        # Whoever it is can copy the hidden end of Kodiai's comment.
        next(thread for thread in pull.threads if thread.first["id"] == first).first["user"] = {"login": "mona"}
    run(say(pull, f"@kodiai {command}", to=None if where == "in the conversation" else first))

    (answer,) = answers(pull)
    assert answer.startswith(f"`@kodiai {command}` works only as a reply to Kodiai's comment")
    assert not IgnoredFinding.objects.exists()
