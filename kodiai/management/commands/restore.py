from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = """Restore a backup of `manage.py backup` into the configured databases, and migrate them.

Stop Kodiai first, web and workers. The file is checked whole before anything is changed. Afterwards start Kodiai and
request what came after the backup: `manage.py redeliver --since 3d`."""
    # The databases may be empty or broken, and an App need not be configured.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="a file that `manage.py backup` wrote")
        parser.add_argument("--replace", action="store_true", help="replace databases that are not empty")

    def handle(self, *args: Any, file: Path, replace: bool, **options: Any) -> None:
        from kodiai import backups

        try:
            manifest = backups.restore(file, replace=replace)
        except backups.BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Restored the backup of {manifest.created_at}, made by Kodiai {manifest.kodiai}.")
        self.stdout.write("Start Kodiai, then request what came later: manage.py redeliver --since 3d")
