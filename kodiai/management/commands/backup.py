from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = """Back up every database of the installation into one file, which only its owner can read.

Kodiai may run meanwhile. Settings and the secret key are not in it: keep .env too. `manage.py restore` reads it."""
    # It needs the databases, and not an App that is configured.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="a file that does not exist yet")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        from kodiai import backups

        try:
            manifest = backups.write(file.absolute())
        except backups.BackupError as error:
            raise CommandError(str(error)) from error
        for alias, part in manifest.databases.items():
            self.stdout.write(f"{alias}: {part.engine}, {part.size:,} bytes, SHA-256 {part.sha256}")
        self.stdout.write(f"Backed up to {file}, {file.stat().st_size:,} bytes.")
