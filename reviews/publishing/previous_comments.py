"""Compare a run's findings with what was posted on the pull request before: new, existing and resolved findings.

GitHub's threads are the record of inline comments: each ends with a hidden marker that holds the fingerprints of its
findings. Findings that were only listed in a summary are read from the reports of published runs.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.models import Max
from django.utils import timezone

from reviews.exceptions import PostPending
from reviews.findings import FINGERPRINT_LENGTH, Finding, Report, content_hash_of, worth_a_line
from reviews.github.client import Client
from reviews.github.facts import MAX_POST_DURATION, POST_VISIBILITY_DELAY
from reviews.github.identity import is_app_login
from reviews.github.schemas import SubmittedReview
from reviews.github.threads import Thread
from reviews.models import Review
from reviews.publishing import author_tier
from reviews.publishing.grouping import Remark

MAX_REPORTS = 200
"""Earlier runs of a pull request whose reports are read, latest first."""

_NAME = re.compile(rf"([0-9a-f]{{{FINGERPRINT_LENGTH}}})(?:-([0-9]{{1,6}}))?")
_MARKER = re.compile(rf"<!-- kodiai:finding ({_NAME.pattern}(?: {_NAME.pattern})*) -->\s*\Z")
_REVIEW_MARKER = re.compile(r"<!-- kodiai:review [0-9a-f]{32} -->")
_REVIEW_MARKERS = re.compile(rf"(?:^{_REVIEW_MARKER.pattern}\s*)+\Z", re.MULTILINE)


@dataclass(frozen=True)
class PostedFinding:
    """A finding in a thread that Kodiai started; a thread may have several.

    `number` distinguishes equal findings on equal lines of one file.
    """

    thread: Thread
    fingerprint: str
    number: int


@dataclass(frozen=True)
class PreviousComments:
    """What was posted on a pull request, compared with the findings of this run."""

    summary: SubmittedReview | None = None
    """The App's first review: its body is the one summary. None if there is none yet."""
    since: str = ""
    """The head commit of the latest published run."""
    posted: tuple[PostedFinding, ...] = ()
    new: tuple[Finding, ...] = ()
    """Findings that were never reported before and should be reported."""
    existing: tuple[tuple[Finding, PostedFinding], ...] = ()
    """Findings that have a thread already."""
    resolved: tuple[Finding, ...] = ()
    """Findings that were reported before, on lines or in a summary, and are certainly not there any more."""
    threads_to_resolve: tuple[Thread, ...] = ()
    """Threads all of whose findings are resolved."""

    @property
    def existing_threads(self) -> list[tuple[Thread, Remark, str]]:
        """Threads with existing findings: the thread, these findings and their marker."""
        by_thread: dict[int, list[tuple[Finding, PostedFinding]]] = defaultdict(list)
        for finding, posted in sorted(self.existing, key=lambda pair: pair[0].start_line):
            by_thread[posted.thread.comment_id].append((finding, posted))
        threads = []
        for pairs in by_thread.values():
            first, *others = (finding for finding, _ in pairs)
            marker = finding_marker((posted.fingerprint, posted.number) for _, posted in pairs)
            threads.append((pairs[0][1].thread, Remark(first, tuple(others)), marker))
        return threads


def finding_marker(findings: Iterable[tuple[str, int]]) -> str:
    """The hidden end of a comment: the fingerprints and numbers of its findings."""
    names = (f"{fingerprint}{f'-{number}' if number > 1 else ''}" for fingerprint, number in findings)
    return f"<!-- kodiai:finding {' '.join(names)} -->"


def without_marker(body: str) -> tuple[str, str]:
    """Split a comment of Kodiai's into its visible text and its marker."""
    found = _MARKER.search(body)
    return (body[: found.start()].rstrip(), found[0].rstrip()) if found else (body, "")


def resolved_by_app(thread: Thread) -> bool:
    """Return whether the App itself resolved a thread."""
    return thread.resolved and is_app_login(thread.resolved_by)


def review_markers(body: str) -> list[str]:
    """The run markers at the end of a review, each on a separate line.

    Markers elsewhere do not count: a file may be named like a marker and appear in a review.
    """
    found = _REVIEW_MARKERS.search(body)
    return _REVIEW_MARKER.findall(found[0]) if found else []


