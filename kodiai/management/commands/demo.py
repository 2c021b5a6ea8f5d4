import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from kodiai.demo.console import Check, Screen
from kodiai.demo.environment import DATABASE, ROOT
from kodiai.demo.login import log_in, make_login
from kodiai.demo.processes import LOG, Stage, StageFailed, log_tail, on_stage
from kodiai.demo.scenario import Story


class Command(BaseCommand):
    help = "Tell Kodiai's story in the terminal, with a GitHub in a box: what `make demo` does."
    # The Kodiai of the demo checks itself when it starts; this process needs no GitHub.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="end after the story, with 1 if a point is not true")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        if Path(settings.DATABASES["default"]["NAME"]) != DATABASE:
            raise CommandError("The demo has settings of its own: start it with `manage.py demo` or `make demo`.")
        # A process manager's stop, or the terminal closed, is no different from Ctrl-C: Kodiai is stopped as well.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        screen = Screen(Console(highlight=False, emoji=False))
        screen.chapter(
            "Kodiai reviews pull requests",
            "The web server and the worker are Kodiai's own, GitHub is a sandbox. Nothing leaves this machine.",
        )
        try:
            with ExitStack() as stack:
                with screen.waiting("Kodiai starts"):
                    stage = stack.enter_context(on_stage())
                sum_up(tell(stage, screen), screen, once=once)
                if not once:
                    screen.say("Ctrl-C ends it.")
                    stage.run_on()
        except StageFailed as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            screen.say("Stopped. Good-bye!")
            if once:
                raise CommandError("The story was not told to its end.") from None


def tell(stage: Stage, screen: Screen) -> list[Check]:
    """Tell the story, and make a log-in to look around with; return every check."""
    screen.tell(f"The sandbox answers on {stage.github.url}")
    screen.tell(f"Kodiai answers on {stage.url} as process {stage.process.pid}, its log is {LOG.relative_to(ROOT)}")
    checks = Story(stage, screen).tell()
    screen.chapter(
        "Look around", "Every delivery, review and telemetry row is in the admin, under a throw-away log-in."
    )
    login = make_login()
    screen.tell(f"{stage.url}/admin/  name: {login.name}  password: {login.password}")
    return checks + screen.checks(Check("the log-in opens the admin", 200, log_in(stage.url, login)))


def sum_up(checks: Sequence[Check], screen: Screen, *, once: bool) -> None:
    """Say how the story went. If it went wrong and was to be told `once`, raises CommandError with what was wrong."""
    failed = [str(check) for check in checks if not check.ok]
    if not failed:
        screen.say(f"All {len(checks)} checks hold.", style="bold green")
        return
    screen.say("The last lines of Kodiai's log:", *log_tail().splitlines())
    failures = [f"{len(failed)} of {len(checks)} checks failed:", *failed]
    if once:
        raise CommandError("\n".join(failures))
    screen.say(*failures, style="bold red")
