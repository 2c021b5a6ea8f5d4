from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Max, Min
from django.utils import timezone

from reviews.models import Delivery, DeliveryStatus, GitHubOutage, Review

MAX_LISTED = 50


class Command(BaseCommand):
    help = """Reschedule runs of dead workers and show the state of the queue; requeue failed deliveries on request.

  manage.py recover                  reschedule runs of dead workers; show what is waiting, pending or failed
  manage.py recover DELIVERY …       requeue these failed deliveries (X-GitHub-Delivery)
  manage.py recover --failed         requeue all failed deliveries

A requeued run resumes at its first unfinished step: nothing is published or recorded twice.
"""

    # Not the URL configuration, which takes a second to import.
    requires_system_checks = ["kodiai"]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("deliveries", nargs="*", metavar="DELIVERY", help="delivery ids to requeue")
        parser.add_argument("--failed", action="store_true", help="requeue all failed deliveries")

    def handle(self, *args: Any, deliveries: list[str], failed: bool, **options: Any) -> None:
        from reviews.maintenance.recovery import sweep

        for what, count in sweep().items():
            self.stdout.write(f"{what.capitalize()}: {count}")
        if failed:
            self._requeue(list(Delivery.objects.filter(status=DeliveryStatus.FAILED).order_by("pk")))
        elif deliveries:
            found = list(Delivery.objects.filter(delivery_id__in=deliveries).order_by("pk"))
            if unknown := set(deliveries) - {delivery.delivery_id for delivery in found}:
                raise CommandError(f"Not in the inbox: {', '.join(sorted(unknown))}. Nothing was requeued.")
            self._requeue(found)
        else:
            self._show_waiting()
            self._list_failed()

    def _show_waiting(self) -> None:
        now = timezone.now()
        waiting = Delivery.objects.waiting()
        deferred = waiting.filter(queued_at__gt=now)
        running = Delivery.objects.filter(status=DeliveryStatus.RUNNING)
        self.stdout.write(f"Deliveries waiting: {waiting.due().count()}")
        if last := deferred.aggregate(last=Max("queued_at"))["last"]:
            self.stdout.write(f"Deferred: {deferred.count()}, the last until {last:%Y-%m-%d %H:%M:%S} UTC")
        outages = GitHubOutage.objects.current()
        if since := outages.aggregate(since=Min("since"))["since"]:
            count = outages.count()
            self.stdout.write(f"GitHub unreachable since {since:%Y-%m-%d %H:%M:%S} UTC, installations: {count}")
        self.stdout.write(f"Running: {running.count()}")
        pending = Review.objects.pending_rate_limit_event().count() + Review.objects.pending_execution().count()
        self.stdout.write(f"Telemetry rows pending: {pending}")

    def _requeue(self, deliveries: list[Delivery]) -> None:
        from reviews.intake.inbox import requeue

        for delivery in deliveries:
            outcome = "requeued" if requeue(delivery) else f"not requeued: it is {delivery.status}, not failed"
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
            self.stdout.write("Requeue them with `manage.py recover --failed`, or some by their delivery ids.")
        else:
            self.stdout.write("No delivery has failed.")


def _reason(delivery: Delivery) -> str:
    review = getattr(delivery, "review", None)
    return review.conclusion_reason if review is not None else delivery.failure.strip().rpartition("\n")[2]
