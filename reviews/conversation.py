"""What Kodiai has said on a pull request, and how that stands to what it finds now: new, standing, gone.

GitHub's threads are the record of what was said on lines, each with its finding's fingerprint in a hidden marker. What
stood in a summary only is told by the reports of the runs that were published.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Max
from django.utils import timezone

from reviews.findings import FINGERPRINT, Finding, Report, gist_of
from reviews.github import Client, SubmittedReview, Thread
from reviews.models import LONGEST_POST, SETTLED_AFTER, NotSettled, Review
from reviews.payloads import app_login

MOST_REPORTS = 200
"""Earlier runs of a pull request whose reports are read, the latest."""

_MARKER = re.compile(rf"<!-- kodiai:finding ([0-9a-f]{{{FINGERPRINT}}})(?:-([0-9]{{1,6}}))? -->\s*\Z")
_REVIEW_MARKER = re.compile(r"<!-- kodiai:review [0-9a-f]{32} -->")
_REVIEW_MARKERS = re.compile(rf"(?:^{_REVIEW_MARKER.pattern}\s*)+\Z", re.MULTILINE)


@dataclass(frozen=True)
class Said:
    """A thread that Kodiai began. `number` tells comments on equal lines of one file apart."""

    thread: Thread
    fingerprint: str
    number: int

    @property
    def resolved_by_us(self) -> bool:
        # It is not documented whether an App's login comes with its `[bot]` here.
        login = self.thread.resolved_by.lower()
        return self.thread.resolved and login in (app_login(), app_login().removesuffix("[bot]"))


@dataclass(frozen=True)
class Conversation:
    """What was said on a pull request, beside what was found now."""

    summary: SubmittedReview | None = None
    """The App's first review: its body is the one summary. None where there is none yet."""
    since: str = ""
    """The head commit of the run that was published last."""
    said: tuple[Said, ...] = ()
    new: tuple[Finding, ...] = ()
    """Never said before, in no way."""
    standing: tuple[tuple[Finding, Said], ...] = ()
    """Said on lines before, and found again."""
    gone: tuple[Finding, ...] = ()
    """Said before, on lines or in a summary, and surely not there any more."""
    gone_threads: tuple[Said, ...] = ()


def finding_marker(fingerprint: str, number: int) -> str:
    """The hidden end of a comment that tells which finding it is about."""
    return f"<!-- kodiai:finding {fingerprint}{f'-{number}' if number > 1 else ''} -->"


def review_markers(body: str) -> list[str]:
    """The markers of runs at the end of a review, each on a line of its own.

    Only the end counts: a file may have the name of a marker, and be named in a review.
    """
    found = _REVIEW_MARKERS.search(body)
    return _REVIEW_MARKER.findall(found[0]) if found else []


def is_followed_up(review: Review) -> bool:
    """Tell whether Kodiai has, or may have, reviewed this pull request before."""
    return review.others().filter(publishing_at__isnull=False).exists()


def read(client: Client, review: Review) -> Conversation:
    """Read the conversation and compare it with what the run found. GitHub is asked where there may be something.

    Raises `NotSettled` where another run of the pull request may just have added to it.
    """
    report = Report.from_json(review.report)
    if not is_followed_up(review):
        return compared(report, said=[], earlier=[])
    _wait_for_others(review)
    threads, reviews = client.conversation(review.pr_number)
    own = [kept for kept in reviews if kept.user and kept.user.login.lower() == app_login()]
    published = review.others().filter(published_at__isnull=False).order_by("-published_at")[:MOST_REPORTS]
    rows = list(published.values_list("head_sha", "report"))
    return compared(
        report,
        said=list(said_in(threads)),
        earlier=[Report.from_json(stored) for _, stored in rows if stored is not None],
        summary=next((kept for kept in own if review_markers(kept.body or "")), None),
        since=rows[0][0] if rows else "",
    )


def _wait_for_others(review: Review) -> None:
    """Raise `NotSettled` while GitHub may yet show what another run has said: its worker died, or had no answer."""
    unknown = review.others().filter(publishing_at__isnull=False, published_at__isnull=True)
    latest = unknown.aggregate(latest=Max("publishing_at"))["latest"]
    if latest is not None and (until := latest + LONGEST_POST + SETTLED_AFTER) > timezone.now():
        raise NotSettled(until)


