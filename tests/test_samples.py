"""docs/samples.md and the pictures in docs/images show what is published. `make samples` writes them."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kodiai.demo.changes import DISCOUNTS, REFUSED_CARDS, SHOP
from sandbox import PullRequest, Sandbox
from telemetry.models import Conclusion
from tests.support import review_picture
from tests.support.runs import admit, run

SAMPLES = Path(__file__).parents[1] / "docs" / "samples.md"
WRITE = bool(os.environ.get("KODIAI_TEST_WRITE_SAMPLES"))
ABOUT = """\
# Samples

Two reviews of one pull request, as Kodiai publishes them. `make samples` writes this page and the pictures in the
README from reviews published in the sandbox; a test compares them. Commit hashes are replaced by numbers.
"""

# Two findings: a misspelt name, and a suggestion that replaces a line.
PICTURED = {
    "shop/pricing.py": DISCOUNTS["shop/pricing.py"]
    .replace("import json\n", "")
    .replace(", earned=[]):", "):\n    earned = []"),
    "shop/payments.py": REFUSED_CARDS["shop/payments.py"].replace(": %s %s", ": %s"),
}

_MARKER = re.compile(r"\n*<!-- kodiai:\w+ [0-9a-f-]+ -->")
# Hashes of commits differ from run to run.
_FIRST, _SECOND = "commit 1", "commit 2"


@pytest.mark.django_db
def test_the_samples_are_what_is_published(github: Sandbox) -> None:
    samples = "\n\n".join([ABOUT.rstrip(), *_samples(github)]) + "\n"
    if WRITE:
        SAMPLES.write_text(samples, encoding="utf-8")
    assert SAMPLES.read_text(encoding="utf-8") == samples, "run `make samples`"


@pytest.mark.django_db
@pytest.mark.parametrize("scheme", review_picture.SCHEMES)
def test_the_picture_is_what_is_published(github: Sandbox, scheme: str) -> None:
    pull = _reviewed(github, PICTURED)
    summary = _shown(pull.reviews[0]["body"], {pull.head_sha: _FIRST})
    html = review_picture.page(pull, summary, [thread.first for thread in pull.threads], scheme)
    picture = review_picture.file(scheme)
    if WRITE and not review_picture.is_picture_of(picture, html):
        if not review_picture.can_be_taken():
            pytest.skip(f"{picture.name} is out of date: install {review_picture.BROWSER}, then run `make samples`")
        review_picture.take(picture, html)
    assert review_picture.is_picture_of(picture, html), f"run `make samples`, which needs {review_picture.BROWSER}"


def _reviewed(github: Sandbox, changes: Mapping[str, str]) -> PullRequest:
    github.merged_pull_requests["octo/shop", "mona"] = 4
    pull = github.create_repository("octo/shop", files=SHOP).open_pull_request(
        title="Give volume discounts", changes=changes, author="mona", author_association="CONTRIBUTOR"
    )
    _review(pull, "opened")
    return pull


def _samples(github: Sandbox) -> Iterator[str]:
    pull = _reviewed(github, DISCOUNTS)
    first, commits = pull.head_sha, {pull.head_sha: _FIRST}
    yield "## The first review\n\nA summary, and comments on changed lines."
    yield _quoted(pull.reviews[0]["body"], commits)
    for comment in pull.reviews[0]["comments"]:
        yield _quoted_comment(comment, commits)

    fixed = DISCOUNTS["shop/pricing.py"].replace("import json\n", "").replace("earnd", "earned")
    pull.push({"shop/pricing.py": fixed, **REFUSED_CARDS})
    _review(pull, "synchronize")
    commits[pull.head_sha] = _SECOND
    yield "## After the next push\n\nThe push fixes two findings; only new ones are reported."
    yield _quoted(pull.reviews[1]["body"], commits)
    for comment in pull.reviews[1]["comments"]:
        yield _quoted_comment(comment, commits)
    yield "The summary is edited:"
    yield _quoted(pull.reviews[0]["body"], commits)
    resolved = next(thread.first for thread in pull.threads if thread.first["body"].startswith("**Resolved**"))
    yield "So is the comment of a fixed finding:"
    yield _quoted(resolved["body"], commits)

    check_run = next(kept for kept in pull.repository.check_runs if kept["head_sha"] != first)
    yield "## The check run\n\nOf the second commit. Branch protection can require it."
    yield _quoted(_check_run(check_run), commits)


def _review(pull: PullRequest, action: str) -> None:
    assert run(admit(pull, action)).conclusion == Conclusion.SUCCESS


def _check_run(check_run: Mapping[str, Any]) -> str:
    output = check_run["output"]
    rows = [
        f"| {note['annotation_level']} | `{note['path']}:{note['start_line']}` | {note['title']}: {note['message']} |"
        for note in check_run["annotations"]
    ]
    table = ["| Annotation | Line | Text |", "| --- | --- | --- |", *rows]
    return "\n\n".join(
        [
            f"**{check_run['name']}** · {check_run['conclusion']} · {output['title']}",
            output["summary"],
            "\n".join(table),
        ]
    )


def _shown(markdown: str, commits: Mapping[str, str]) -> str:
    """Return Markdown without its markers, and with numbers for the hashes of commits."""
    for sha, name in commits.items():
        markdown = markdown.replace(f"commit {sha[:12]}", name).replace(f"`{sha[:7]}`", name)
    return _MARKER.sub("", markdown)


def _quoted(markdown: str, commits: Mapping[str, str]) -> str:
    return "\n".join(f"> {line}".rstrip() for line in _shown(markdown, commits).split("\n"))


def _quoted_comment(comment: Mapping[str, Any], commits: Mapping[str, str]) -> str:
    return _quoted(f"`{comment['path']}`, line {comment['line']}\n\n{comment['body']}", commits)
