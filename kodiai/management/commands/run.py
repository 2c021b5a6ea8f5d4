import os
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from kodiai.supervisor import Supervisor


class Command(BaseCommand):
    help = "Start web, workers and periodic tasks together: what `make run` does. SIGHUP replaces them without a gap."
    # Shown by this command itself, and no reason not to start: without a secret the intake answers 503.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"), help="default: HOST or %(default)s")
        parser.add_argument(
            "--port", type=int, default=int(os.environ.get("PORT", "8000")), help="default: PORT or %(default)s"
        )
        parser.add_argument("--workers", type=int, default=settings.KODIAI_WORKERS, help="default: KODIAI_WORKERS or 1")

        parser.add_argument("--prepare", action="store_true", help="only bring the databases up to date, then end")

    def handle(self, *args: Any, host: str, port: int, workers: int, prepare: bool, **options: Any) -> None:
        for message in checks.run_checks():
            self.stderr.write(self.style.ERROR(str(message)))
        for alias in settings.DATABASES:
            # A legacy telemetry file at that address is adopted in place.
            call_command("migrate", database=alias, fake_initial=True, interactive=False, verbosity=0, skip_checks=True)
        if prepare:
            return
        failed = CommandError(f"The web server could not be started on {host}:{port}. Is the port in use?")
        try:
            supervisor = Supervisor(host=host, port=port, workers=workers)
        except OSError as error:
            raise failed from error
        if not supervisor.run():
            raise failed
