import os
from typing import Any

from django.core import checks
from django.core.management.base import BaseCommand, CommandError, CommandParser

from kodiai.configuration.kinds import Whole, argument
from kodiai.settings import configuration
from kodiai.supervisor import WEB, listen, web_environment, why_not_listening


class Command(BaseCommand):
    help = "Run only the web server (webhooks, admin, API), for installations with several processes or machines."
    # This command shows problems but starts anyway: without a secret the intake answers 503.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=configuration.host, help="default: HOST, %(default)s")
        parser.add_argument(
            "--port", type=argument(Whole(1, 65_535)), default=configuration.port, help="default: PORT, %(default)s"
        )

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        for message in checks.run_checks(tags=["kodiai"]):
            if message.id == "kodiai.E002":
                continue  # Only workers use the App's credentials; a separate web server needs none.
            self.stderr.write(self.style.ERROR(str(message)))
        try:
            descriptor = listen(host, port).detach()
        except OSError as error:
            raise CommandError(why_not_listening(host, port, error)) from error
        os.set_inheritable(descriptor, True)
        # Replace this process, so that the server receives its signals.
        os.execve(WEB[0], [*WEB, str(descriptor)], web_environment())  # noqa: S606
