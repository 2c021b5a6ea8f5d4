from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone


class Command(BaseCommand):
    help = "Remove telemetry rows that are older than a number of days, for good. Reviews and deliveries stay."

    # Not the URL configuration, which takes a second to import.
    requires_system_checks = ["kodiai"]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than", type=days, required=True, metavar="DAYS", help="180 or 180d; 1 or more")
        parser.add_argument("--dry-run", action="store_true", help="only say how many rows that would be")

    def handle(self, *args: Any, older_than: int, dry_run: bool, **options: Any) -> None:
        from telemetry.retention import count_older, count_unreadable, purge

        if older_than < 1:
            raise CommandError("--older-than takes a number of days, 1 or more.")
        try:
            before = timezone.now() - timedelta(days=older_than)
        except OverflowError as error:
            raise CommandError("--older-than takes fewer days: those reach back to before the year 1.") from error
        if dry_run:
            count = count_older(before)
            rows = "1 row is" if count == 1 else f"{count} rows are"
            self.stdout.write(f"{rows} older than {older_than} days. Nothing was removed.")
        else:
            count = purge(before)
            rows, were = ("row", "was") if count == 1 else ("rows", "were")
            self.stdout.write(f"{count} {rows} older than {older_than} days {were} removed.")
        if unreadable := count_unreadable():
            self.stdout.write(f"Rows with a time that cannot be read, which are kept: {unreadable}.")


def days(text: str) -> int:
    return int(text.removesuffix("d"))
