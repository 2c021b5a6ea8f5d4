"""Git repositories for tests."""

import os
import subprocess
from pathlib import Path

_WHO = {f"GIT_{who}_{what}": "octo@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **_WHO}


class Git:
    """git in a directory, with no configuration of this machine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        if not (directory / ".git").exists():
            directory.mkdir(exist_ok=True)
            self("init", "--quiet", "--initial-branch=main")

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.directory, env=ENVIRONMENT, check=check, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, **files: str | None) -> None:
        """Write or remove (None) files; `__` in a name stands for a dot."""
        for name, text in files.items():
            self.file(name.replace("__", "."), text)

    def file(self, path: str, text: str | None) -> None:
        """Write a file, or remove it (None)."""
        target = self.directory / path
        if text is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="")

    def commit(self, **files: str | None) -> str:
        """Write files, commit all changes and return the commit."""
        self.write(**files)
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "--message=change")
        return self("rev-parse", "HEAD")
