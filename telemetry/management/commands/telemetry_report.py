from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.console import Console

from telemetry import report_formats, report_page
from telemetry.ranges import beginning
from telemetry.report import GROUPINGS, build


class Command(BaseCommand):
    # It needs the tables, and not an App that is configured.
    requires_system_checks: list[str] = []
    help = "Report rates, durations (p50, p95), limits of GitHub, conclusions, tokens and cost of the recorded runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--range", default="30d", metavar="24h|30d|DATE|all", help="up to now; default 30d")
        parser.add_argument("--by", choices=[*GROUPINGS], help="a line for each of these as well")
        parser.add_argument("--format", choices=["table", "json", "csv", "html"], default="table")

    def handle(self, *args: Any, by: str | None, **options: Any) -> None:
        now = timezone.now()
        try:
            since = None if options["range"] == "all" else beginning(options["range"], now)
        except ValueError as error:
            raise CommandError(f"--range: {error}, nor all.") from error
        report = build(since, now, by)
        if options["format"] == "table":
            console = Console(file=self.stdout, highlight=False)  # type: ignore[arg-type]  # it writes and flushes
            if not console.is_terminal:
                # In a pipe no line is wrapped at the width of a terminal that is not there.
                console.width = 400
            report_formats.show_table(console, report)
            return
        if report.is_empty:
            self.stderr.write(report_formats.empty_state(report))
        render = {"json": report_formats.as_json, "csv": report_formats.as_csv, "html": report_page.as_html}
        self.stdout.write(render[options["format"]](report), ending="\n" if options["format"] == "json" else "")
