import json
import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\[bot\])?")


class Command(BaseCommand):
    # It needs the tables, and not an App that is configured.
    requires_system_checks: list[str] = []
    help = """Export or erase what is held on one person, or on one installation of the App.

  manage.py personal_data export LOGIN             print each row as JSON Lines: {"table": …, "row": …}
  manage.py personal_data erase LOGIN              replace the login by [erased], everywhere
  manage.py personal_data erase --installation ID  replace logins and repositories' names, empty reports
  … erase … --dry-run                              only count

Erasing keeps rows, counts and the identities of deliveries, so nothing is acted on twice. Runs that wait or run are
left alone; then it exits 1: run it again when they have ended. It can be interrupted and repeated.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["export", "erase"])
        parser.add_argument("login", nargs="?", metavar="LOGIN", help="a login of GitHub, in any letter case")
        parser.add_argument("--installation", type=int, metavar="ID", help="GitHub's number of an installation")
        parser.add_argument("--dry-run", action="store_true", help="only count what would be erased")

    def handle(
        self, *args: Any, action: str, login: str | None, installation: int | None, dry_run: bool, **options: Any
    ) -> None:
        if (login is None) == (installation is None):
            raise CommandError("Give a LOGIN or --installation ID, one of them.")
        if login is not None and not LOGIN.fullmatch(login.removeprefix("@")):
            raise CommandError(f"{login[:100]!r} is not a login of GitHub: letters, digits, - and _, perhaps [bot].")
        if action == "export":
            if dry_run:
                raise CommandError("--dry-run is for erase: an export changes nothing.")
            self._export(login, installation)
        else:
            self._erase(login, installation, dry_run)

    def _export(self, login: str | None, installation: int | None) -> None:
        from reviews.maintenance.personal_data import Person, export_installation, export_person

        rows: Iterator[tuple[str, dict[str, Any]]]
        if login is not None:
            rows = export_person(Person(login.removeprefix("@")))
        else:
            rows = export_installation(installation or 0)
        for table, row in rows:
            self.stdout.write(json.dumps({"table": table, "row": row}, cls=DjangoJSONEncoder))

    def _erase(self, login: str | None, installation: int | None, dry_run: bool) -> None:
        from reviews.maintenance.personal_data import Person, erase_installation, erase_person

        console = Console(stderr=True)
        with Progress(SpinnerColumn(), TextColumn("{task.completed} rows"), console=console, transient=True,
                      disable=not console.is_terminal) as bar:  # fmt: skip
            task = bar.add_task("", total=None)

            def progress(rows: int) -> None:
                bar.advance(task, rows)

            if login is not None:
                outcome = erase_person(Person(login.removeprefix("@")), dry_run=dry_run, progress=progress)
            else:
                outcome = erase_installation(installation or 0, dry_run=dry_run, progress=progress)
        done = "would be erased" if dry_run else "erased"
        for column, count in sorted(outcome.changed.items()):
            self.stdout.write(f"{column}: {count} {done}")
        if not outcome.changed:
            self.stdout.write("Nothing to erase.")
        for number in outcome.installations:
            self.stdout.write(
                f"Names of repositories of {login} stay: `personal_data erase --installation {number}` erases them."
            )
        if outcome.unfinished:
            raise CommandError(
                f"Deliveries that wait or run, and were left: {outcome.unfinished}. "
                "Run the command again when they have ended."
            )
