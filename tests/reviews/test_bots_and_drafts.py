"""Who wrote a pull request decides whether it is reviewed, and each head gets its check."""

from collections.abc import Callable

import pytest
from pytest_django import Settings

from reviews.models import DeliveryStatus, Review
from sandbox import PullRequest, Repository, Sandbox, add_comment
from telemetry.models import Conclusion, Execution
from tests.support.kill_points import Points
from tests.support.shop import AFTER, BEFORE
from tests.support.verdicts import receive, send, summary, verdict, work

pytestmark = pytest.mark.django_db

BOT = "renovate[bot]"


@pytest.fixture
def by_bot(repo: Repository) -> PullRequest:
    return repo.open_pull_request(changes={"shop.py": AFTER}, author=BOT)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("author", "sender", "allowed", "draft", "shown"),
    [
        ("mona", BOT, [], False, "neutral"),
        ("mona", "mona", [], False, "neutral"),
        (BOT, BOT, [], False, "skipped"),
        (BOT, "mona", [], False, "skipped"),
        (BOT, BOT, ["renovate"], False, "neutral"),
        (BOT, "mona", ["renovate[bot]"], False, "neutral"),
        (BOT, "dependabot[bot]", ["dependabot"], False, "skipped"),
        (BOT, BOT, ["renovate"], True, "skipped"),
        (BOT, BOT, [], True, "skipped"),
        ("mona", BOT, [], True, "skipped"),
    ],
)
def test_the_author_decides(
    repo: Repository, settings: Settings, author: str, sender: str, allowed: list[str], draft: bool, shown: str
) -> None:
    settings.KODIAI_BOT_ALLOW_LIST = allowed
    pull = repo.open_pull_request(changes={"shop.py": AFTER}, author=author, draft=draft)

    delivery = send(pull, "synchronize", sender=sender)

    assert (verdict(pull), len(pull.reviews)) == (shown, int(shown != "skipped"))
    assert delivery.status == DeliveryStatus.DONE
    if shown == "skipped":
        assert ("draft" if draft else "renovate") in summary(pull)


def test_a_person_may_ask_for_a_review_of_a_bots_changes(by_bot: PullRequest) -> None:
    send(by_bot, "opened")
    comment = add_comment(by_bot, "mona", "@kodiai review")
    send(by_bot, "created", "issue_comment", comment=comment)

    assert verdict(by_bot) == "neutral"
    by_bot.push({"shop.py": AFTER + "\n"})
    send(by_bot, "synchronize", sender=BOT)
    assert verdict(by_bot) == "skipped"
    send(by_bot, "review_requested", sender=BOT)
    assert verdict(by_bot) == "skipped", "a bot's request does not count"
    send(by_bot, "rerequested", "check_run", sender="mona")
    assert verdict(by_bot) == "neutral"


def test_a_draft_waits_until_it_is_ready(repo: Repository) -> None:
    """Converted while the run waits; pushed to; ready; and a draft again."""
    pull = repo.open_pull_request(changes={"shop.py": AFTER})
    receive(pull, "opened")
    pull.convert_to_draft()
    receive(pull, "converted_to_draft")
    work()
    assert {review.conclusion for review in Review.objects.all()} == {Conclusion.SKIPPED}
    assert (verdict(pull), pull.reviews) == ("skipped", [])
    pull.push({"shop.py": AFTER + "\n"})
    send(pull, "synchronize")
    assert (verdict(pull), pull.reviews) == ("skipped", [])
    send(pull, "created", "issue_comment", comment=add_comment(pull, "mona", "@kodiai review"))
    assert (verdict(pull), len(pull.reviews)) == ("neutral", 1), "who asks gets it reviewed"

    pull.ready_for_review()
    pull.push({"shop.py": AFTER + "\n\nmore = other\n"})
    send(pull, "ready_for_review")
    assert (verdict(pull), len(pull.reviews)) == ("neutral", 2)

    pull.convert_to_draft()
    send(pull, "converted_to_draft")
    assert verdict(pull) == "neutral", "the commit was reviewed"


def test_converted_right_before_it_is_published(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(pull, "opened")

    def convert() -> None:
        pull.convert_to_draft()
        receive(pull, "converted_to_draft")

    Points(monkeypatch).plan("analysed_at", convert)
    work()

    assert (verdict(pull), pull.reviews) == ("skipped", [])


@pytest.mark.parametrize("trick", ["draft", "closed"])
def test_triggers_are_no_way_around_the_review(repo: Repository, trick: str) -> None:
    """A draft that becomes ready, and a push to a closed pull request, of which GitHub sends no event."""
    repo.commit({".kodiai.yml": "triggers: {actions: [opened]}\ncheck: {fail_on: minor}\n"})
    pull = repo.open_pull_request(changes={"shop.py": BEFORE}, draft=trick == "draft")
    send(pull, "opened")
    pull.close() if trick == "closed" else pull.ready_for_review()
    pull.push({"shop.py": AFTER})
    pull.reopen()
    send(pull, "reopened" if trick == "closed" else "ready_for_review")
    assert verdict(pull) == "failure"

    send(pull, "reopened")
    assert (verdict(pull), Review.objects.latest("pk").conclusion) == ("failure", Conclusion.SKIPPED)


def test_a_skipped_run_respects_that_telemetry_is_off(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "telemetry: {enabled: false}\n"})
    send(repo.open_pull_request(changes={"shop.py": AFTER}, author=BOT), "opened")

    assert not Execution.objects.exists()


