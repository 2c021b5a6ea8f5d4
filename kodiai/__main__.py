"""The console script `kodiai`: review a git range on this machine, and run a server."""

import sys
from importlib.util import find_spec

USAGE = """usage: kodiai review [RANGE] [--format text|json|sarif|github] [--fail-on SEVERITY] [-C DIRECTORY]
       kodiai run [--host HOST] [--port PORT] [--workers N]
       kodiai doctor [--json] [--offline]
       kodiai manage COMMAND ...
       kodiai --version

Reviews a git range on this machine; kodiai review --help shows all options. The server needs more packages,
pip install 'kodiai[server]': kodiai run starts it, with .env and var/ in the working directory; kodiai manage help
lists all other commands.
"""
SERVER_COMMANDS = ("run", "web", "worker", "doctor", "manage")


def main() -> None:
    """Run the console script and exit with its status: 2 for an unknown command."""
    sys.exit(_run(*(sys.argv[1:] or [""])))


def _run(name: str, *arguments: str) -> int:
    if name == "review":
        # Imported here: the other commands need nothing.
        from reviews.local.command import main as review

        return review(list(arguments), "kodiai review")
    if name in SERVER_COMMANDS:
        return _serve(name, arguments)
    if name in ("--version", "-V", "version"):
        from reviews.local.version import version

        sys.stdout.write(f"kodiai {version()}\n")
        return 0
    if name in ("--help", "-h", "help"):
        sys.stdout.write(USAGE)
        return 0
    sys.stderr.write(f"kodiai: there is no command {name!r}; to review changes: kodiai review\n" if name else USAGE)
    return 2


def _serve(name: str, arguments: tuple[str, ...]) -> int:
    """Run a command of the server, if its packages are there."""
    if not (find_spec("django") and find_spec("githubkit")):
        sys.stderr.write(f"kodiai: {name} needs the server, which is more packages: pip install 'kodiai[server]'\n")
        return 2
    from kodiai.command_line import main as manage

    if name == "manage":
        manage(arguments, "kodiai manage")
    else:
        manage((name, *arguments), "kodiai")
    return 0


if __name__ == "__main__":
    main()
