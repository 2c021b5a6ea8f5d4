"""Run git without hooks, pagers, external diffs, text conversions or configured programs."""

import os
import subprocess
from pathlib import Path

_SETTINGS = ("core.quotepath=off", "core.fsmonitor=false", "diff.suppressBlankEmpty=false")
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
}


class NotAReview(Exception):
    """The range cannot be reviewed; the text says why, and what to do."""


def run_git(directory: Path, *arguments: str, problem: str = "", stdin: bytes = b"") -> bytes:
    """Run git in `directory` and return its output. Raises `NotAReview` with `problem`, or with git's own sentence."""
    command = ["git", *(part for setting in _SETTINGS for part in ("-c", setting)), *arguments]
    try:
        done = subprocess.run(
            command, cwd=directory, env={**os.environ, **_ENVIRONMENT}, input=stdin, capture_output=True, check=False
        )
    except FileNotFoundError as missing:
        raise NotAReview("git is not installed, or not in PATH") from missing
    except ValueError as error:  # A name from an event may have characters that no argument can have.
        raise NotAReview(problem or f"git {arguments[0]} was not run: {error}") from error
    except OSError as error:
        raise NotAReview(f"git could not be started in {directory}: {error.strerror}") from error
    if done.returncode:
        errors = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        if any("not a git repository" in line for line in errors):
            problem = f"{directory.absolute()} is not inside a git repository"
        if any("dubious ownership" in line for line in errors):
            problem = (
                f"git refuses to read {directory.absolute()}: it belongs to another user. To trust it: "
                f"git config --global --add safe.directory '{directory.absolute()}'"
            )
        raise NotAReview(problem or f"git {arguments[0]} failed: {errors[-1] if errors else done.returncode}")
    return done.stdout