def test_a_closed_pull_request_answers_who_asks(pull: PullRequest) -> None:
    pull.close(merged=True)
    comment = add_comment(pull, "mona", "@kodiai review")
    delivery = send(pull, "created", "issue_comment", comment=comment)

    answer = pull.comments[-1]["body"]
    assert answer.startswith("Not reviewed: the pull request is merged, and only open pull requests are.")
    assert (delivery.status, delivery.review.conclusion) == (DeliveryStatus.DONE, Conclusion.SKIPPED)
    send(pull, "reopened")
    assert len(pull.comments) == 2, "nobody else asked"


def test_a_pull_request_closed_during_the_review_says_so(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(pull, "created", "issue_comment", comment=add_comment(pull, "mona", "@kodiai"))

    def close() -> None:
        pull.close()
        receive(pull, "closed")

    Points(monkeypatch).plan("analysed_at", close)
    work()

    assert [comment["body"].partition(",")[0] for comment in pull.comments[1:]] == [
        "Not reviewed: the pull request is closed"
    ]
    assert pull.reviews == []


# After each event the head commit answers whether the pull request may be merged


Event = Callable[[PullRequest], object]
Answer = str | None
"""Of the check run; None where another case has asked already."""


def event_of(action: str, event: str = "pull_request", change: Callable[[PullRequest], object] | None = None) -> Event:
    def happen(pull: PullRequest) -> None:
        if change is not None:
            change(pull)
        send(pull, action, event)

    return happen


def comment(text: str, by: str = "mona") -> Event:
    return lambda pull: send(pull, "created", "issue_comment", comment=add_comment(pull, by, text))


def push(changes: dict[str, str]) -> Event:
    return event_of("synchronize", change=lambda pull: pull.push(changes))


def close_and_reopen(pull: PullRequest) -> None:
    pull.close()
    send(pull, "closed")
    pull.reopen()
    send(pull, "reopened")


OPENED = event_of("opened")
DRAFT = event_of("converted_to_draft", change=PullRequest.convert_to_draft)
READY = event_of("ready_for_review", change=PullRequest.ready_for_review)
TO_DEV, TO_MAIN = (event_of("edited", change=lambda pull, base=base: pull.retarget(base)) for base in ("dev", "main"))  # type: ignore[misc]
PAUSE, RESUME, REVIEW, HELP = (comment(f"@kodiai {word}") for word in ("pause", "resume", "review", "help"))
STRANGER = comment("@kodiai pause", by="stranger")
RERUN, RERUN_ALL = event_of("rerequested", "check_run"), event_of("rerequested", "check_suite")
REQUESTED = event_of("review_requested")
MORE, MENDED = push({"shop.py": AFTER + "\n"}), push({"shop.py": BEFORE + "\n"})
FORCED = event_of("synchronize", change=lambda pull: pull.force_push({"shop.py": AFTER + "\n\n"}))
TITLE = event_of("edited", change=lambda pull: setattr(pull, "changes", {"title": {"from": "Old"}}))
LABEL = event_of("labeled")


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    "story",
    [
        [
            (OPENED, "failure"),
            (MORE, "failure"),
            (MENDED, "success"),
            (FORCED, "failure"),
            (close_and_reopen, "failure"),
        ],
        [(OPENED, "failure"), (TITLE, "failure"), (LABEL, "failure"), (HELP, "failure"), (REQUESTED, "failure")],
        [(OPENED, None), (RERUN, "failure"), (RERUN_ALL, "failure"), (STRANGER, "failure"), (MORE, "failure")],
        [(OPENED, None), (DRAFT, "failure"), (MORE, "skipped"), (READY, "failure")],
        [(OPENED, None), (DRAFT, None), (TO_DEV, "skipped"), (READY, "neutral")],
        [(OPENED, None), (DRAFT, None), (TO_DEV, None), (TO_MAIN, "failure")],
        [(OPENED, None), (TO_DEV, "neutral"), (TO_MAIN, "failure")],
        [(OPENED, None), (PAUSE, "failure"), (MORE, "skipped"), (close_and_reopen, "skipped"), (REVIEW, "failure")],
        [(OPENED, None), (PAUSE, None), (MORE, None), (RERUN, "failure")],
        [(OPENED, None), (PAUSE, None), (MORE, None), (RERUN_ALL, "failure")],
        [(OPENED, None), (PAUSE, None), (MORE, None), (RESUME, None), (MORE, "failure")],
        [(OPENED, None), (PAUSE, None), (TO_DEV, "skipped"), (TO_MAIN, "failure")],
        *([(event, "failure")] for event in (READY, MORE, REQUESTED, REVIEW)),
        [(TO_DEV, "neutral")],
        [(DRAFT, "skipped")],
    ],
)
@pytest.mark.parametrize("fork", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["branch", "fork"])
def test_every_event_leaves_an_answer(github: Sandbox, story: list[tuple[Event, Answer]], fork: bool) -> None:
    repo = github.create_repository("octo/demo", files={"shop.py": BEFORE})
    repo.roles["mona"] = "write"
    repo.branches["dev"] = repo.head_sha
    repo.commit({".kodiai.yml": "check: {fail_on: minor}\n"})
    pull = repo.open_pull_request(changes={"shop.py": AFTER}, fork=fork)
    for number, (happen, answer) in enumerate(story):
        happen(pull)
        assert answer in (None, verdict(pull)), f"after event {number}"