def may_have_posted_before(review: Review) -> bool:
    """Return whether Kodiai has, or may have, reviewed this pull request before."""
    return review.others().filter(publishing_at__isnull=False).exists()


def read(client: Client, review: Review) -> PreviousComments:
    """Read the conversation on GitHub, if there may be any, and compare it with the findings of the run.

    Raises `PostPending` if another run of the pull request may just have posted.
    """
    report = Report.from_json(review.report)
    if not may_have_posted_before(review):
        return compare_with_posted(author_tier.report_for_author(review), posted=[], earlier=[])
    _wait_for_others(review)
    threads, reviews = client.threads_and_reviews(review.number)
    own = [submitted for submitted in reviews if is_app_login(submitted.author)]
    published = review.others().filter(published_at__isnull=False).order_by("-published_at")[:MAX_REPORTS]
    rows = list(published.values_list("head_sha", "report"))
    comparison = compare_with_posted(
        report,
        posted=list(posted_findings(threads)),
        earlier=[Report.from_json(stored) for _, stored in rows if stored is not None],
        summary=next((submitted for submitted in own if review_markers(submitted.body or "")), None),
        since=rows[0][0] if rows else "",
    )
    return replace(
        comparison,
        new=author_tier.filter_for_author(review, comparison.new),
        resolved=author_tier.filter_for_author(review, comparison.resolved),
    )


def _wait_for_others(review: Review) -> None:
    """Raise `PostPending` while a post of another run may still appear on GitHub: its outcome is unknown."""
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
    """Compare a report with posted findings and with the reports of earlier published runs, latest first."""
    existing, without_thread, unmatched = _match_threads(report, posted)
    reported, latest = _reported_before(earlier)
    in_summaries_only = reported - Counter(one.fingerprint for one in posted)
    new = _drop_reported(report, without_thread, in_summaries_only, latest)
    return PreviousComments(
        summary=summary,
        since=since,
        posted=tuple(posted),
        new=tuple(worth_a_line(new)),
        existing=tuple(existing),
        resolved=tuple(_resolved_findings(report, reported, latest)),
        threads_to_resolve=tuple(_resolved_threads(report, existing, unmatched, latest)),
    )


def _match_threads(
    report: Report, posted: Iterable[PostedFinding]
) -> tuple[list[tuple[Finding, PostedFinding]], list[Finding], list[PostedFinding]]:
    """Match findings with posted findings; return the pairs, findings without a thread, and unmatched posted findings.

    Of equal findings on equal lines, those on the line of a thread match first, so that the fixed ones stay unmatched.
    Then findings match by fingerprint; then across files, if the thread's file is no longer part of the pull request.
    """
    left: dict[str, list[PostedFinding]] = defaultdict(list)
    for one in sorted(posted, key=_match_order):
        left[content_hash_of(one.fingerprint)].append(one)
    rules: tuple[Callable[[Finding, PostedFinding], bool], ...] = (
        lambda finding, one: (
            (one.fingerprint, one.thread.path, one.thread.line) == (finding.fingerprint, finding.path, finding.end_line)
        ),
        lambda finding, one: one.fingerprint == finding.fingerprint,
        lambda finding, one: one.thread.path == finding.path or not report.may_change(one.thread.path),
    )
    pairs = []
    unmatched = sorted(report.findings, key=lambda finding: (finding.path, finding.start_line))
    for matches in rules:
        still_unmatched = []
        for finding in unmatched:
            candidates = left.get(finding.content_hash, [])
            found = next((one for one in candidates if matches(finding, one)), None)
            if found is None:
                still_unmatched.append(finding)
            else:
                candidates.remove(found)
                pairs.append((finding, found))
        unmatched = still_unmatched
    return pairs, unmatched, [one for candidates in left.values() for one in candidates]


def _match_order(one: PostedFinding) -> tuple[int, int]:
    """Open threads first, then those that a person resolved, then those that Kodiai resolved; oldest first."""
    return (0 if not one.thread.resolved else 2 if resolved_by_app(one.thread) else 1, one.thread.comment_id)


