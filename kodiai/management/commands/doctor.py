import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from kodiai import doctor


class Command(BaseCommand):
    help = "Check this installation from the outside in, and say what to do about what is wrong."
    # The doctor runs them itself.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        doctor.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        # `manage.py doctor` does not come here: manage.py calls it even where Django cannot start.
        results = doctor.examine(offline=options["offline"])
        self.stdout.write(doctor.as_json(results) if options["json"] else doctor.as_text(results), ending="")
        sys.exit(doctor.exit_status(results))
