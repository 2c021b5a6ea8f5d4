import sys
from argparse import Namespace
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from reviews.local import command


class Command(BaseCommand):
    """`manage.py review` runs `reviews.local.command` directly, without Django; this is for `manage.py help`."""

    help = command.DESCRIPTION
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(command.run(Namespace(**options)))
