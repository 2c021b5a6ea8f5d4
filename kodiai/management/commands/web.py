import os
from typing import Any

from django.core import checks
from django.core.management.base import BaseCommand, CommandError, CommandParser

from kodiai.supervisor import WEB, child_environment, listen, why_not_listening


class Command(BaseCommand):
    help = "Run only the web server (webhooks, admin, API), for installations with several processes or machines."
    # This command shows problems but starts anyway: without a secret the intake answers 503.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"), help="default: HOST or %(default)s")
        parser.add_argument(
            "--port", type=int, default=int(os.environ.get("PORT", "8000")), help="default: PORT or %(default)s"
        )

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        for message in checks.run_checks():
            self.stderr.write(self.style.ERROR(str(message)))
        try:
            descriptor = listen(host, port).detach()
        except OSError as error:
            raise CommandError(why_not_listening(host, port, error)) from error
        os.set_inheritable(descriptor, True)
        # Replace this process, so that the server receives its signals.
        os.execve(WEB[0], [*WEB, str(descriptor)], child_environment())  # noqa: S606
