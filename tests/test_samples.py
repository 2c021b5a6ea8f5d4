"""README.md shows what Kodiai says, as it says it: `make samples` writes it anew, and here it is compared."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kodiai.demo.changes import DISCOUNTS, REFUSED_CARDS, SHOP
from sandbox import PullRequest, Sandbox
from telemetry.models import Conclusion
from tests.support.runs import admit, run

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- samples: written by `make samples` -->\n", "<!-- end of samples -->\n"
WRITE = bool(os.environ.get("KODIAI_TEST_WRITE_SAMPLES"))

_MARKER = re.compile(r"\n*<!-- kodiai:\w+ [0-9a-f-]+ -->")
# What differs from run to run is not shown: commits by their number.
_FIRST, _SECOND = "commit 1", "commit 2"


@pytest.mark.django_db
def test_the_samples_are_what_is_published(github: Sandbox) -> None:
    page = README.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    shown, end, after = rest.partition(END)
    assert begin, f"{README.name} has lost the place of the samples"
    assert end, f"{README.name} has lost the end of the samples"
    samples = "\n\n".join(_samples(github)) + "\n\n"
    if WRITE:
        README.write_text(before + BEGIN + samples + END + after, encoding="utf-8")
    else:
        assert shown == samples, "run `make samples`"


def _samples(github: Sandbox) -> Iterator[str]:
    github.merged_pull_requests["octo/shop", "mona"] = 4
    repository = github.create_repository("octo/shop", files=SHOP)
    pull = repository.open_pull_request(changes=DISCOUNTS, author="mona", author_association="CONTRIBUTOR")
    _review(pull, "opened")
    first, commits = pull.head_sha, {pull.head_sha: _FIRST}
    said_first = [_said(comment) for comment in pull.reviews[0]["comments"]]
    yield "**A first review:** a summary, and comments on the lines that were changed."
    yield _quoted(pull.reviews[0]["body"], commits)
    for path, line, body in said_first:
        yield _quoted(f"`{path}`, line {line}\n\n{body}", commits)

    mended = DISCOUNTS["shop/pricing.py"].replace("import json\n", "").replace("earnd", "earned")
    pull.push({"shop/pricing.py": mended, **REFUSED_CARDS})
    _review(pull, "synchronize")
    commits[pull.head_sha] = _SECOND
    yield "**After the next push:** two findings are mended, and the push brings new ones. Only these are said."
    yield _quoted(pull.reviews[1]["body"], commits)
    for path, line, body in map(_said, pull.reviews[1]["comments"]):
        yield _quoted(f"`{path}`, line {line}\n\n{body}", commits)
    yield "The one summary now says:"
    yield _quoted(pull.reviews[0]["body"], commits)
    gone = next(thread.first for thread in pull.threads if thread.first["body"].startswith("**Resolved**"))
    yield "And a comment whose finding is gone:"
    yield _quoted(gone["body"], commits)

    check_run = next(kept for kept in repository.check_runs if kept["head_sha"] != first)
    yield "**The check run** of the second commit, which branch protection can ask for:"
    yield _quoted(_check_run(check_run), commits)


def _review(pull: PullRequest, action: str) -> None:
    assert run(admit(pull, action)).conclusion == Conclusion.SUCCESS


def _said(comment: Mapping[str, Any]) -> tuple[str, int, str]:
    return comment["path"], comment["line"], comment["body"]


def _check_run(check_run: Mapping[str, Any]) -> str:
    output = check_run["output"]
    rows = [
        f"| {note['annotation_level']} | `{note['path']}:{note['start_line']}` | {note['title']}: {note['message']} |"
        for note in check_run["annotations"]
    ]
    table = ["| Annotation | Where | What |", "| --- | --- | --- |", *rows]
    return "\n\n".join(
        [
            f"**{check_run['name']}** · {check_run['conclusion']} · {output['title']}",
            output["summary"],
            "\n".join(table),
        ]
    )


def _quoted(markdown: str, commits: Mapping[str, str]) -> str:
    for sha, name in commits.items():
        markdown = markdown.replace(f"commit {sha[:12]}", name).replace(f"`{sha[:7]}`", name)
    return "\n".join(f"> {line}".rstrip() for line in _MARKER.sub("", markdown).split("\n"))
