"""The container image and compose.yaml: contents, commands and privileges."""

import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from reviews.engines import landlock
from sandbox import Sandbox, webhook_payload
from tests.support.container_image import Image, build, can_isolate, stages
from tests.support.databases import POSTGRES_URL, empty_database
from tests.support.processes import ROOT, bound
from tests.support.running_kodiai import free_port
from tests.support.waiting import PATIENCE, eventually

isolated = pytest.mark.skipif(not can_isolate(), reason="needs root, unshare and setpriv to stand in for a container")

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
OURS = ("migrate", "web", "worker")


def final() -> Any:
    return stages((ROOT / "Dockerfile").read_text())[-1]


# What is in it


def test_the_image_has_every_file_of_the_apps_and_nothing_else(tmp_path: Path) -> None:
    build(tmp_path)
    copied = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    known = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "kodiai", "telemetry", "reviews"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    demo = ("kodiai/demo/", "kodiai/management/commands/demo.py")

    assert copied == {name for name in known.stdout.split() if not name.startswith(demo)} | {"manage.py", "LICENSE"}


def test_the_final_image_builds_nothing_and_runs_unprivileged() -> None:
    building, image = stages((ROOT / "Dockerfile").read_text())

    assert all("apt" not in run and "gcc" not in run for run in building.runs + image.runs)
    assert "--require-hashes" in building.runs[0]
    assert "uv pip sync" in building.runs[0]
    assert "--without-pip" in building.runs[0]
    assert "compileall" in building.runs[1]
    assert "pip uninstall" in image.runs[0]
    assert image.copies == [(["--from=build", "/app"], "/app")]
    assert all(int(number) >= 10_000 for number in image.user.split(":"))
    assert image.stop_signal == "SIGTERM"
    assert not [name for name in image.environment if "SECRET" in name or "KEY" in name or "PASSWORD" in name]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_services_are_read_only_with_secrets_as_files(name: str) -> None:
    service = COMPOSE["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert "healthcheck" in service or final().healthcheck
    for variable, value in service.get("environment", {}).items():
        if any(word in variable for word in ("SECRET", "KEY", "PASSWORD", "_URL")) and "GITHUB_API" not in variable:
            assert variable.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in service["secrets"]
    assert service["mem_limit"]
    assert 0 < service["pids_limit"] <= 512
    assert "build" in service or DIGEST.search(service["image"])
    for place in service["tmpfs"]:
        assert "exec" not in place.replace("noexec", "")
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), "only a proxy on this machine"


def test_each_secret_is_only_where_it_is_used() -> None:
    having = {
        secret: {name for name in OURS if secret in COMPOSE["services"][name]["secrets"]}
        for secret in COMPOSE["secrets"]
    }

    assert having["kodiai_private_key"] == {"worker"}
    assert having["kodiai_webhook_secret"] == having["kodiai_cache_url"] == {"web", "worker"}
    assert having["kodiai_secret_key"] == having["kodiai_database_url"] == set(OURS)
    assert having["postgres_password"] == having["redis_conf"] == set()


def test_the_base_image_is_pinned_by_its_digest() -> None:
    base = re.search(r"^ARG PYTHON=(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base
    assert DIGEST.search(base[1])
    assert re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE) == ["$PYTHON", "$PYTHON"]


