"""What the App has on GitHub, and what holds of it at any moment."""

import re
from collections.abc import Iterable
from typing import Any

from sandbox import PullRequest

MARKER = re.compile(r"^<!-- kodiai:review (\w+) -->$", re.MULTILINE)
ANSWER = re.compile(r"<!-- kodiai:answer (\w+) -->\Z")
FINDING = re.compile(r"<!-- kodiai:finding ([\w -]+) -->\Z")


def app_reviews(pulls: Iterable[PullRequest]) -> dict[str, list[dict[str, Any]]]:
    """The reviews that the App has on GitHub, by marker. A summary has those of later runs that posted none."""
    found: dict[str, list[dict[str, Any]]] = {}
    for pull in pulls:
        for review in pull.reviews:
            markers = MARKER.findall(review["body"])
            assert markers, "a review without its marker"
            for marker in markers:
                found.setdefault(marker, []).append(review)
    return found


def app_answers(pulls: Iterable[PullRequest]) -> dict[str, list[dict[str, Any]]]:
    """What the App has answered to comments, by marker."""
    found: dict[str, list[dict[str, Any]]] = {}
    for pull in pulls:
        for comment in pull.comments:
            if comment["user"]["login"] == "kodiai[bot]":
                markers = ANSWER.findall(comment["body"])
                assert len(markers) == 1, "an answer without its marker"
                found.setdefault(markers[0], []).append(comment)
    return found


def check_reported_once(pulls: Iterable[PullRequest]) -> None:
    """Check that no finding is reported twice on a pull request, and that it has one summary."""
    for pull in pulls:
        begun = [comment for comment in pull.review_comments if "in_reply_to_id" not in comment]
        said = [FINDING.findall(comment["body"]) for comment in begun]
        assert all(len(markers) == 1 for markers in said), "a comment without its marker"
        names = [name for markers in said for name in markers[0].split()]
        assert len(set(names)) == len(names), f"a finding that is said twice: {said}"
        summaries = [review for review in pull.reviews if review["body"].startswith("### Kodiai")]
        assert len(summaries) == bool(pull.reviews), f"{len(summaries)} summaries"
