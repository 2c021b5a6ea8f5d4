"""What the App has on GitHub, and what holds of it at any moment."""

import re
from collections.abc import Iterable
from typing import Any

from sandbox import PullRequest

MARKER = re.compile(r"^<!-- kodiai:review (\w+) -->$", re.MULTILINE)
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


def check_said_once(pulls: Iterable[PullRequest]) -> None:
    """No finding is said twice on the lines of a pull request, and there is one summary."""
    for pull in pulls:
        said = [FINDING.findall(comment["body"]) for comment in pull.review_comments]
        assert all(len(markers) == 1 for markers in said), "a comment without its marker"
        names = [name for markers in said for name in markers[0].split()]
        assert len(set(names)) == len(names), f"a finding that is said twice: {said}"
        summaries = [review for review in pull.reviews if review["body"].startswith("### Kodiai")]
        assert len(summaries) == bool(pull.reviews), f"{len(summaries)} summaries"