def test_workers_get_longer_to_stop_than_they_give_themselves() -> None:
    for name in OURS:
        assert float(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s")) > settings.KODIAI_GRACE_SECONDS
    assert "inside" in COMPOSE["networks"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert COMPOSE["services"]["postgres"]["networks"] == COMPOSE["services"]["redis"]["networks"] == ["inside"]


@pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server")
def test_redis_takes_its_password_from_the_secret(tmp_path: Path) -> None:
    service = COMPOSE["services"]["redis"]
    (tmp_path / "redis_conf").write_text("requirepass a-password-for-redis\n")
    port = str(free_port())
    places = {"/run/secrets/redis_conf": f"{tmp_path}/redis_conf", "/tmp": str(tmp_path)}
    command = [places.get(word, word) for word in service["command"]]
    server = subprocess.Popen(bound(*command, "--port", port, "--bind", "127.0.0.1"), stdout=subprocess.DEVNULL)
    check = ["redis-cli", "-p", port, *service["healthcheck"]["test"][2:]]
    try:
        eventually(lambda: subprocess.run(check, capture_output=True, check=False).returncode == 0, "it is healthy")
        said = subprocess.run([*check[:3], "set", "a", "b"], capture_output=True, text=True, check=False).stdout
        assert said.startswith("NOAUTH")
    finally:
        server.terminate()
        server.wait(PATIENCE)


# What it does


class Installation:
    """The image with secrets, a database and a GitHub."""

    def __init__(self, folder: Path, github: Sandbox, database: str) -> None:
        self.image = Image(folder)
        self.github = github
        github.hook.response_seconds = PATIENCE
        self.port = free_port()
        for name, text in {
            "kodiai_secret_key": "a-key-for-the-container-" + uuid.uuid4().hex,
            "kodiai_webhook_secret": github.webhook_secret,
            "kodiai_private_key": github.private_key,
            "kodiai_database_url": database,
            "kodiai_cache_url": "locmemcache://kodiai",
        }.items():
            (self.image.secrets / name).write_text(text + "\n")
        self.log = folder / "log"

    def environment(self, service: str) -> dict[str, str]:
        """The environment of a service of compose.yaml, with what `.env` has to give."""
        given = {
            "KODIAI_GITHUB_APP_ID": str(self.github.app_id),
            "KODIAI_GITHUB_API_URL": self.github.url,
            "KODIAI_ALLOWED_HOSTS": "kodiai.example.org",
        }
        environment = {}
        for name, value in COMPOSE["services"][service]["environment"].items():
            _, _, default = value.partition(":-")
            environment[name] = given.get(name, default.removesuffix("}")) if value.startswith("${") else value
        return environment | {"PORT": str(self.port)}

    def start(self, command: list[str], service: str, stack: ExitStack) -> "subprocess.Popen[bytes]":
        log = stack.enter_context(self.log.open("ab"))
        process = self.image.start(command, self.environment(service), stdout=log, stderr=log)
        stack.callback(process.kill)
        return process

    def healthy(self) -> bool:
        return self.image.run(self.image.final.healthcheck, self.environment("web")).returncode == 0


@pytest.fixture
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("container")
    with empty_database(folder) as database, Sandbox(webhook_secret="container-secret") as github:
        yield Installation(folder, github, database if POSTGRES_URL else "sqlite:////app/var/kodiai.sqlite3")


@isolated
@pytest.mark.parametrize("services", [("web", "worker"), ("run",)], ids=["compose", "one-container"])
def test_the_images_commands_turn_a_webhook_into_a_review(
    installation: Installation, services: tuple[str, ...]
) -> None:
    image, github = installation.image, installation.github
    with ExitStack() as stack:
        if services == ("run",):
            processes = [installation.start(image.final.command, "worker", stack)]
        else:
            migrated = image.run(COMPOSE["services"]["migrate"]["command"], installation.environment("migrate"))
            assert migrated.returncode == 0, migrated.stdout
            commands = [(COMPOSE["services"][name]["command"], name) for name in services]
            processes = [installation.start(command, name, stack) for command, name in commands]

        def healthy_or_ended() -> bool:
            return installation.healthy() or any(process.poll() is not None for process in processes)

        eventually(healthy_or_ended, "it is healthy")
        assert [process.poll() for process in processes] == [None] * len(processes), installation.log.read_text()
        repo = github.create_repository("octo/contained", files={"a.py": "x = 1\n"})
        pull = repo.open_pull_request(changes={"a.py": "import os\nx = 1\n"}, author="mona")

        sent = github.send_webhook(
            f"http://127.0.0.1:{installation.port}/webhooks/github", "pull_request", webhook_payload(pull, "opened")
        )
        assert sent.status_code == 202
        eventually(lambda: pull.reviews, "the review is published")
        assert pull.reviews[0]["comments"][0]["line"] == 1

        for process in processes:
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert f"Uid:\t{image.final.user.split(':')[0]}\t" in status
            assert "CapEff:\t0000000000000000" in status
            assert "CapBnd:\t0000000000000000" in status
            assert "NoNewPrivs:\t1" in status
        for process in processes:
            process.send_signal(getattr(signal, image.final.stop_signal))
        assert [process.wait(PATIENCE) for process in processes] == [0] * len(processes), installation.log.read_text()
    assert not installation.healthy()
    said = installation.log.read_text()
    # What Docker forbids, a mount, is forbidden here too: the container has no capability.
    assert '"confinement": "landlock"' in said or landlock.version() == 0
    assert "kodiai.E002" not in said


@isolated
def test_nothing_can_be_written_but_var_and_tmp(installation: Installation) -> None:
    script = """
import os
def writable(folder):
    try:
        open(os.path.join(folder, "x"), "w").close()
        return True
    except OSError:
        return False
walked = {top for root in ("/app", "/run", "/etc", "/usr/bin", "/usr/local") for top, _, _ in os.walk(root)}
print(sorted(folder for folder in {"/", "/tmp", *walked} if writable(folder)))
"""
    done = installation.image.run(["python", "-c", script], {})

    assert done.stdout.strip() == "['/app/var', '/tmp']"


@isolated
def test_every_module_in_the_image_can_be_imported(installation: Installation) -> None:
    script = """
import django, importlib, pathlib
django.setup()
names = [
    ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    for app in ("kodiai", "telemetry", "reviews") for file in pathlib.Path(app).rglob("*.py")
]
for name in names:
    importlib.import_module(name)
print(len(names), "imported")
"""
    environment = installation.environment("web") | {"DJANGO_SETTINGS_MODULE": "kodiai.settings"}
    done = installation.image.run(["python", "-c", script], environment)

    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split()[0]) > 60
