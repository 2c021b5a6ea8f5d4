import multiprocessing
import sys
import threading
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from kodiai.configuration import app_file
from kodiai.configuration.kinds import Whole, argument
from kodiai.doctor import machine
from kodiai.doctor.results import as_text
from kodiai.settings import configuration
from kodiai.supervisor import Supervisor, end_with_parent, why_not_listening


class Command(BaseCommand):
    help = "Start web server, workers and periodic tasks, as `make run` does. SIGHUP replaces them without a gap."
    # This command shows problems but starts anyway: without a secret the intake answers 503.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=configuration.host, help="default: HOST, %(default)s")
        parser.add_argument(
            "--port", type=argument(Whole(1, 65_535)), default=configuration.port, help="default: PORT, %(default)s"
        )
        parser.add_argument(
            "--workers",
            type=argument(Whole(0, 64)),
            default=configuration.workers,
            help="default: KODIAI_WORKERS, %(default)s",
        )
        parser.add_argument("--prepare", action="store_true", help="only migrate the databases, then exit")

    def handle(self, *args: Any, host: str, port: int, workers: int, prepare: bool, **options: Any) -> None:
        # Django's own checks look at the code, which the settings do not change; to import all of it takes time.
        for message in checks.run_checks(tags=["kodiai"]):
            self.stderr.write(self.style.ERROR(str(message)))
        for alias in settings.DATABASES:
            # Adopts a legacy telemetry file in place.
            call_command("migrate", database=alias, fake_initial=True, interactive=False, verbosity=0, skip_checks=True)
        self._renew_app_file()
        if prepare:
            return
        _compare_key_with_app()
        try:
            supervisor = Supervisor(host=host, port=port, workers=workers)
        except OSError as error:
            raise CommandError(why_not_listening(host, port, error)) from error
        self.stderr.write(as_text(machine.at_start()), ending="")
        if not settings.KODIAI_GITHUB_APP_ID:
            self.stderr.write("Connect GitHub in a browser: `manage.py setup_link` prints the address.")
        if not supervisor.run():
            raise CommandError("The web server failed to start; see the log above.")

    def _renew_app_file(self) -> None:
        """After a rotation of the secret key: encrypt what /setup stored with the present one."""
        try:
            app_file.renew(settings.KODIAI_GITHUB_APP_FILE, [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])
        except (app_file.Undecryptable, OSError) as error:
            # Where it is needed, the settings could not have been read.
            self.stderr.write(self.style.WARNING(f"{settings.KODIAI_GITHUB_APP_FILE} was not renewed: {error!r}"))


def _compare_key_with_app() -> None:
    """Let a child process ask GitHub, and print on standard error what is wrong: the start never waits for it."""
    # Two processes cannot share a connection, and the supervisor needs none.
    connections.close_all()
    # A fork has imported Django already; no other thread runs yet that could hold a lock, and no socket listens.
    child = multiprocessing.get_context("fork").Process(target=_print_what_is_wrong_with_key, daemon=True)
    child.start()
    threading.Thread(target=child.join, name="doctor", daemon=True).start()


def _print_what_is_wrong_with_key() -> None:
    end_with_parent()
    # What asks GitHub is large; the supervisor goes without it.
    from kodiai.doctor import github

    sys.stderr.write(as_text(github.app_key()))
