"""No secret appears in any output, whichever path it takes through Kodiai, failing ones included."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from sandbox import Fault, FaultKind, Sandbox, webhook_payload
from sandbox.state.tokens import Tokens
from tests.support.running_kodiai import POSTGRES_URL, ROOT
from tests.support.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.database]

SECRETS = {
    "the secret key": "S3cretKey-0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "the first webhook secret": "Webh00k-One-77aa66bb55",
    "the second webhook secret": "Webh00k-Two-11cc22dd33",
    "password of the database": "Datab4se-Passw0rd-91",
    "password of the telemetry store": "Telem3try-Passw0rd-82",
    "password of the cache": "C4che-Passw0rd-73",
    "password of the queue": "Qu3ue-Passw0rd-46",
    "password of an admin": "Adm1n-Passw0rd-64",
    "a wrong password": "Wr0ng-Passw0rd-55",
}
SECONDS = 120.0
"""For a start, and for a run that is tried again, on a machine that does much else."""
ECHO = "you sent {authorization} and I say it again"


@dataclass
class Watched:
    """A Kodiai whose every output is kept, and the credentials that its GitHub saw."""

    url: str
    database: str
    environment: dict[str, str]
    process: "subprocess.Popen[bytes]"
    github: Sandbox
    log: Path
    credentials: set[str]
    said: list[str] = field(default_factory=list)
    """Answers of the web process, what commands printed, and command lines."""

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._kept(httpx.get(f"{self.url}{path}", **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._kept(httpx.post(f"{self.url}{path}", **options))

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        self.said.append(f"{answer.headers}\n{answer.text}")
        return answer

    def command(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.environment | environment,
            cwd=self.log.parent,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.said.append(done.stdout + done.stderr)
        return done

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        if self.database.startswith("postgres"):
            with psycopg.connect(self.database) as connection:
                return list(connection.execute(query).fetchall())  # type: ignore[arg-type]
        with closing(sqlite3.connect(self.database.removeprefix("sqlite:///"))) as connection:
            return connection.execute(query).fetchall()

    def everything_stored(self) -> str:
        """Every value of every table."""
        if self.database.startswith("postgres"):
            tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        else:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return "\n".join(repr(row) for (table,) in self.rows(tables) for row in self.rows(f'SELECT * FROM "{table}"'))

    def command_lines(self) -> str:
        """The command lines of all processes of this Kodiai: of its process group."""
        lines = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.getpgid(int(folder.name)) == os.getpgid(self.process.pid):
                    lines.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except (ProcessLookupError, FileNotFoundError):
                continue  # It ended in between.
        return "\n".join(lines)

    def all_secrets(self) -> dict[str, str]:
        """Each secret that was there, those that GitHub gave out included, by what it is."""
        key = "".join(self.github.private_key.splitlines()[3:5])
        lines = {f"line {number} of the key": line for number, line in enumerate(self.github.private_key.split("\n"))}
        return (
            SECRETS
            | {"the private key": key}
            | {what: line for what, line in lines.items() if len(line) > 8 and "-----" not in line}
            | {f"credential {number}": secret for number, secret in enumerate(sorted(self.credentials))}
        )

    def leaks(self, where: str, text: str) -> list[str]:
        flat = re.sub(r"\x1b\[[0-9;]*m", "", text)
        return [f"{what} in {where}" for what, secret in self.all_secrets().items() if secret in flat]


@pytest.fixture(params=[("true", "false"), ("false", "true")], ids=["json", "text-and-debug"])
def kodiai(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    credentials: set[str] = set()
    issue = Tokens.issue

    def remember(tokens: Tokens, *arguments: Any) -> Any:
        token = issue(tokens, *arguments)
        credentials.add(token.value)
        return token

    monkeypatch.setattr(Tokens, "issue", remember)
    log_json, debug = request.param
    name = f"secrets_{uuid.uuid4().hex}"
    if POSTGRES_URL:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        host = POSTGRES_URL.rpartition("/")[0].rpartition("@")[2]
        # The server of the tests asks for no password, and takes any.
        database = f"postgresql://postgres:{SECRETS['password of the database']}@{host}/{name}"
    else:
        database = f"sqlite:///{tmp_path / name}.sqlite3"
    with socket.socket() as free, socket.socket() as closed:
        free.bind(("127.0.0.1", 0))
        closed.bind(("127.0.0.1", 0))
        port, nobody = free.getsockname()[1], closed.getsockname()[1]
    secrets = f"{SECRETS['the first webhook secret']},{SECRETS['the second webhook secret']}"
    log = tmp_path / "kodiai.log"
    with Sandbox(webhook_secret=SECRETS["the first webhook secret"]) as github, log.open("wb") as output:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("KODIAI_")}
        environment = kept | {
            "DATABASE_URL": database,
            # Both fail all the time: nobody listens there.
            "KODIAI_TELEMETRY_DATABASE_URL": (
                f"postgresql://kodiai:{SECRETS['password of the telemetry store']}@127.0.0.1:{nobody}/telemetry"
            ),
            "KODIAI_CACHE_URL": f"redis://:{SECRETS['password of the cache']}@127.0.0.1:{nobody}/0",
            "PORT": str(port),
            "KODIAI_ENV_FILE": os.devnull,
            "KODIAI_SECRET_KEY": SECRETS["the secret key"],
            "KODIAI_GITHUB_API_URL": github.url,
            "KODIAI_GITHUB_APP_ID": str(github.app_id),
            "KODIAI_GITHUB_PRIVATE_KEY": github.private_key,
            "KODIAI_GITHUB_WEBHOOK_SECRET": secrets,
            "KODIAI_SWEEP_SECONDS": "1",
            "KODIAI_MAX_ATTEMPTS": "2",
            "KODIAI_LOG_JSON": log_json,
            "KODIAI_LOG_LEVEL": "DEBUG",
            "KODIAI_DEBUG": debug,
            "DJANGO_SETTINGS_MODULE": "kodiai.settings",
        }
        migrated = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "migrate", "--skip-checks"],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert migrated.returncode == 0, migrated.stderr
        output.write((migrated.stdout + migrated.stderr).encode())
        output.flush()
        process = subprocess.Popen(
            [sys.executable, "-c", _WEB_AND_WORKER, str(ROOT), str(port)],
            env=environment, cwd=tmp_path, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        watched = Watched(f"http://127.0.0.1:{port}", database, environment, process, github, log, credentials)
        try:
            eventually(lambda: _answers(watched.url) or process.poll() is not None, "the web server answers")
            assert process.poll() is None, log.read_text()
            yield watched
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()
                if POSTGRES_URL:
                    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
                        server.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


# `manage.py run` migrates the telemetry store too, and ends where that fails. This is what it starts after that.
_WEB_AND_WORKER = """
import os, sys
sys.path.insert(0, sys.argv[1])
import django
django.setup()
from kodiai.supervisor import Supervisor
Supervisor(host="127.0.0.1", port=int(sys.argv[2]), workers=1).run()
"""


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


FAULTS = {
    "401": ("pull", Fault(FaultKind.STATUS, status=401, message=ECHO)),
    "403": ("pull", Fault(FaultKind.STATUS, status=403, message=ECHO)),
    "422": ("create_review", Fault(FaultKind.STATUS, status=422, message=ECHO)),
    "500": ("files", Fault(FaultKind.STATUS, status=500, message=ECHO)),
    "reset": ("pull", Fault(FaultKind.RESET)),
    "broken": ("contents", Fault(FaultKind.BROKEN_JSON)),
    "graphql": ("graphql", Fault(FaultKind.STATUS, status=403, message=ECHO)),
    "graphql-words": ("graphql", Fault(FaultKind.WRONG_JSON, body={"errors": [{"message": "no"}]})),
    "token": ("installation_token", Fault(FaultKind.STATUS, status=401, message=ECHO)),
    "search": ("search", Fault(FaultKind.STATUS, status=403, message=ECHO)),
}
"""One at a time, for as long as the run lasts."""


def test_no_secret_is_found_in_anything_that_kodiai_gives_out(kodiai: Watched) -> None:
    github = kodiai.github
    unique = iter(range(1000))

    def run(repo_name: str, delivery_id: str) -> None:
        repo = github.create_repository(repo_name, files={"a.py": "x = 1\n"})
        pull = repo.open_pull_request(changes={"a.py": f"import os\nx = {next(unique)}\n"}, author="mona")
        sent = github.send_webhook(
            f"{kodiai.url}/webhooks/github", "pull_request", webhook_payload(pull, "opened"), delivery_id=delivery_id
        )
        assert sent.status_code == 202
        kodiai.said.append(sent.text)
        query = f"SELECT status FROM reviews_delivery WHERE delivery_id = '{delivery_id}'"
        eventually(lambda: kodiai.rows(query) in ([("done",)], [("failed",)]), f"{delivery_id} ends")

    run("octo/healthy", "healthy")
    for what, (route, fault) in FAULTS.items():
        github.fail(route, fault, times=None)
        run(f"octo/fault-{what}", what)
        github.clear_faults()
    failed = kodiai.rows("SELECT conclusion_reason FROM reviews_review WHERE conclusion_reason LIKE '%I say it again%'")
    assert len(failed) >= 3, "GitHub's words are kept, and are what makes this test one"

    _ask_the_web_process(kodiai)
    _run_commands_that_fail(kodiai)

    posted = json.dumps([(call.path, call.query, call.body) for call in github.calls])
    reviews = json.dumps([pull.reviews for repo in github.repositories.values() for pull in repo.pulls.values()])
    log = kodiai.log.read_text()
    assert "rate-limit-event not recorded" in log, "the telemetry store was asked"
    assert "cache failed" in log, "the cache was asked"
    assert len(kodiai.credentials) > len(FAULTS) / 2, "GitHub gave out tokens"
    assert "manage.py" in kodiai.command_lines()
    found = [
        *kodiai.leaks("the log", log),
        *kodiai.leaks("the database", kodiai.everything_stored()),
        *kodiai.leaks("what was posted to GitHub", posted + reviews),
        *kodiai.leaks("answers and what commands printed", "\n".join(kodiai.said)),
        *kodiai.leaks("command lines", kodiai.command_lines()),
    ]
    assert not found, "\n".join(found)
    everything = log + kodiai.everything_stored() + posted + reviews + "\n".join(kodiai.said)
    assert not re.search(r"eyJ[\w-]{8,}\.eyJ", everything), "a JSON web token"
    assert "[redacted]" in everything, "something had to be taken out"


def _ask_the_web_process(kodiai: Watched) -> None:
    """Right and wrong log-ins, bad webhooks, error pages, and a request that ends in an exception."""
    made = kodiai.command(
        "createsuperuser", "--noinput", "--username", "root", "--email", "", "--skip-checks",
        DJANGO_SUPERUSER_PASSWORD=SECRETS["password of an admin"],
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with httpx.Client(base_url=kodiai.url) as browser:
        for password in ("a wrong password", "password of an admin"):
            browser.get("/admin/login/")
            form = {"username": "root", "password": SECRETS[password], "next": "/admin/"}
            token = browser.cookies["csrftoken"]
            answer = browser.post("/admin/login/", data=form | {"csrfmiddlewaretoken": token})
            kodiai.said.append(answer.text)
        assert answer.status_code == 302
        for page in ("/admin/", "/admin/reviews/delivery/", "/admin/reviews/review/", "/admin/auth/user/"):
            shown = browser.get(page)
            assert shown.status_code == 200
            kodiai.said.append(shown.text)
        for (key,) in kodiai.rows("SELECT id FROM reviews_delivery"):
            kodiai.said.append(browser.get(f"/admin/reviews/delivery/{key}/change/").text)
    assert kodiai.post("/webhooks/github", content=b"{}", headers={"Content-Type": "application/json"}).is_error
    assert kodiai.get("/not-there").status_code == 404
    assert kodiai.get("/admin/login/", headers={"Host": "elsewhere.example"}).status_code == 400
    # The tables are gone under the intake's and the log-in's feet: an exception with all its local variables.
    _rename(kodiai, "reviews_delivery", "hidden_delivery")
    _rename(kodiai, "django_session", "hidden_session")
    body = b'{"action": "opened"}'
    request = kodiai.github.webhook("installation", {"action": "created", "installation": {"id": 1}}, "broken")
    answer = kodiai.post("/webhooks/github", content=request.body, headers=request.headers)
    assert answer.status_code == 503, answer.text
    answer = kodiai.get("/admin/", cookies={"sessionid": "x" * 32})
    assert answer.status_code == 500, body
    _rename(kodiai, "hidden_session", "django_session")
    _rename(kodiai, "hidden_delivery", "reviews_delivery")


def _rename(kodiai: Watched, table: str, name: str) -> None:
    if kodiai.database.startswith("postgres"):
        with psycopg.connect(kodiai.database, autocommit=True) as connection:
            connection.execute(f"ALTER TABLE {table} RENAME TO {name}")  # type: ignore[arg-type]
    else:
        with closing(sqlite3.connect(kodiai.database.removeprefix("sqlite:///"), timeout=20)) as connection:
            # References of other tables stay as they are.
            connection.execute("PRAGMA legacy_alter_table = ON")
            connection.execute(f"ALTER TABLE {table} RENAME TO {name}")
            connection.commit()


def _run_commands_that_fail(kodiai: Watched) -> None:
    """Set-ups that are wrong in a way that concerns a secret: each says so, and none repeats it."""
    password = SECRETS["password of the database"]
    key = kodiai.github.private_key
    for arguments, environment, says in (
        (
            ("check",),
            {"DATABASE_URL": f"postgresql://kodiai:{password}/x@db:5432/kodiai"},
            "DATABASE_URL is not a valid URL",
        ),
        (
            ("check",),
            {"KODIAI_TELEMETRY_DATABASE_URL": f"postgresql://k:{password}#@db/k"},
            "KODIAI_TELEMETRY_DATABASE",
        ),
        (
            ("check",),
            {"KODIAI_CACHE_URL": f"redis://:{SECRETS['password of the cache']}/@cache:1/0"},
            "KODIAI_CACHE_URL",
        ),
        (("check",), {"KODIAI_CACHE_URL": f"nonsense://:{password}@cache/0"}, "KODIAI_CACHE_URL is not a valid URL"),
        (
            ("check",),
            {"KODIAI_TASKS_URL": f"redis://:{SECRETS['password of the queue']}/@queue:1/0"},
            "KODIAI_TASKS_URL",
        ),
        (("migrate",), {"DATABASE_URL": f"postgresql://kodiai:{password}@127.0.0.1:1/kodiai"}, "127.0.0.1"),
        (("check", "--fail-level=WARNING"), {"KODIAI_SECRET_KEY": SECRETS["the secret key"][:20]}, "32 characters"),
        (("check",), {"KODIAI_GITHUB_PRIVATE_KEY": "", "KODIAI_GITHUB_WEBHOOK_SECRET": ""}, "kodiai.E001"),
        (("check",), {"KODIAI_GITHUB_PRIVATE_KEY": key[:200] + "!" + key[200:]}, "kodiai.E004"),
        (("check",), {"KODIAI_GITHUB_PRIVATE_KEY": "\n".join(key.splitlines()[1:-1])}, "kodiai.E004"),
    ):
        done = kodiai.command(*arguments, **environment)
        assert done.returncode != 0, (arguments, environment.keys())
        assert says in done.stderr, done.stderr[-2000:]
