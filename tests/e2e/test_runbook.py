"""docs/runbook.md: each command runs in its situation and prints what the page shows."""

import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox import Fault, FaultKind, PullRequest
from tests.support.databases import POSTGRES_URL, Database
from tests.support.processes import ROOT, bound, forked
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import PATIENCE, eventually

PAGE = (ROOT / "docs" / "runbook.md").read_text()
KIND = "postgresql" if POSTGRES_URL else "sqlite"
ADDRESS = "http://127.0.0.1:8000"
"""Kodiai's on the page; the tests' own has another port."""
PYTHON = ".venv/bin/python "
WORKER = f"{PYTHON}manage.py worker"
NOW = "now()" if POSTGRES_URL else "strftime('%Y-%m-%d %H:%M:%f', 'now')"
OVER = f"lease_owner != '' AND lease_expires_at < {NOW}"
A_WHILE = timedelta(minutes=10)


@dataclass(frozen=True)
class Command:
    """A command of the page, and the lines that it is to print."""

    line: str
    prints: str

    def matches(self, output: str) -> bool:
        """Return whether the page shows this output: `…` stands for anything, and alone on a line for any lines."""
        lines = [r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in self.shown]
        # curl adds no line break of its own.
        return (
            re.fullmatch("".join(lines), output if output.endswith("\n") or not output else f"{output}\n") is not None
        )

    @property
    def shown(self) -> list[str]:
        return self.prints.splitlines()


