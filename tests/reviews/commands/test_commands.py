"""Commands in comments: what is answered, how often, who may command, and what each command does."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reviews.commands import handlers
from reviews.commands.handlers import marker
from reviews.maintenance.retention import retain
from reviews.models import Command, CommandOutcome, Delivery, DeliveryStatus, IgnoredFinding, IgnoreReason, Review
from reviews.publishing.markdown import IGNORED
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion, RateLimitEvent
from tests.support.commands import answers, push_and_review, reactions, thread_on
from tests.support.published import check_reported_once
from tests.support.runs import admit, kill_at, only_check_run, process, report_of, resume, run, say
from tests.support.shop import AFTER

pytestmark = pytest.mark.django_db

F401 = "https://docs.astral.sh/ruff/rules/unused-import"


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


def test_nothing_of_a_comment_is_repeated(pull: PullRequest) -> None:
    run(say(pull, "@kodiai ignore_me_and_close_it @someone <img src=x> [a](https://evil.example)"))

    (answer,) = answers(pull)
    assert answer.startswith("That is not a command.\n\n|")
    assert not any(part in answer for part in ("close_it", "someone", "img", "evil"))


@pytest.mark.parametrize("text", ["@kodiai[bot] pause", "@kodiai /pause", "@kodiai's comment is wrong"])
def test_what_is_not_understood_is_answered_and_starts_nothing(pull: PullRequest, text: str) -> None:
    run(say(pull, text))

    (answer,) = answers(pull)
    assert answer.startswith("That is not a command.")
    assert run(admit(pull)).conclusion == Conclusion.SUCCESS, "not paused"
    assert len(pull.reviews) == 1


# Once in a while


@pytest.mark.parametrize("texts", [["@kodiai help"] * 3, ["@kodiai reveiw", "@kodiai pause", "@kodiai help"]])
def test_a_stranger_is_answered_once_in_a_while(pull: PullRequest, repo: Repository, texts: list[str]) -> None:
    other = repo.open_pull_request(changes={"more.py": "import sys\n"}, author="mona")
    delivered = [say(pull, text, by="stranger") for text in texts]
    reviews = [run(delivery) for delivery in delivered]

    assert len(answers(pull)) == 1
    assert reviews[-1].conclusion_reason.startswith("not answered, because stranger was answered less than 10 minutes")
    assert reactions(pull.comments[1]) == {"total_count": 1, "eyes": 1}
    run(say(pull, texts[0], by="somebody-else"))
    run(say(other, texts[0], by="stranger"))
    assert (len(answers(pull)), len(answers(other))) == (2, 1)

    CommandOutcome.objects.update(answering_at=timezone.now() - handlers.ANSWER_INTERVAL)
    run(say(pull, texts[0], by="stranger"))
    assert len(answers(pull)) == 3


def test_commands_of_who_may_write_are_all_answered(pull: PullRequest) -> None:
    run(admit(pull))
    for text in ("@kodiai help", "@kodiai explain", "@kodiai explain"):
        run(say(pull, text, to=thread_on(pull, "F401")))

    assert len(answers(pull)) == 3


@pytest.mark.parametrize("point", ["started_at", "answering_at", "answer-posted"])
def test_two_questions_at_once_get_one_answer(pull: PullRequest, point: str) -> None:
    first, second = say(pull, "@kodiai help", by="stranger"), say(pull, "@kodiai help", by="stranger")
    kill_at(point, first)
    process(second.pk)
    resume(first)
    run(second)

    assert len(answers(pull)) == 1


# Who may command


@pytest.mark.sampled(3)
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


def test_a_bot_on_the_allow_list_commands_nothing(pull: PullRequest, settings: Settings) -> None:
    settings.KODIAI_BOT_ALLOW_LIST = ["renovate"]
    said = [say(pull, f"@kodiai {word}", by="renovate[bot]") for word in ("help", "review", "pause")]

    assert {delivery.ignore_reason for delivery in said} == {IgnoreReason.BOT_SENDER}


# pause and resume


def test_a_paused_pull_request_is_reviewed_only_on_request(pull: PullRequest, repo: Repository) -> None:
    paused = run(say(pull, "@kodiai pause"))
    assert (paused.conclusion, paused.conclusion_reason) == (Conclusion.SKIPPED, "paused by mona")
    assert reactions(pull.comments[0]) == {"total_count": 2, "eyes": 1, "+1": 1}

    skipped = push_and_review(pull)
    assert skipped.conclusion == Conclusion.SKIPPED
    assert skipped.conclusion_reason == "paused by mona; `@kodiai resume` ends the pause"
    assert skipped.enriched_at is None
    assert not RateLimitEvent.objects.exists()
    assert (pull.reviews, only_check_run(pull)["conclusion"]) == ([], "skipped")
    other = repo.open_pull_request(changes={"more.py": "import sys\n"}, author="mona")
    assert run(admit(other)).conclusion == Conclusion.SUCCESS

    assert run(say(pull, "@kodiai review")).conclusion == Conclusion.SUCCESS
    assert push_and_review(pull, AFTER + "\n\nmore = 1\n").conclusion == Conclusion.SKIPPED

    assert run(say(pull, "@kodiai resume", by="octocat")).conclusion_reason == "resumed by octocat"
    assert push_and_review(pull, AFTER + "\n\nmore = 2\n").conclusion == Conclusion.SUCCESS
    assert answers(pull) == []


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


def test_an_ignored_finding_is_counted_in_all_of_its_repository(
    github: Sandbox, pull: PullRequest, repo: Repository
) -> None:
    run(admit(pull))
    review = run(say(pull, "@kodiai ignore", to=thread_on(pull, "F401")))
    other = repo.open_pull_request(changes={"more.py": "import os\nimport sys\n"}, author="mona")
    elsewhere = github.create_repository("octo/other").open_pull_request(changes={"a.py": "import os\n"}, author="mona")

    run(admit(other))
    run(admit(elsewhere))

    assert review.conclusion_reason == "F401 is ignored from now on, as requested"
    assert [comment["body"].count("`sys`") for comment in other.review_comments] == [1]
    assert "### Kodiai: 1 finding" in other.reviews[0]["body"]
    assert "1 finding ignored on request (`ignore`)." in other.reviews[0]["body"]
    assert len(elsewhere.review_comments) == 1, "and not in another one"


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


def test_commands_work_after_their_report_was_removed(pull: PullRequest) -> None:
    run(admit(pull))
    Delivery.objects.all().delete()
    run(say(pull, "@kodiai explain", to=thread_on(pull, "F401")))
    assert answers(pull)[0].startswith("Nothing more is known")
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

    answer = admin_client.post(f"/admin/reviews/ignoredfinding/{ignored.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    push_and_review(pull, AFTER + "\n\nmore = 1\n")

    assert "### Kodiai: 3 findings" in pull.reviews[0]["body"]
    assert not any(IGNORED in thread.first["body"] for thread in pull.threads)
    check_reported_once([pull])


# explain


def test_explain_shows_the_rule_and_how_to_suppress_it(pull: PullRequest, repo: Repository) -> None:
    run(admit(pull))
    run(say(pull, "@kodiai explain", to=thread_on(pull, "F401")))

    (answer,) = answers(pull)
    assert answer.startswith(f"**minor** · [`F401`]({F401}) `os` imported but unused")
    assert "reply `@kodiai ignore` here" in answer
    assert '`severities: {rules: {"F401": never}}` in `.kodiai.yml`' in answer
    assert "suggestion" not in answer
    # That line is valid configuration.
    line = answer.partition("in the whole repository: `")[2].partition("`")[0]
    repo.commit({".kodiai.yml": f"{line}\n"})
    push_and_review(pull)
    assert "1 finding suppressed by `.kodiai.yml`." in pull.reviews[0]["body"]


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
