import json
from argparse import RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from telemetry.ranges import beginning
from telemetry.verification import Check, Status, verdict


class Command(BaseCommand):
    # It needs the tables, and not an App that is configured.
    requires_system_checks: list[str] = []
    help = """Prove that telemetry is complete and true, as before a release. Prints a verdict with its evidence.

Every finished run has its rows, none has two, values are in range, the first write of a row stands, degraded reviews
say so and only they do, the Search cache holds. Nothing is changed. If the App is configured, at most 40 published
reviews are read on GitHub.

Exits 0 if all of it holds, 1 if anything is violated, 2 if there is not enough data to tell. Pending rows are not
violations.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", metavar="7d|DATE", help="only runs and rows since then; default: all")
        parser.add_argument("--json", action="store_true", help="print verdict and evidence as JSON")
        parser.add_argument("--offline", action="store_true", help="do not read published reviews on GitHub")

    def handle(self, *args: Any, since: str | None, offline: bool, **options: Any) -> None:
        from reviews.maintenance.verification import verify

        try:
            start = None if since is None else beginning(since, timezone.now())
        except ValueError as error:
            raise CommandError(f"--since: {error}.", returncode=Status.NOT_ENOUGH_DATA.exit_code) from error
        ask_github = bool(settings.KODIAI_GITHUB_APP_ID and settings.KODIAI_GITHUB_PRIVATE_KEY) and not offline
        try:
            checks = verify(start, ask_github=ask_github)
        except DatabaseError as error:
            raise CommandError(
                f"The database cannot be read, so nothing is proved: {error}",
                returncode=Status.NOT_ENOUGH_DATA.exit_code,
            ) from error
        result = verdict(checks)
        if options["json"]:
            document = {
                "verdict": result,
                "since": start and start.isoformat(),
                "checks": [{**asdict(check), "status": check.status} for check in checks],
            }
            self.stdout.write(json.dumps(document, indent=2))
        else:
            for check in checks:
                self._show(check)
            self.stdout.write(f"Verdict: {result}")
        if result.exit_code:
            raise SystemExit(result.exit_code)

    def _show(self, check: Check) -> None:
        self.stdout.write(f"{check.status}: {check.claim}")
        for line in check.evidence:
            self.stdout.write(f"  {line}")
        for line in check.violations:
            self.stdout.write(f"  violated: {line}")
        if (more := check.violation_count - len(check.violations)) > 0:
            self.stdout.write(f"  … and {more:,} violations more")
