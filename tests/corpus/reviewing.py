"""Lets Kodiai review a pull request of the corpus, and keeps all that is to be judged about it as plain values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reviews.findings import Report
from sandbox import PullRequest, Sandbox
from tests.corpus.declarations import Declared
from tests.support.runs import admit, run

_HUNK = re.compile(rb"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
_SUGGESTION = re.compile(r"^(?P<fence>`{3,})suggestion\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Applied:
    """What becomes of a file when suggestions for it are committed: `after` was read back from the commit."""

    path: str
    which: str
    before: bytes
    after: bytes


@dataclass(frozen=True)
class Published:
    """The outcome of a run over a pull request of the corpus, and what git knows of it."""

    declared: Declared
    title: str
    head_sha: str
    conclusion: str
    reason: str
    body: str
    comments: tuple[Mapping[str, Any], ...]
    """As they were posted: path, line, side, start_line if there is one, body."""
    report: Report
    changed_files: int
    calls: tuple[tuple[str, int | None], ...]
    """Route and status of every call to GitHub."""
    heads: Mapping[str, bytes]
    """The files that are commented on, as they are at the head."""
    changed_lines: Mapping[str, frozenset[int]]
    """Path to the lines of the head that differ from the base, for the files with a finding. From git."""
    applied: tuple[Applied, ...]


def published(declared: Declared, github: Sandbox) -> Published:
    """Open the pull request and let Kodiai review it, as a worker does."""
    # An author like most: neither new nor of the core. Who is to be one or the other says so.
    github.merged_pull_requests["octo/demo", "mona"] = 4
    pull = declared.opened(github)
    github.reset_calls()
    action = "opened" if len(pull.commits) == 1 else "synchronize"
    review = run(admit(pull, action))
    calls = tuple((call.route, call.status) for call in github.calls)
    posted = pull.reviews[-1] if pull.reviews else {"body": "", "comments": []}
    report = Report.from_json(review.report) if review.report else Report()
    paths = sorted({finding.path for finding in report.findings})
    heads = {path: _at(pull, pull.head_sha, path) for path in paths}
    return Published(
        declared=declared,
        title=pull.title,
        head_sha=pull.head_sha,
        conclusion=str(review.conclusion),
        reason=review.conclusion_reason,
        body=posted["body"],
        comments=tuple(posted["comments"]),
        report=report,
        changed_files=len(pull.files()),
        calls=calls,
        heads=heads,
        changed_lines=dict(_changed_lines(pull, paths)),
        applied=tuple(_applied(pull, heads, posted["comments"])),
    )


def lines_of(comment: Mapping[str, Any]) -> range:
    """The lines that a comment stands on."""
    return range(comment.get("start_line", comment["line"]), comment["line"] + 1)


def suggestion_in(body: str) -> str | None:
    """The text that a comment offers to put in place of its lines, as GitHub reads it; None where it offers none."""
    found = _SUGGESTION.search(body)
    return found["text"] if found else None


def _at(pull: PullRequest, sha: str, path: str) -> bytes:
    return pull.repository.store.run("cat-file", "blob", f"{sha}:{path}")


def _changed_lines(pull: PullRequest, paths: Sequence[str]) -> Iterator[tuple[str, frozenset[int]]]:
    store = pull.repository.store
    base = store.run("merge-base", pull.base_sha, pull.head_sha).decode().strip()
    fields = iter(store.run("diff", "-z", "--name-status", "--find-renames", base, pull.head_sha).split(b"\0")[:-1])
    before: dict[str, str | None] = {}
    for letter in fields:
        old = next(fields).decode("utf-8", "replace")
        new = next(fields).decode("utf-8", "replace") if letter[:1] == b"R" else old
        before[new] = None if letter == b"A" else old
    for path in paths:
        if before[path] is None:
            yield path, frozenset(range(1, len(_at(pull, pull.head_sha, path).removesuffix(b"\n").split(b"\n")) + 1))
            continue
        patch = store.run("diff", "--unified=0", "--text", f"{base}:{before[path]}", f"{pull.head_sha}:{path}")
        hunks = [(int(start), int(count or 1)) for start, count in _HUNK.findall(patch)]
        yield path, frozenset(line for start, count in hunks for line in range(start, start + count))


def _applied(pull: PullRequest, heads: Mapping[str, bytes], comments: Sequence[Any]) -> Iterator[Applied]:
    """Commit each suggestion by itself, as one click does, and then all of a file, as a batch does."""
    store = pull.repository.store
    offered: dict[str, list[tuple[range, str]]] = {}
    for comment in comments:
        if (text := suggestion_in(comment["body"])) is not None:
            offered.setdefault(comment["path"], []).append((lines_of(comment), text))
    for path, ones in offered.items():
        apart = [one for index, one in enumerate(ones) if not any(_overlap(one, other) for other in ones[:index])]
        for batch in [*([one] for one in ones), *([apart] if len(apart) > 1 else [])]:
            text = _replaced(heads[path], batch)
            commit = store.commit(
                "suggestions", {path: text}, parent=pull.head_sha, message="Apply suggestions", author=pull.author
            )
            which = ", ".join(f"{lines.start}-{lines.stop - 1}" for lines, _ in batch)
            yield Applied(path, which, heads[path], _at(pull, commit, path))


def _overlap(one: tuple[range, str], other: tuple[range, str]) -> bool:
    return one[0].start < other[0].stop and other[0].start < one[0].stop


def _replaced(before: bytes, batch: Sequence[tuple[range, str]]) -> bytes:
    lines = before.split(b"\n")
    for place, text in sorted(batch, key=lambda one: -one[0].start):
        lines[place.start - 1 : place.stop - 1] = text.encode().split(b"\n")[:-1]
    return b"\n".join(lines)
