import os
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from kodiai.supervisor import Supervisor, why_not_listening


class Command(BaseCommand):
    help = "Start web server, workers and periodic tasks, as `make run` does. SIGHUP replaces them without a gap."
    # This command shows problems but starts anyway: without a secret the intake answers 503.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"), help="default: HOST or %(default)s")
        parser.add_argument(
            "--port", type=int, default=int(os.environ.get("PORT", "8000")), help="default: PORT or %(default)s"
        )
        parser.add_argument("--workers", type=int, default=settings.KODIAI_WORKERS, help="default: KODIAI_WORKERS or 1")
        parser.add_argument("--prepare", action="store_true", help="only migrate the databases, then exit")

    def handle(self, *args: Any, host: str, port: int, workers: int, prepare: bool, **options: Any) -> None:
        for message in checks.run_checks():
            self.stderr.write(self.style.ERROR(str(message)))
        for alias in settings.DATABASES:
            # Adopts a legacy telemetry file in place.
            call_command("migrate", database=alias, fake_initial=True, interactive=False, verbosity=0, skip_checks=True)
        if prepare:
            return
        try:
            supervisor = Supervisor(host=host, port=port, workers=workers)
        except OSError as error:
            raise CommandError(why_not_listening(host, port, error)) from error
        if not supervisor.run():
            raise CommandError("The web server failed to start; see the log above.")