def compared(
    report: Report,
    said: Sequence[Said],
    earlier: Sequence[Report],
    summary: SubmittedReview | None = None,
    since: str = "",
) -> Conversation:
    """Tell what of a report is new, and what stands and is gone of what was said. `earlier` begins with the latest."""
    standing, unsaid, gone_threads = _paired(report, said)
    # What summaries alone have told: findings of earlier reports, without those that have a thread.
    told = Counter[str]()
    last: dict[str, Finding] = {}
    for before in earlier:
        known = {finding.fingerprint: finding for finding in before.findings if finding.fingerprint}
        told |= Counter(finding.fingerprint for finding in before.findings if finding.fingerprint)
        last = known | last
    in_summaries = told - Counter(one.fingerprint for one in said)
    moved_away = Counter[str]()
    for fingerprint, times in in_summaries.items():
        if not report.changes(last[fingerprint].path):
            moved_away[gist_of(fingerprint)] += times
    new = []
    for finding in unsaid:
        if in_summaries[finding.fingerprint] > 0:
            in_summaries[finding.fingerprint] -= 1
        elif moved_away[finding.gist] > 0:
            moved_away[finding.gist] -= 1
        else:
            new.append(finding)
    now = Counter(finding.fingerprint for finding in report.findings)
    gists = {finding.gist for finding in report.findings}
    gone = [
        last[fingerprint]
        for fingerprint in told - now
        if report.is_sure_of(last[fingerprint].path)
        and not (last[fingerprint].gist in gists and not report.changes(last[fingerprint].path))
        and last[fingerprint].gist not in report.ignored
    ]
    return Conversation(
        summary=summary,
        since=since,
        said=tuple(said),
        new=tuple(sorted(new, key=lambda finding: (finding.severity.rank, finding.path, finding.start_line))),
        standing=tuple(standing),
        gone=tuple(gone),
        gone_threads=tuple(one for one in gone_threads if report.is_sure_of(one.thread.path)),
    )


def numbered(findings: Iterable[Finding], said: Iterable[Said]) -> list[tuple[Finding, int]]:
    """Give each finding the number that tells it from equal ones of its file that were said before, or are said too."""
    last = Counter[str]()
    for one in said:
        last[one.fingerprint] = max(last[one.fingerprint], one.number)
    numbers = []
    for finding in findings:
        last[finding.fingerprint] += 1
        numbers.append((finding, last[finding.fingerprint]))
    return numbers


def _paired(report: Report, said: Iterable[Said]) -> tuple[list[tuple[Finding, Said]], list[Finding], list[Said]]:
    """Pair findings with the threads that say them; return the pairs, what no thread says, and threads left over.

    Of equal findings on equal lines those that stand on a thread's line come first, so that what was fixed is what is
    left over. Then by fingerprint; then what is found in another file, where its own is gone from the pull request.
    """
    left: dict[str, list[Said]] = defaultdict(list)
    for one in sorted(said, key=_readiness):
        left[gist_of(one.fingerprint)].append(one)
    rules: tuple[Callable[[Finding, Said], bool], ...] = (
        lambda finding, one: (
            (one.fingerprint, one.thread.path, one.thread.line) == (finding.fingerprint, finding.path, finding.end_line)
        ),
        lambda finding, one: one.fingerprint == finding.fingerprint,
        lambda finding, one: one.thread.path == finding.path or not report.changes(one.thread.path),
    )
    pairs = []
    unsaid = sorted(report.findings, key=lambda finding: (finding.path, finding.start_line))
    for is_said_by in rules:
        still = []
        for finding in unsaid:
            candidates = left.get(finding.gist, [])
            found = next((one for one in candidates if is_said_by(finding, one)), None)
            if found is None:
                still.append(finding)
            else:
                candidates.remove(found)
                pairs.append((finding, found))
        unsaid = still
    return pairs, unsaid, [one for candidates in left.values() for one in candidates]


def _readiness(one: Said) -> tuple[int, int]:
    """Threads that are open first, then those that a person resolved, then Kodiai's own; oldest first."""
    return (0 if not one.thread.resolved else 2 if one.resolved_by_us else 1, one.thread.comment_id)


def said_in(threads: Iterable[Thread]) -> Iterable[Said]:
    """Those of a pull request's threads that Kodiai began."""
    for thread in threads:
        if thread.author.lower() == app_login() and (found := _MARKER.search(thread.body)):
            yield Said(thread, found[1], int(found[2] or 1))
