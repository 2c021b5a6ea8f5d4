from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from kodiai.settings import configuration


class Command(BaseCommand):
    help = "Print the address at which a browser makes the first administrator and connects GitHub."
    # The App is what is missing.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", metavar="https://HOST", help="default: KODIAI_ALLOWED_HOSTS, or HOST and PORT")

    def handle(self, *args: Any, url: str | None, **options: Any) -> None:
        from kodiai.app_setup import has_administrator, setup_token

        base = (url or own_address()).rstrip("/")
        if has_administrator():
            self.stdout.write(f"{base}/setup\nLog in as an administrator; there is one already.")
        else:
            self.stdout.write(f"{base}/setup?token={setup_token()}")


def own_address() -> str:
    """Return where browsers reach Kodiai, as far as the settings tell."""
    names = [host for host in configuration.allowed_hosts if host[:1] not in ("*", ".")]
    if names:
        return f"{'https' if configuration.https else 'http'}://{names[0]}"
    host = f"[{configuration.host}]" if ":" in configuration.host else configuration.host
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{configuration.port}"  # noqa: S104
