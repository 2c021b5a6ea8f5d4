"""After each event the head commit answers whether the pull request may be merged."""

from collections.abc import Callable

import pytest

from sandbox import PullRequest, Sandbox, add_comment
from tests.support.shop import AFTER, BEFORE
from tests.support.verdicts import send, verdict

pytestmark = pytest.mark.django_db


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
