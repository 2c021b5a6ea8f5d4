"""README's way to production, line by line: systemd starts Kodiai behind Caddy, on a machine made of namespaces.

Its first process is systemd, its files are an overlay of this machine's, its network is nobody else's. Adapted is only
what exists outside: GitHub is the sandbox, and YOUR-HOST a name for which Caddy makes a certificate by itself.
"""

import ctypes
import json
import os
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import Sandbox, webhook_payload
from tests.support.container_image import can_isolate
from tests.support.processes import ROOT, bound
from tests.support.waiting import PATIENCE, eventually
from tests.support.webhooks import sign

HOST = "kodiai.localhost"
SECRET = "of-the-machine"
CLONE_NEWNET = 0x40000000
"""Source: setns(2)."""
NEEDED = ("systemd", "systemctl", "caddy", "unshare", "nsenter", "pivot_root", "ip", "useradd")
CERTIFICATE = "var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
"""The root of the certificates that Caddy makes by itself."""
BOOT = """
set -e
mount -t tmpfs tmpfs {top}
cd {top}
mkdir upper work root venv-upper venv-work
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
# Of this machine's own services none is started.
rm -rf etc/systemd/system usr/lib/systemd/system/*.wants usr/lib/systemd/system-generators
mkdir -p etc/systemd/system/kodiai.service.d opt/python
printf '[Service]\nStandardOutput=file:/var/log/kodiai\n' > etc/systemd/system/kodiai.service.d/no-journal.conf
mount --bind {base_prefix} opt/python
git clone --quiet file://{checkout} opt/kodiai
mkdir opt/kodiai/.venv
mount -t overlay overlay -o lowerdir={prefix},upperdir=../venv-upper,workdir=../venv-work opt/kodiai/.venv
# Python may be in somebody's home, which the unit hides.
sed -i '1i /opt/python/lib' etc/ld.so.conf
chroot . ldconfig
ln -sf /opt/python/bin/{python} opt/kodiai/.venv/bin/python
sed -i 's|^home = .*|home = /opt/python/bin|' opt/kodiai/.venv/pyvenv.cfg
ip link set lo up
# Not chroot, in which the kernel gives nobody a user namespace, which analyzers are confined by.
pivot_root . mnt
umount --lazy /mnt
exec env -i PATH="$PATH" container=namespaces systemd --system --unit=basic.target --show-status=false
"""


