from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Max
from django.utils import timezone

from reviews.models import Delivery, DeliveryStatus, Review

MAX_LISTED = 50


class Command(BaseCommand):
    help = """Put back runs whose workers died, and say how things stand; queue failed deliveries again if asked to.

  manage.py recover                  put back what dead workers left, say what waits, owes telemetry, or has failed
  manage.py recover DELIVERY …       queue these failed deliveries again (X-GitHub-Delivery)
  manage.py recover --failed         queue all failed deliveries again

A run that is queued again goes on where it stopped: what was published or recorded is not published or recorded twice.
"""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("deliveries", nargs="*", metavar="DELIVERY", help="delivery ids to queue again")
        parser.add_argument("--failed", action="store_true", help="queue all failed deliveries again")

    def handle(self, *args: Any, deliveries: list[str], failed: bool, **options: Any) -> None:
        from reviews.maintenance.recovery import sweep

        for what, count in sweep().items():
            self.stdout.write(f"{what.capitalize()}: {count}")
        if failed:
            self._queue_again(list(Delivery.objects.filter(status=DeliveryStatus.FAILED).order_by("pk")))
        elif deliveries:
            found = list(Delivery.objects.filter(delivery_id__in=deliveries).order_by("pk"))
            if unknown := set(deliveries) - {delivery.delivery_id for delivery in found}:
                raise CommandError(f"Not in the inbox: {', '.join(sorted(unknown))}. Nothing was queued again.")
            self._queue_again(found)
        else:
            self._say_what_waits()
            self._list_failed()

    def _say_what_waits(self) -> None:
        now = timezone.now()
        waiting = Delivery.objects.filter(status__in=(DeliveryStatus.RECEIVED, DeliveryStatus.QUEUED))
        put_off = waiting.filter(queued_at__gt=now)
        running = Delivery.objects.filter(status=DeliveryStatus.RUNNING)
        self.stdout.write(f"Deliveries waiting: {waiting.filter(queued_at__lte=now).count()}")
        if last := put_off.aggregate(last=Max("queued_at"))["last"]:
            self.stdout.write(f"Put off: {put_off.count()}, the last until {last:%Y-%m-%d %H:%M:%S} UTC")
        self.stdout.write(f"Running: {running.count()}")
        pending = Review.objects.pending_rate_limit_event().count() + Review.objects.pending_execution().count()
        self.stdout.write(f"Telemetry rows owed: {pending}")

    def _queue_again(self, deliveries: list[Delivery]) -> None:
        from reviews.intake.inbox import requeue

        for delivery in deliveries:
            outcome = "queued again" if requeue(delivery) else f"left alone, it is {delivery.status} and has not failed"
            self.stdout.write(f"{delivery}: {outcome}")
        if not deliveries:
            self.stdout.write("No delivery has failed.")

    def _list_failed(self) -> None:
        failed = Delivery.objects.filter(status=DeliveryStatus.FAILED).select_related("review").order_by("-pk")
        for delivery in failed[:MAX_LISTED]:
            self.stdout.write(f"Failed: {delivery} of {delivery.repo}#{delivery.pr_number}: {_reason(delivery)}")
        count = failed.count()
        if count > MAX_LISTED:
            self.stdout.write(f"… and {count - MAX_LISTED} more")
        if count:
            self.stdout.write("Queue them again with `manage.py recover --failed`, or some by their delivery ids.")
        else:
            self.stdout.write("No delivery has failed.")


def _reason(delivery: Delivery) -> str:
    review = getattr(delivery, "review", None)
    return review.conclusion_reason if review is not None else delivery.failure.strip().rpartition("\n")[2]
