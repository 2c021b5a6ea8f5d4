from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Run all periodic tasks once, for cron instead of the workers (KODIAI_SWEEP_SECONDS=0)."

    # Not the URL configuration, which takes a second to import.
    requires_system_checks = ["kodiai"]

    def handle(self, *args: Any, **options: Any) -> None:
        from reviews.maintenance.scheduler import run_all

        failed = []
        for name, done in run_all().items():
            if done is None:
                self.stdout.write(f"{name}: already running in another process")
            elif isinstance(done, Exception):
                failed.append(f"{name} ({type(done).__name__}: {done})")
            else:
                self.stdout.write(f"{name}: " + ", ".join(f"{what}: {count}" for what, count in done.items()))
        if failed:
            raise CommandError(f"Failed: {', '.join(failed)}. See the log or the admin for the traceback.")
