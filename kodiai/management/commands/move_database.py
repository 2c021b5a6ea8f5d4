import json
from argparse import RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kodiai.configuration.addresses import DatabaseAddress
from kodiai.configuration.kinds import Unreadable


class Command(BaseCommand):
    # It needs the databases, and not an App that is configured.
    requires_system_checks: list[str] = []
    help = """Move the installation from SQLite to PostgreSQL: every row, telemetry included, compared at the end.

Stop Kodiai first, web and workers. The target is an empty database; the source is not changed. After an interruption
run it again: it goes on where it stopped. It exits 0 only if every table is equal. Then set DATABASE_URL to the new
address, remove KODIAI_TELEMETRY_DATABASE_URL if that is SQLite, and start Kodiai.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", metavar="URL", help="postgresql://user:password@host/name")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, target: str, **options: Any) -> None:
        from kodiai import moving

        try:
            address = DatabaseAddress().parse(target)
        except Unreadable as unreadable:
            raise CommandError(f"URL {unreadable}.") from unreadable
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        tasks: dict[str, Any] = {}
        try:
            with Progress(*columns, console=console, disable=not console.is_terminal) as bar:

                def progress(what: str, done: int, total: int) -> None:
                    if what not in tasks:
                        tasks[what] = bar.add_task(what, total=total)
                    bar.update(tasks[what], completed=done)

                comparisons = moving.move(address, target, progress)
        except moving.MoveError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps([asdict(each) for each in comparisons]))
        else:
            for each in comparisons:
                same = f"equal, digest {each.digest[:16]}" if each.is_equal else f"DIFFERENT, {each.target_rows} there"
                self.stdout.write(f"{each.table}: {each.rows} rows, {same}")
        if different := [each.table for each in comparisons if not each.is_equal]:
            raise CommandError(
                f"Different: {', '.join(different)}. Was the target used since? If not, move to an empty database."
            )
        self.stdout.write(
            f"All {len(comparisons)} tables are equal. Now set DATABASE_URL to the target and start Kodiai."
        )
