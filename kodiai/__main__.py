"""The console script `kodiai`: review a git range on this machine."""

import os
import secrets
import sys

USAGE = """usage: kodiai review [RANGE] [--format text|json|sarif|github] [--fail-on SEVERITY] [-C DIRECTORY]

Reviews a git range on this machine; kodiai review --help shows all options. The server runs from a checkout of
the repository: make run, python manage.py help.
"""


def prepare() -> None:
    """Set what Django requires. A local review signs nothing and stores nothing, so it needs no configuration."""
    os.environ.setdefault("KODIAI_SECRET_KEY", secrets.token_urlsafe(50))
    os.environ["DATABASE_URL"] = "sqlite:///:memory:"


def main() -> None:
    """Run the console script. Exits with 2 for anything but `review`."""
    if sys.argv[1:2] != ["review"]:
        wants_help = sys.argv[1:2] in (["--help"], ["-h"], ["help"])
        (sys.stdout if wants_help else sys.stderr).write(USAGE)
        sys.exit(0 if wants_help else 2)
    prepare()
    os.environ["DJANGO_SETTINGS_MODULE"] = "kodiai.settings"
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
