import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from kodiai.demo.console import Check, DemoConsole
from kodiai.demo.environment import DATABASE, ROOT
from kodiai.demo.login import call_api, log_in, make_login
from kodiai.demo.processes import LOG, DemoError, RunningKodiai, log_tail, start_kodiai
from kodiai.demo.scenario import Scenario


class Command(BaseCommand):
    help = "Show in the terminal what Kodiai does, with a simulated GitHub: `make demo`."
    # The demo's Kodiai runs the checks when it starts; this process needs no GitHub.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="exit after the last chapter, with status 1 if a check fails"
        )

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        if Path(settings.DATABASES["default"]["NAME"]) != DATABASE:
            raise CommandError("The demo sets its own settings: start it with `manage.py demo` or `make demo`.")
        # SIGTERM and a closed terminal have the effect of Ctrl-C: Kodiai is stopped too.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        console = DemoConsole(Console(highlight=False, emoji=False))
        console.chapter(
            "Kodiai reviews pull requests",
            "Web server and worker are Kodiai's own; GitHub is simulated. No data leaves this machine.",
        )
        try:
            with ExitStack() as stack:
                with console.waiting("Starting Kodiai"):
                    running = stack.enter_context(start_kodiai())
                summarise(play(running, console), console, once=once)
                if not once:
                    console.print("Ctrl-C ends the demo.")
                    running.wait_for_exit()
        except DemoError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            console.print("Stopped.")
            if once:
                raise CommandError("The demo was interrupted.") from None


def play(kodiai: RunningKodiai, console: DemoConsole) -> list[Check]:
    """Play the scenario and make a login to look around with; return every check."""
    console.event(f"The simulated GitHub listens on {kodiai.github.url}")
    console.event(f"Kodiai listens on {kodiai.url} as process {kodiai.process.pid}; its log is {LOG.relative_to(ROOT)}")
    checks = Scenario(kodiai, console).play()
    console.chapter(
        "Look around", "The admin shows every delivery, review and telemetry row. Login and token are temporary."
    )
    login = make_login()
    console.event(f"{kodiai.url}/admin/  name: {login.name}  password: {login.password}")
    console.event(f"{kodiai.url}/api/  token: {login.token}")
    return checks + console.checks(
        Check("the login opens the admin", 200, log_in(kodiai.url, login)),
        Check("the token opens the API", 200, call_api(kodiai.url, login)),
    )


def summarise(checks: Sequence[Check], console: DemoConsole, *, once: bool) -> None:
    """Print whether every check passed. With `once`, raises CommandError with the failed checks."""
    failed = [str(check) for check in checks if not check.ok]
    if not failed:
        console.print(f"All {len(checks)} checks passed.", style="bold green")
        return
    console.print("The last lines of Kodiai's log:", *log_tail().splitlines())
    failures = [f"{len(failed)} of {len(checks)} checks failed:", *failed]
    if once:
        raise CommandError("\n".join(failures))
    console.print(*failures, style="bold red")