def _reported_before(earlier: Iterable[Report]) -> tuple[Counter[str], dict[str, Finding]]:
    """By fingerprint: how many findings one report had at most, and the latest of them."""
    counts = Counter[str]()
    latest: dict[str, Finding] = {}
    for report in earlier:
        known = {finding.fingerprint: finding for finding in report.findings if finding.fingerprint}
        counts |= Counter(finding.fingerprint for finding in report.findings if finding.fingerprint)
        latest = known | latest
    return counts, latest


def _drop_reported(
    report: Report, findings: Iterable[Finding], in_summaries: Counter[str], latest: Mapping[str, Finding]
) -> list[Finding]:
    """Drop findings that a summary has reported, also under another file name that the pull request no longer has."""
    left = Counter(in_summaries)
    moved = Counter[str]()
    for fingerprint, times in in_summaries.items():
        if not report.may_change(latest[fingerprint].path):
            moved[content_hash_of(fingerprint)] += times
    kept = []
    for finding in findings:
        if left[finding.fingerprint] > 0:
            left[finding.fingerprint] -= 1
        elif moved[finding.content_hash] > 0:
            moved[finding.content_hash] -= 1
        else:
            kept.append(finding)
    return kept


def _resolved_findings(report: Report, reported: Counter[str], latest: Mapping[str, Finding]) -> list[Finding]:
    """Findings that were reported before and are certainly resolved: neither missed, moved nor ignored."""
    current = Counter(finding.fingerprint for finding in report.findings)
    content_hashes = {finding.content_hash for finding in report.findings}

    def is_resolved(finding: Finding) -> bool:
        moved = finding.content_hash in content_hashes and not report.may_change(finding.path)
        return report.is_resolved(finding.path, finding.fingerprint, finding.engine) and not moved

    return [latest[fingerprint] for fingerprint in reported - current if is_resolved(latest[fingerprint])]


def _resolved_threads(
    report: Report,
    existing: Iterable[tuple[Finding, PostedFinding]],
    unmatched: Iterable[PostedFinding],
    latest: Mapping[str, Finding],
) -> Iterable[Thread]:
    """Threads without an existing finding, all of whose findings are gone or ignored."""
    unmatched = list(unmatched)
    engines = {fingerprint: finding.engine for fingerprint, finding in latest.items()}
    unsolved = {
        one.thread.comment_id
        for one in unmatched
        if not report.is_gone(one.thread.path, one.fingerprint, engines.get(one.fingerprint, ""))
    }
    still_open = {one.thread.comment_id for _, one in existing}
    resolved = {
        one.thread.comment_id: one.thread for one in unmatched if one.thread.comment_id not in still_open | unsolved
    }
    return resolved.values()


def with_markers(remarks: Iterable[Remark], posted: Iterable[PostedFinding]) -> list[tuple[Remark, str]]:
    """Pair each remark with the marker of its comment; equal findings of one file get different numbers."""
    last = Counter[str]()
    for one in posted:
        last[one.fingerprint] = max(last[one.fingerprint], one.number)
    marked = []
    for remark in remarks:
        names = []
        for finding in remark.findings:
            last[finding.fingerprint] += 1
            names.append((finding.fingerprint, last[finding.fingerprint]))
        marked.append((remark, finding_marker(names)))
    return marked


def posted_findings(threads: Iterable[Thread]) -> Iterable[PostedFinding]:
    """Yield the findings of threads that Kodiai started."""
    for thread in threads:
        if is_app_login(thread.author) and (found := _MARKER.search(thread.body)):
            yield from (PostedFinding(thread, name[1], int(name[2] or 1)) for name in _NAME.finditer(found[1]))


def findings_by_content_hash(review: Review, posted: Iterable[PostedFinding]) -> dict[str, Finding | None]:
    """Look up posted findings in the reports of other runs, latest first; None for those that no report has."""
    findings: dict[str, Finding | None] = {content_hash_of(one.fingerprint): None for one in posted}
    runs = review.others().filter(report__isnull=False).order_by("-pk")
    for stored in runs.values_list("report", flat=True)[:MAX_REPORTS]:
        for finding in Report.from_json(stored).findings:
            if finding.content_hash in findings:
                findings[finding.content_hash] = findings[finding.content_hash] or finding
    return findings
