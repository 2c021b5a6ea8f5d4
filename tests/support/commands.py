"""Comments with commands, and what came of them."""

from typing import Any

from reviews.models import Review
from sandbox import PullRequest
from tests.support.runs import admit, run
from tests.support.shop import AFTER


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
