"""Follow what becomes of published findings, from the reports of the runs that come after.

A run's report is read once, a minute after its end. Which findings are fixed is decided as in the summary of a
follow-up (`reviews.publishing.previous_comments`).
"""

import time
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from reviews.findings import Finding, Report, content_hash_of
from reviews.maintenance.tallies import LAG, ROUND_SECONDS
from reviews.models import CountedUntil, ReportedFinding, Review

SOURCE = "findings"
MAX_RUNS = 20
"""Runs of one transaction. A report may have hundreds of findings."""


def follow_findings(seconds: float = ROUND_SECONDS) -> None:
    """Read the reports of the runs that have ended since the last round. Start nothing more after `seconds`."""
    deadline = time.monotonic() + seconds
    while _follow_next() and time.monotonic() < deadline:
        pass


def remove_before(moment: datetime) -> None:
    """Remove what was reported before a time."""
    ReportedFinding.objects.filter(reported_at__lt=moment).delete()


def _follow_next() -> bool:
    """Read some reports; return whether there are more."""
    since = CountedUntil.of(SOURCE)
    until = timezone.now() - LAG
    runs = Review.objects.filter(finished_at__gt=since, finished_at__lte=until).order_by("finished_at", "pk")
    last = runs.values_list("finished_at", flat=True)[MAX_RUNS - 1 : MAX_RUNS].first()
    if last is not None:
        runs, until = runs.filter(finished_at__lte=last), last
    published = runs.filter(published_at__isnull=False, report__isnull=False, pr_number__isnull=False)
    with transaction.atomic():
        if not CountedUntil.objects.filter(source=SOURCE, moment=since).update(moment=until):
            return False
        for run in published.defer("config"):
            _follow(run, Report.from_json(run.report))
    return last is not None


def _follow(run: Review, report: Report) -> None:
    moment = run.published_at or timezone.now()
    before = {row.fingerprint: row for row in ReportedFinding.objects.filter(run.of_repository, pr_number=run.number)}
    now = {finding.fingerprint: finding for finding in report.findings if finding.fingerprint}
    new = [_row(run, finding, moment) for fingerprint, finding in now.items() if fingerprint not in before]
    ReportedFinding.objects.bulk_create(new, ignore_conflicts=True)
    back = [row.pk for row in before.values() if row.fixed_at is not None and row.fingerprint in now]
    content_hashes = {finding.content_hash for finding in report.findings}
    fixed = [
        row.pk
        for row in before.values()
        if row.fixed_at is None and row.fingerprint not in now and _is_fixed(row, report, content_hashes)
    ]
    ReportedFinding.objects.filter(pk__in=back).update(fixed_at=None)
    ReportedFinding.objects.filter(pk__in=fixed).update(fixed_at=moment)


def _is_fixed(row: ReportedFinding, report: Report, content_hashes: set[str]) -> bool:
    content_hash = content_hash_of(row.fingerprint)
    moved = content_hash in content_hashes and not report.may_change(row.path)
    return report.is_resolved(row.path, row.fingerprint, row.engine) and not moved


def _row(run: Review, finding: Finding, moment: datetime) -> ReportedFinding:
    return ReportedFinding(
        repo=run.repo,
        repo_id=run.repo_id,
        pr_number=run.number,
        fingerprint=finding.fingerprint,
        engine=finding.engine[:100],
        rule=finding.rule[:100],
        severity=finding.severity,
        path=finding.path,
        reported_at=moment,
    )
