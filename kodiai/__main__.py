"""`kodiai review`, where Kodiai is installed as a package: reviews on one's own machine, and nothing else of it."""

import os
import secrets
import sys

USAGE = """usage: kodiai review [RANGE] [--format text|json|sarif|github] [--fail-on SEVERITY] [-C DIRECTORY]

Reviews a git range on this machine; kodiai review --help tells more. All else that Kodiai does is started from a
checkout of its repository: make run, and python manage.py help.
"""


def prepare() -> None:
    """Settings for a review that signs nothing and keeps nothing: nobody has to set a key or a database for it."""
    # No other process has this key.
    os.environ.setdefault("KODIAI_SECRET_KEY", secrets.token_urlsafe(50))
    os.environ["DATABASE_URL"] = "sqlite:///:memory:"


def main() -> None:
    """The console script. Ends with 2 where it is asked for anything but a review."""
    if sys.argv[1:2] != ["review"]:
        asked = sys.argv[1:2] in (["--help"], ["-h"], ["help"])
        (sys.stdout if asked else sys.stderr).write(USAGE)
        sys.exit(0 if asked else 2)
    prepare()
    os.environ["DJANGO_SETTINGS_MODULE"] = "kodiai.settings"
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
