import json
from argparse import RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from telemetry.import_sources import SourceUnreadable, open_source
from telemetry.importing import Outcome, Raced, import_table

MAX_SHOWN = 20


class Command(BaseCommand):
    # It needs the tables, and not an App that is configured.
    requires_system_checks: list[str] = []
    help = """Merge the telemetry of another database, or of an export, into this one. SOURCE is never written to:

  path or sqlite:///path     a SQLite file of the legacy system or of Kodiai
  postgresql://…             a database of the legacy system or of Kodiai
  path                       an export as JSON Lines or CSV, with the columns of the table

Run it again after an interruption, or as often as you like: what is here already is not stored twice. The first write
of an identity wins: a row that says something else is listed, and kept without the identity. Exits 1 if a row was
refused, because its values are out of range. Run one import at a time.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="SOURCE", help="a file, or the address of a database")
        parser.add_argument("--json", action="store_true", help="print the report as JSON, with all conflicts")

    def handle(self, *args: Any, source: str, **options: Any) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        outcomes = []
        try:
            with (
                open_source(source) as tables,
                Progress(*columns, console=console, disable=not console.is_terminal) as bar,
            ):
                if not tables:
                    raise CommandError("SOURCE holds no telemetry: neither rate_limit_events nor executions.")
                for table in tables:
                    task = bar.add_task(table.name, total=table.count)
                    outcomes.append(import_table(table, lambda rows, task=task: bar.advance(task, rows)))  # type: ignore[misc]
        except (SourceUnreadable, Raced) as error:
            raise CommandError(
                f"{error} What was imported until then stays; run the command again to go on."
            ) from error
        except KeyboardInterrupt as error:
            raise CommandError(
                "Stopped. What was imported until then stays; run the command again to go on.", returncode=130
            ) from error
        if options["json"]:
            self.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes], default=str))
        else:
            for outcome in outcomes:
                self._report(outcome)
        if refused := sum(outcome.refused for outcome in outcomes):
            raise CommandError(f"Rows not imported: {refused}. They stay in SOURCE; all others are stored.")

    def _report(self, outcome: Outcome) -> None:
        self.stdout.write(
            f"{outcome.table}: {outcome.read} read, {outcome.new} new, {outcome.equal} equal, "
            f"{outcome.conflicts} in conflict, {outcome.refused} refused"
        )
        if outcome.unreadable_times:
            self.stdout.write(f"  {outcome.unreadable_times} with an unreadable time, stored as of 1970-01-01")
        for conflict in outcome.listed_conflicts[:MAX_SHOWN]:
            differences = ", ".join(
                f"{name} {ours!r}, not {theirs!r}" for name, (ours, theirs) in conflict.differences.items()
            )
            self.stdout.write(
                f"  conflict, row {conflict.source_id}: {conflict.delivery_id} {conflict.event_type}: {differences}"
            )
        if outcome.conflicts > MAX_SHOWN:
            self.stdout.write(f"  … and {outcome.conflicts - MAX_SHOWN} conflicts more: --json lists them")
        for row, why in outcome.listed_refused[:MAX_SHOWN]:
            self.stdout.write(f"  refused, row {row}: {why}")
        if outcome.refused > MAX_SHOWN:
            self.stdout.write(f"  … and {outcome.refused - MAX_SHOWN} refused rows more: --json lists them")