@dataclass(frozen=True)
class Machine:
    """What systemd runs on, by the number that systemd has outside of it."""

    pid: int

    def run(self, line: str) -> "subprocess.CompletedProcess[str]":
        """Run a line of a shell on it to its end."""
        into = ["nsenter", "--target", str(self.pid), "--all", "--root", "--wd", "--", "env", "-i"]
        return subprocess.run(
            [*into, f"PATH={os.environ['PATH']}", "sh", "-ec", line],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def path(self, path: str) -> Path:
        return Path(f"/proc/{self.pid}/root", path)

    @contextmanager
    def network(self) -> Iterator[None]:
        """In this block what this thread connects and listens to is on the machine."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self.pid}/ns/net") as theirs:
            assert libc.setns(theirs.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(ours.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    missing = [name for name in NEEDED if not shutil.which(name)]
    assert not missing or os.environ.get("CI") != "true", f"not installed: {missing}; .ci/run installs them"
    if missing or not can_isolate():
        pytest.skip(f"needs root and namespaces; not installed: {missing}")
    script = BOOT.format(
        top=shlex.quote(str(tmp_path)), checkout=shlex.quote(str(ROOT)), prefix=sys.prefix,
        base_prefix=sys.base_prefix, python=f"python{sys.version_info[0]}.{sys.version_info[1]}",
    )  # fmt: skip
    namespaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child"]
    with (tmp_path / "log").open("wb") as log:
        outside = subprocess.Popen(
            bound("unshare", *namespaces, "--propagation", "private", "sh", "-c", script), stdout=log, stderr=log
        )
    children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
    try:
        eventually(lambda: outside.poll() is not None or children.read_text(), "it has a first process")
        machine = Machine(int(children.read_text()))
        state = "systemctl is-system-running"
        eventually(lambda: outside.poll() is not None or "running" in machine.run(state).stdout, "systemd runs")
        assert outside.poll() is None, (tmp_path / "log").read_text()
        yield machine
    finally:
        outside.kill()
        outside.wait(PATIENCE)


def lines_of(readme: str) -> list[str]:
    """The commands of "Run it in production"."""
    return readme.partition("\n## Run it in production\n")[2].partition("```sh\n")[2].partition("```")[0].splitlines()


def ask(machine: Machine, method: str, path: str, **options: Any) -> httpx.Response | None:
    """Ask Kodiai for something through Caddy; None before there is a certificate."""
    root = machine.path(CERTIFICATE)
    if not root.exists():
        return None
    headers = {"Host": HOST} | options.pop("headers", {})
    with httpx.Client(verify=ssl.create_default_context(cafile=str(root))) as client:
        return client.request(
            method, f"https://127.0.0.1{path}", headers=headers, extensions={"sni_hostname": HOST}, **options
        )


def test_the_readmes_lines_put_kodiai_into_production(machine: Machine) -> None:
    def is_ready() -> bool:
        try:
            answer = ask(machine, "GET", "/readyz")
        except httpx.TransportError:
            return False
        return answer is not None and answer.status_code == 200

    def processes() -> set[str]:
        return set(machine.run("pgrep -u kodiai python").stdout.split())

    with machine.network(), Sandbox(webhook_secret=SECRET) as github:
        machine.path("opt/kodiai/app.pem").write_text(github.private_key)
        machine.path("opt/kodiai/.env").write_text(
            f"KODIAI_SECRET_KEY={'k' * 40}\nKODIAI_GITHUB_API_URL={github.url}\nKODIAI_GITHUB_APP_ID={github.app_id}\n"
            f"KODIAI_GITHUB_PRIVATE_KEY_FILE=/opt/kodiai/app.pem\nKODIAI_GITHUB_WEBHOOK_SECRET={SECRET}\n"
            f"KODIAI_ALLOWED_HOSTS={HOST}\n"
        )
        # As Debian's package leaves it.
        assert machine.run("systemctl start caddy").returncode == 0
        for line in lines_of((ROOT / "README.md").read_text()):
            done = machine.run(line.replace("YOUR-HOST", HOST))
            assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        eventually(is_ready, "it is ready behind Caddy")

        pull = github.create_repository().open_pull_request(changes={"a.py": "import os\n"})
        body = json.dumps(webhook_payload(pull, "opened")).encode()
        headers = {
            "content-type": "application/json", "x-github-event": "pull_request", "x-github-delivery": "through-caddy",
            "x-hub-signature-256": sign(body, SECRET),
        }  # fmt: skip
        sent = ask(machine, "POST", "/webhooks/github", headers=headers, content=body)
        assert sent is not None
        assert sent.status_code == 202, sent.text
        eventually(lambda: len(pull.reviews) == 1, "the pull request is reviewed")
        assert "F401" in str(pull.threads)

        first = processes()
        assert machine.run("systemctl reload kodiai").returncode == 0
        eventually(lambda: len(processes() & first) == 1, "all but the supervisor are replaced")
        assert is_ready()
        said = machine.run("runuser -u kodiai -- env -C /opt/kodiai .venv/bin/python manage.py doctor").stdout
        # Of GitHub it says what is so of a sandbox: no webhook URL of this host, and no webhooks yet.
        assert [line.split()[1] for line in said.splitlines() if line.startswith(("warning", "error"))] == [
            "webhook",
            "webhooks",
        ], said
        assert "it fits the App 1 (kodiai)" in said

        assert machine.run("systemctl stop kodiai").returncode == 0
    ended = machine.run("systemctl show --property Result,NRestarts kodiai").stdout.split()
    assert sorted(ended) == ["NRestarts=0", "Result=success"]
    # The unit takes nothing away that the confinement of analyzers needs.
    if shutil.which("bwrap"):
        assert '"confinement": "bubblewrap"' in machine.path("var/log/kodiai").read_text()
