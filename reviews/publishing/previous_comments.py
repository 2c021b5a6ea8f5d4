"""What Kodiai has said on a pull request, and how that stands to what it finds now: new, standing, gone.

GitHub's threads are the record of what was said on lines, each with its finding's fingerprint in a hidden marker. What
stood in a summary only is told by the reports of the runs that were published.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from django.db.models import Max
from django.utils import timezone

from reviews.exceptions import PostPending
from reviews.findings import FINGERPRINT, Finding, Report, by_severity, content_hash_of
from reviews.github.client import Client
from reviews.github.facts import MAX_POST_DURATION, POST_VISIBILITY_DELAY
from reviews.github.identity import app_login, is_app_login
from reviews.github.schemas import SubmittedReview
from reviews.github.threads import Thread
from reviews.models import Review
from reviews.publishing import author_tier
from reviews.publishing.grouping import Remark

MAX_REPORTS = 200
"""Earlier runs of a pull request whose reports are read, the latest."""

_NAME = re.compile(rf"([0-9a-f]{{{FINGERPRINT}}})(?:-([0-9]{{1,6}}))?")
_MARKER = re.compile(rf"<!-- kodiai:finding ({_NAME.pattern}(?: {_NAME.pattern})*) -->\s*\Z")
_REVIEW_MARKER = re.compile(r"<!-- kodiai:review [0-9a-f]{32} -->")
_REVIEW_MARKERS = re.compile(rf"(?:^{_REVIEW_MARKER.pattern}\s*)+\Z", re.MULTILINE)


@dataclass(frozen=True)
class PostedFinding:
    """A finding that a thread tells, which Kodiai began; it may tell several. `number` tells findings on equal lines of
    one file apart."""

    thread: Thread
    fingerprint: str
    number: int


@dataclass(frozen=True)
class PreviousComments:
    """What was said on a pull request, beside what was found now."""

    summary: SubmittedReview | None = None
    """The App's first review: its body is the one summary. None where there is none yet."""
    since: str = ""
    """The head commit of the run that was published last."""
    posted: tuple[PostedFinding, ...] = ()
    new: tuple[Finding, ...] = ()
    """Never said before, in no way, and to be said."""
    standing: tuple[tuple[Finding, PostedFinding], ...] = ()
    """Said on lines before, and found again."""
    gone: tuple[Finding, ...] = ()
    """Said before, on lines or in a summary, and surely not there any more."""
    gone_threads: tuple[Thread, ...] = ()
    """Threads of which nothing stands."""

    @property
    def standing_threads(self) -> list[tuple[Thread, Remark, str]]:
        """The threads of which something stands, with that and its marker."""
        by_thread: dict[int, list[tuple[Finding, PostedFinding]]] = defaultdict(list)
        for finding, one in sorted(self.standing, key=lambda pair: pair[0].start_line):
            by_thread[one.thread.comment_id].append((finding, one))
        threads = []
        for pairs in by_thread.values():
            first, *others = (finding for finding, _ in pairs)
            marker = finding_marker((one.fingerprint, one.number) for _, one in pairs)
            threads.append((pairs[0][1].thread, Remark(first, tuple(others)), marker))
        return threads


def finding_marker(told: Iterable[tuple[str, int]]) -> str:
    """The hidden end of a comment that tells which findings it is about: their fingerprints and numbers."""
    names = (f"{fingerprint}{f'-{number}' if number > 1 else ''}" for fingerprint, number in told)
    return f"<!-- kodiai:finding {' '.join(names)} -->"


def without_marker(body: str) -> tuple[str, str]:
    """A comment of Kodiai's without its hidden end, and that end."""
    found = _MARKER.search(body)
    return (body[: found.start()].rstrip(), found[0].rstrip()) if found else (body, "")


def resolved_by_us(thread: Thread) -> bool:
    # It is not documented whether an App's login comes with its `[bot]` here.
    login = thread.resolved_by.lower()
    return thread.resolved and login in (app_login(), app_login().removesuffix("[bot]"))


def review_markers(body: str) -> list[str]:
    """The markers of runs at the end of a review, each on a line of its own.

    Only the end counts: a file may have the name of a marker, and be named in a review.
    """
    found = _REVIEW_MARKERS.search(body)
    return _REVIEW_MARKER.findall(found[0]) if found else []


def is_followed_up(review: Review) -> bool:
    """Tell whether Kodiai has, or may have, reviewed this pull request before."""
    return review.others().filter(publishing_at__isnull=False).exists()


def read(client: Client, review: Review) -> PreviousComments:
    """Read the conversation and compare it with what the run found. GitHub is asked where there may be something.

    Raises `PostPending` where another run of the pull request may just have added to it.
    """
    report = Report.from_json(review.report)
    if not is_followed_up(review):
        return compare_with_posted(author_tier.report_for_author(review), posted=[], earlier=[])
    _wait_for_others(review)
    threads, reviews = client.threads_and_reviews(review.pr_number)
    own = [kept for kept in reviews if is_app_login(kept.author)]
    published = review.others().filter(published_at__isnull=False).order_by("-published_at")[:MAX_REPORTS]
    rows = list(published.values_list("head_sha", "report"))
    found = compare_with_posted(
        report,
        posted=list(posted_findings(threads)),
        earlier=[Report.from_json(stored) for _, stored in rows if stored is not None],
        summary=next((kept for kept in own if review_markers(kept.body or "")), None),
        since=rows[0][0] if rows else "",
    )
    return replace(
        found,
        new=author_tier.filter_for_author(review, found.new),
        gone=author_tier.filter_for_author(review, found.gone),
    )


