import signal
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run queued reviews and periodic tasks until SIGTERM or Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        from reviews.worker import Worker

        worker = Worker()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        worker.run()
