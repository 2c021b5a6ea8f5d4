"""The container image as its Dockerfile describes it, put together without a container engine.

A file system of its own (mount namespace, chroot) with the very paths, environment, user and commands of the image:
read-only but for /app/var and /tmp, no capabilities, no new privileges. Python and its packages are this machine's.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.support.processes import bound
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Stage:
    """What one stage of a Dockerfile says."""

    copies: list[tuple[list[str], str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = "/"
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    stop_signal: str = ""
    runs: list[str] = field(default_factory=list)


def stages(text: str) -> list[Stage]:
    """Read the stages of a Dockerfile, as far as this project's one needs it."""
    found: list[Stage] = []
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "FROM":
            found.append(Stage())
        elif instruction == "COPY":
            *sources, target = shlex.split(rest)
            found[-1].copies.append((sources, target))
        elif instruction == "ENV":
            found[-1].environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif instruction == "USER":
            found[-1].user = rest
        elif instruction == "WORKDIR":
            found[-1].workdir = rest
        elif instruction == "CMD":
            found[-1].command = json.loads(rest)
        elif instruction == "HEALTHCHECK":
            found[-1].healthcheck = json.loads(rest.partition("CMD ")[2])
        elif instruction == "STOPSIGNAL":
            found[-1].stop_signal = rest
        elif instruction == "RUN":
            found[-1].runs.append(rest)
    return found


def ignored(path: str, patterns: list[str]) -> bool:
    """Return whether .dockerignore keeps a path out. The last pattern that fits the path or a folder above decides."""
    out = False
    above = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        if any(fnmatch(name, wanted) or fnmatch("/" + name, wanted.replace("**", "*")) for name in above):
            out = not pattern.startswith("!")
    return out


def build(target: Path) -> None:
    """Copy into `target` (the image's /app) what the Dockerfile copies out of this working tree."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    building = stages((ROOT / "Dockerfile").read_text())[0]
    for sources, place in building.copies:
        for source in sources:
            origin = ROOT / source
            files = [file for file in origin.rglob("*") if file.is_file()] if origin.is_dir() else [origin]
            files = [file for file in files if not ignored(str(file.relative_to(ROOT)), patterns)]
            assert files, f"COPY {source}: nothing is left of it, and a real build would fail"
            for file in files:
                inside = file.relative_to(origin) if origin.is_dir() else Path(file.name)
                copy = target / place / inside
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
    removed = re.search(r"&& rm -r ([\w.-]+)$", building.runs[0].strip())
    assert removed, "the build removes the lock files"
    shutil.rmtree(target / removed[1])
    (target / "var").mkdir()
    (target / ".venv").mkdir()


def can_isolate() -> bool:
    """Return whether this process may make mount namespaces: as root, and not inside of what forbids it."""
    if sys.platform != "linux" or os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "chroot"))):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


class Image:
    """The built image; `folder` is where it is put together. `start` runs a command in it."""

    def __init__(self, folder: Path) -> None:
        self.final = stages((ROOT / "Dockerfile").read_text())[-1]
        self.app = folder / "app"
        self.app.mkdir()
        build(self.app)
        uid, gid = self.final.user.split(":")
        self.var = folder / "var"
        self.var.mkdir()
        os.chown(self.var, int(uid), int(gid))
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        self._root = folder / "root"
        self._root.mkdir()

    def start(self, command: list[str], environment: dict[str, str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start a command as the image would: the process that is returned is the command's own."""
        uid, gid = self.final.user.split(":")
        inside = self.final.environment | environment
        script = "\n".join(
            (
                "set -e",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                f"R={shlex.quote(str(self._root))}",
                'mount -t tmpfs -o mode=755 tmpfs "$R"',
                "for d in bin sbin lib lib64 usr etc; do",
                '  if [ -L /$d ]; then cp -P /$d "$R/$d";',
                '  elif [ -d /$d ]; then mkdir "$R/$d"; mount --bind /$d "$R/$d"; mount -o remount,bind,ro "$R/$d"; fi',
                "done",
                'bind() { mkdir -p "$R$2"; mount --bind "$1" "$R$2"; mount -o "remount,bind,$3" "$R$2"; }',
                f"bind {shlex.quote(str(self.app))} /app ro",
                f"bind {shlex.quote(sys.prefix)} /app/.venv ro",
                f"bind {shlex.quote(sys.base_prefix)} {shlex.quote(sys.base_prefix)} ro",
                f"bind {shlex.quote(str(self.var))} /app/var rw",
                f"bind {shlex.quote(str(self.secrets))} /run/secrets ro",
                'mkdir "$R/tmp" "$R/proc" "$R/dev"',
                'mount -t tmpfs -o mode=1777 tmpfs "$R/tmp"',
                'mount --rbind /proc "$R/proc"; mount --rbind /dev "$R/dev"',
                'mount -o remount,ro "$R"',
                f'exec {shutil.which("chroot")} "$R" /usr/bin/setpriv --reuid {uid} --regid {gid} --clear-groups '
                "--no-new-privs --inh-caps=-all --bounding-set=-all /usr/bin/env "
                + shlex.join(["-C", self.final.workdir, f"PATH={inside['PATH']}", *command]),
            )
        )
        return subprocess.Popen(
            bound("unshare", "--mount", "--propagation", "private", "sh", "-c", script), env=inside, **options
        )

    def run(self, command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        process = self.start(command, environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(command, process.returncode, output.decode())