def _wait_for_others(review: Review) -> None:
    """Raise `PostPending` while GitHub may yet show what another run has said: its worker died, or had no answer."""
    unknown = review.others().filter(publishing_at__isnull=False, published_at__isnull=True)
    latest = unknown.aggregate(latest=Max("publishing_at"))["latest"]
    if latest is not None and (until := latest + MAX_POST_DURATION + POST_VISIBILITY_DELAY) > timezone.now():
        raise PostPending(until)


def compare_with_posted(
    report: Report,
    posted: Sequence[PostedFinding],
    earlier: Sequence[Report],
    summary: SubmittedReview | None = None,
    since: str = "",
) -> PreviousComments:
    """Tell what of a report is new, and what stands and is gone of what was said. `earlier` begins with the latest."""
    standing, unsaid, left_over = _paired(report, posted)
    # What summaries alone have told: findings of earlier reports, without those that have a thread.
    told = Counter[str]()
    last: dict[str, Finding] = {}
    for before in earlier:
        known = {finding.fingerprint: finding for finding in before.findings if finding.fingerprint}
        told |= Counter(finding.fingerprint for finding in before.findings if finding.fingerprint)
        last = known | last
    in_summaries = told - Counter(one.fingerprint for one in posted)
    moved_away = Counter[str]()
    for fingerprint, times in in_summaries.items():
        if not report.changes(last[fingerprint].path):
            moved_away[content_hash_of(fingerprint)] += times
    new = []
    for finding in unsaid:
        if in_summaries[finding.fingerprint] > 0:
            in_summaries[finding.fingerprint] -= 1
        elif moved_away[finding.content_hash] > 0:
            moved_away[finding.content_hash] -= 1
        else:
            new.append(finding)
    now = Counter(finding.fingerprint for finding in report.findings)
    content_hashes = {finding.content_hash for finding in report.findings}
    gone = [
        last[fingerprint]
        for fingerprint in told - now
        if report.is_sure_of(last[fingerprint].path)
        and not (last[fingerprint].content_hash in content_hashes and not report.changes(last[fingerprint].path))
        and last[fingerprint].content_hash not in report.ignored
    ]
    standing_threads = {one.thread.comment_id for _, one in standing}
    gone_threads = {
        one.thread.comment_id: one.thread
        for one in left_over
        if one.thread.comment_id not in standing_threads and report.is_sure_of(one.thread.path)
    }
    return PreviousComments(
        summary=summary,
        since=since,
        posted=tuple(posted),
        new=tuple(by_severity(new)),
        standing=tuple(standing),
        gone=tuple(gone),
        gone_threads=tuple(gone_threads.values()),
    )


def marked(remarks: Iterable[Remark], posted: Iterable[PostedFinding]) -> list[tuple[Remark, str]]:
    """Give each remark the marker of its comment, with a number for each finding that tells it from equal ones of its
    file that were said before, or are said too."""
    last = Counter[str]()
    for one in posted:
        last[one.fingerprint] = max(last[one.fingerprint], one.number)
    with_markers = []
    for remark in remarks:
        told = []
        for finding in remark.findings:
            last[finding.fingerprint] += 1
            told.append((finding.fingerprint, last[finding.fingerprint]))
        with_markers.append((remark, finding_marker(told)))
    return with_markers


def _paired(
    report: Report, posted: Iterable[PostedFinding]
) -> tuple[list[tuple[Finding, PostedFinding]], list[Finding], list[PostedFinding]]:
    """Pair findings with what threads say; return the pairs, what no thread says, and what is left over of theirs.

    Of equal findings on equal lines those that stand on a thread's line come first, so that what was fixed is what is
    left over. Then by fingerprint; then what is found in another file, where its own is gone from the pull request.
    """
    left: dict[str, list[PostedFinding]] = defaultdict(list)
    for one in sorted(posted, key=_readiness):
        left[content_hash_of(one.fingerprint)].append(one)
    rules: tuple[Callable[[Finding, PostedFinding], bool], ...] = (
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
            candidates = left.get(finding.content_hash, [])
            found = next((one for one in candidates if is_said_by(finding, one)), None)
            if found is None:
                still.append(finding)
            else:
                candidates.remove(found)
                pairs.append((finding, found))
        unsaid = still
    return pairs, unsaid, [one for candidates in left.values() for one in candidates]


def _readiness(one: PostedFinding) -> tuple[int, int]:
    """Threads that are open first, then those that a person resolved, then Kodiai's own; oldest first."""
    return (0 if not one.thread.resolved else 2 if resolved_by_us(one.thread) else 1, one.thread.comment_id)


def posted_findings(threads: Iterable[Thread]) -> Iterable[PostedFinding]:
    """Those of a pull request's threads that Kodiai began."""
    for thread in threads:
        if is_app_login(thread.author) and (found := _MARKER.search(thread.body)):
            yield from (PostedFinding(thread, name[1], int(name[2] or 1)) for name in _NAME.finditer(found[1]))


def findings_of(review: Review, told: Iterable[PostedFinding]) -> dict[str, Finding | None]:
    """What threads of the pull request are about, by gist, as the latest report of another run that has it tells."""
    findings: dict[str, Finding | None] = {content_hash_of(one.fingerprint): None for one in told}
    runs = review.others().filter(report__isnull=False).order_by("-pk")
    for stored in runs.values_list("report", flat=True)[:MAX_REPORTS]:
        for finding in Report.from_json(stored).findings:
            if finding.content_hash in findings:
                findings[finding.content_hash] = findings[finding.content_hash] or finding
    return findings
