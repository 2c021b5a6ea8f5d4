import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def span(text: str) -> timedelta:
    """Parse a duration such as 90m, 24h or 3d."""
    found = re.fullmatch(r"(\d{1,4})([mhd])", text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is not a duration: use 90m, 24h or 3d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


class Command(BaseCommand):
    help = (
        "Request redelivery of deliveries that GitHub sent and the inbox does not have; GitHub never redelivers by "
        "itself. It keeps deliveries for three days. Each is requested at most three times, by this command and the "
        "periodic task together."
    )

    # Not the URL configuration, which takes a second to import.
    requires_system_checks = ["kodiai"]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since", type=span, default="24h", help="how far to look back: 90m, 24h, 3d (%(default)s)"
        )
        parser.add_argument("--dry-run", action="store_true", help="only list missed deliveries")

    def handle(self, *args: Any, since: timedelta, dry_run: bool, **options: Any) -> None:
        from reviews.github.app import AppClient
        from reviews.github.errors import GitHubError
        from reviews.maintenance.redelivery import Outcome, event_type_of, find_missed, request_redelivery

        count = 0
        outcomes: list[Outcome] = []
        try:
            with AppClient() as github:
                for attempt in find_missed(github, timezone.now() - since):
                    count += 1
                    line = f"{attempt.delivered_at:%Y-%m-%d %H:%M:%S} {attempt.guid} {event_type_of(attempt)}"
                    line += f", answered with {attempt.status_code}"
                    if not dry_run:
                        outcomes.append(request_redelivery(github, attempt))
                        line += f": {outcomes[-1]}"
                    self.stdout.write(line)
        except GitHubError as error:
            raise CommandError(
                f"{error}. {count} missed deliveries were found before that; run the command again to continue."
            ) from error
        if not count:
            self.stdout.write("No delivery was missed.")
        elif dry_run:
            self.stdout.write(f"{count} missed; none requested.")
        else:
            self.stdout.write(f"{count} missed, {outcomes.count(Outcome.REQUESTED)} requested.")