def parts() -> dict[str, list[list[Command]]]:
    """The blocks of commands of each part of the page, without those of the other database."""
    found: dict[str, list[list[Command]]] = {}
    for part in PAGE.split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        blocks = re.findall(r"^```console(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE)
        found[heading] = [_commands(body) for kind, body in blocks if kind.strip() in ("", KIND)]
    return found


def _commands(body: str) -> list[Command]:
    starts = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    return [Command(*start.partition("\n")[::2]) for start in starts]


class Shell:
    """Runs the page's commands as an operator would: in the installation's folder, with Kodiai's settings."""

    def __init__(self, kodiai: Kodiai, **variables: str) -> None:
        self._kodiai = kodiai
        self._environment = kodiai.environment | variables

    def run(self, *commands: Command) -> None:
        for command in commands:
            if "manage.py worker" in command.line:
                output = self.run_worker(lambda: nothing_waits(self._kodiai))
            else:
                process = self.start(command.line)
                output, errors = process.communicate(timeout=PATIENCE)
                assert process.returncode == 0, f"$ {command.line}\nended with {process.returncode}: {output}{errors}"
            said = f"$ {command.line}\nprinted:\n{output}\nand the page says:\n{command.prints}"
            assert command.matches(output), said

    def start(self, line: str) -> "subprocess.Popen[str]":
        line = line.replace(ADDRESS, self._kodiai.url).replace(PYTHON, f"{shlex.join(forked())} ")
        return subprocess.Popen(
            bound("bash", "-euo", "pipefail", "-c", line),
            env=self._environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run_worker(self, until: Callable[[], bool]) -> str:
        """Run the one command that goes on until it is stopped; return the line with which it starts."""
        process = self.start(f"exec {WORKER}")
        try:
            eventually(until, "the worker has done what it was started for")
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        return next(line for line in errors.splitlines(keepends=True) if "worker started" in line)


@pytest.fixture(scope="module")
def without_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kodiai]:
    """A web server whose workers are away, so that each situation stays until the page's commands end it."""
    more = {
        "KODIAI_HTTPS": "true",
        "KODIAI_ALLOWED_HOSTS": "kodiai.example.org",
        "KODIAI_SECRET_KEY": "a-key-of-the-tests-" + "0123456789abcdefghijklmnop" * 2,
    }
    with running_kodiai(tmp_path_factory.mktemp("runbook"), workers=0, **more) as kodiai:
        yield kodiai


def new_pull(kodiai: Kodiai) -> PullRequest:
    repo = kodiai.github.repositories.get("octo/runbook") or kodiai.github.create_repository("octo/runbook")
    number = len(repo.pulls)
    return repo.open_pull_request(changes={"a.py": f"x = {number}\n"}, author=f"author-{number}")


def work(kodiai: Kodiai, until: Callable[[], bool]) -> None:
    """Let a worker work until something is true."""
    Shell(kodiai).run_worker(until)


def part(heading: str) -> list[Command]:
    return [command for block in parts()[heading] for command in block]


def test_every_part_of_the_page_is_tested_here() -> None:
    source = Path(__file__).read_text()

    assert [heading for heading, blocks in parts().items() if blocks and f'"{heading}"' not in source] == []
    assert len(re.findall(r"^\$ ", PAGE, re.MULTILINE)) >= 20


def test_what_the_page_shows_is_compared_with_what_is_printed() -> None:
    shown = Command("…", "…\nFailed: 1 of …\n")

    assert shown.matches("a\nb\nFailed: 1 of 2\n")
    assert shown.matches("Failed: 1 of \n")
    assert not shown.matches("a\nFailed: 1\n")
    assert not shown.matches("Failed: 1 of 2\nc\n")


def test_check_the_state(without_workers: Kodiai) -> None:
    Shell(without_workers).run(*part("Check the state"))


def test_deliveries_are_waiting(without_workers: Kodiai) -> None:
    pull = new_pull(without_workers)
    without_workers.send(pull)

    Shell(without_workers).run(*part("Deliveries are waiting"))
    assert len(pull.reviews) == 1


def test_workers_died(without_workers: Kodiai) -> None:
    pull = new_pull(without_workers)
    held = without_workers.github.fail("files", Fault(FaultKind.APPLIED_THEN_DELAYED))
    without_workers.send(pull)
    worker = Shell(without_workers).start(f"exec {WORKER}")
    assert held.reached.wait(PATIENCE)
    worker.kill()
    worker.communicate()
    held.release()
    eventually(
        lambda: without_workers.rows(f"SELECT count(*) FROM reviews_review WHERE {OVER}") == [(1,)], "lease over"
    )

    Shell(without_workers).run(*part("Workers died"))
    work(without_workers, lambda: len(pull.reviews) == 1 and nothing_waits(without_workers))


def test_runs_failed(without_workers: Kodiai) -> None:
    pull = new_pull(without_workers)
    without_workers.github.fail("pull", Fault(FaultKind.STATUS, status=403))
    without_workers.send(pull, delivery_id="failed-run")
    work(without_workers, lambda: status(without_workers, "failed-run") == "failed")

    Shell(without_workers, DELIVERY="failed-run").run(*part("Runs failed"))
    work(without_workers, lambda: status(without_workers, "failed-run") == "done")
    assert len(pull.reviews) == 1


def test_telemetry_is_pending(without_workers: Kodiai) -> None:
    pull, database = new_pull(without_workers), Database(without_workers.database)
    rename = "ALTER TABLE {} RENAME TO {}"
    database.execute(rename.format("rate_limit_events", "away"))
    without_workers.send(pull, delivery_id="pending")
    work(without_workers, lambda: status(without_workers, "pending") == "done")
    database.execute(rename.format("away", "rate_limit_events"))
    assert len(pull.reviews) == 1

    Shell(without_workers).run(*part("Telemetry is pending"))
    assert without_workers.rows("SELECT count(*) FROM rate_limit_events WHERE delivery_id = 'pending'") == [(1,)]


def test_rate_limits(without_workers: Kodiai) -> None:
    pull = new_pull(without_workers)
    without_workers.github.fail("files", Fault(FaultKind.PRIMARY_LIMIT, reset_in=20))
    without_workers.send(pull)
    deferred = "SELECT count(*) FROM reviews_review WHERE deferred_since IS NOT NULL AND finished_at IS NULL"
    work(without_workers, lambda: without_workers.rows(deferred) == [(1,)])

    Shell(without_workers).run(*part("Rate limits"))
    work(without_workers, lambda: len(pull.reviews) == 1 and nothing_waits(without_workers))


def test_github_cannot_be_reached(without_workers: Kodiai) -> None:
    pull = new_pull(without_workers)
    without_workers.github.fail("*", Fault(FaultKind.RESET), times=None)
    without_workers.send(pull)
    work(without_workers, lambda: without_workers.rows("SELECT count(*) FROM reviews_githuboutage") == [(1,)])

    Shell(without_workers).run(*part("GitHub cannot be reached"))
    without_workers.github.clear_faults()
    work(without_workers, lambda: len(pull.reviews) == 1 and nothing_waits(without_workers))


def test_deliveries_were_missed(without_workers: Kodiai) -> None:
    pull = new_pull(without_workers)
    without_workers.end()
    assert without_workers.send(pull, delivery_id="missed").status_code == 0
    without_workers.start()
    without_workers.github.backdate_hook_deliveries(A_WHILE)

    look, ask, look_again = part("Deliveries were missed")
    Shell(without_workers).run(look, ask)
    without_workers.github.wait_for_redeliveries()
    Shell(without_workers).run(look_again)
    work(without_workers, lambda: len(pull.reviews) == 1 and nothing_waits(without_workers))


@pytest.mark.database
def test_the_disk_is_full(without_workers: Kodiai) -> None:
    columns = "repo, event_type, cache_hit_rate, skipped_queries, retry_attempts, degradation_path, created_at"
    values = "'o/r', 'x', 0, 0, 0, 'none', '2020-01-01 00:00:00+00:00'"
    Database(without_workers.database).execute(f"INSERT INTO rate_limit_events ({columns}) VALUES ({values})")

    Shell(without_workers).run(*part("The disk is full"))


def test_rotate_a_secret(without_workers: Kodiai) -> None:
    make = "from django.contrib.auth.models import User; User.objects.create_superuser('left')"
    shell = Shell(without_workers, ADMIN="left")
    shell.run(Command(f'.venv/bin/python manage.py shell --no-imports --command "{make}"', "…\n"))

    shell.run(*part("Rotate a secret"))
    assert without_workers.rows("SELECT count(*) FROM auth_user WHERE username = 'left' AND is_active") == [(0,)]


@pytest.mark.database
def test_back_up_and_restore(without_workers: Kodiai, tmp_path: Path) -> None:
    shell = Shell(without_workers, BACKUP=str(tmp_path / "backup"))
    backup, restore, ask = parts()["Back up and restore"]
    early, late = new_pull(without_workers), new_pull(without_workers)

    without_workers.send(early, delivery_id="waits-at-the-backup")
    shell.run(*backup)
    without_workers.send(late, delivery_id="after-the-backup")
    work(without_workers, lambda: nothing_waits(without_workers))
    assert (len(early.reviews), len(late.reviews)) == (1, 1)
    without_workers.end()
    shell.run(*restore)
    without_workers.start()
    assert status(without_workers, "waits-at-the-backup") == "queued"
    assert status(without_workers, "after-the-backup") is None
    without_workers.github.backdate_hook_deliveries(A_WHILE)
    shell.run(*ask)
    without_workers.github.wait_for_redeliveries()
    done = ("waits-at-the-backup", "after-the-backup")
    work(without_workers, lambda: all(status(without_workers, each) == "done" for each in done))

    assert (len(early.reviews), len(late.reviews)) == (1, 1)
    for table in ("rate_limit_events", "executions"):
        query = f"SELECT count(*) FROM {table} WHERE delivery_id IN {done}"
        assert without_workers.rows(query) == [(2,)]


def test_export_and_erase_one_persons_data(without_workers: Kodiai) -> None:
    repo = without_workers.github.repositories.get("octo/runbook") or without_workers.github.create_repository(
        "octo/runbook"
    )
    pull = repo.open_pull_request(changes={"a.py": "x = 'forget'\n"}, author="forget-me")
    without_workers.send(pull, delivery_id="of-forget-me")
    work(without_workers, lambda: status(without_workers, "of-forget-me") == "done")

    Shell(without_workers, LOGIN="forget-me").run(*part("Export and erase one person's data"))
    query = "SELECT pr_author FROM executions WHERE delivery_id = 'of-forget-me'"
    assert without_workers.rows(query) == [("[erased]",)]


def test_upgrade_and_roll_back(without_workers: Kodiai) -> None:
    Shell(without_workers).run(*part("Upgrade and roll back"))
    Shell(without_workers).run(Command(".venv/bin/python manage.py migrate", "…\n"), *part("Check the state"))


# What the situations are made of


def nothing_waits(kodiai: Kodiai) -> bool:
    return kodiai.rows("SELECT count(*) FROM reviews_delivery WHERE status IN ('queued', 'running')") == [(0,)]


def status(kodiai: Kodiai, delivery_id: str) -> str | None:
    """The status of a delivery; None where the inbox does not have it."""
    rows = kodiai.rows(f"SELECT status FROM reviews_delivery WHERE delivery_id = '{delivery_id}'")
    return rows[0][0] if rows else None
