"""Commands in comments: what is answered, how often, and who may command."""

import pytest
from django.utils import timezone
from pytest_django import Settings

from reviews.commands import handlers
from reviews.commands.handlers import marker
from reviews.models import Command, CommandOutcome, DeliveryStatus, IgnoredFinding, IgnoreReason
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion, RateLimitEvent
from tests.support.commands import answers, push_and_review, reactions, thread_on
from tests.support.published import check_reported_once
from tests.support.runs import admit, kill_at, process, report_of, resume, run, say

pytestmark = pytest.mark.django_db


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
