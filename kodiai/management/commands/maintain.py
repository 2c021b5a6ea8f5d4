from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run the periodic tasks once, for those who prefer cron to the workers' own rounds."

    def handle(self, *args: Any, **options: Any) -> None:
        from reviews.runner import maintain

        for what, count in maintain().items():
            self.stdout.write(f"{what.replace('_', ' ').capitalize()}: {count}")
