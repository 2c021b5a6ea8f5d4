"""No secret appears in any output, whichever path it takes through Kodiai, failing ones included."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import Fault, FaultKind
from sandbox.state.tokens import Tokens
from tests.support.databases import POSTGRES_URL, Database, empty_database
from tests.support.running_kodiai import Kodiai, free_port, running_kodiai
from tests.support.waiting import PATIENCE, eventually

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
ECHO = "you sent {authorization} and I say it again"


@dataclass
class Watched:
    """A Kodiai whose every output is kept, and the credentials that its GitHub saw."""

    kodiai: Kodiai
    credentials: set[str]
    faults: list[str]
    """Which of `FAULTS` its runs meet."""
    said: list[str] = field(default_factory=list)
    """Answers of the web process, and what commands printed."""

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.kept(httpx.get(f"{self.kodiai.url}{path}", timeout=PATIENCE, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.kept(httpx.post(f"{self.kodiai.url}{path}", timeout=PATIENCE, **options))

    def kept(self, answer: httpx.Response) -> httpx.Response:
        self.said.append(f"{answer.headers}\n{answer.text}")
        return answer

    def command(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        done = self.kodiai.manage(*arguments, **settings)
        self.said.append(done.stdout + done.stderr)
        return done

    def everything_stored(self) -> str:
        """Every value of every table."""
        if POSTGRES_URL:
            tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        else:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
        return "\n".join(
            repr(row) for (table,) in self.kodiai.rows(tables) for row in self.kodiai.rows(f'SELECT * FROM "{table}"')
        )

    def command_lines(self) -> str:
        """The command lines of all processes of this Kodiai: of its process group."""
        lines = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.getpgid(int(folder.name)) == os.getpgid(self.kodiai.process.pid):
                    lines.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except (ProcessLookupError, FileNotFoundError):
                continue  # It ended in between.
        return "\n".join(lines)

    def all_secrets(self) -> dict[str, str]:
        """Each secret that was there, those that GitHub gave out included, by what it is."""
        key = "".join(self.kodiai.github.private_key.splitlines()[3:5])
        lines = {
            f"line {number} of the key": line for number, line in enumerate(self.kodiai.github.private_key.split("\n"))
        }
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
def watched(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    credentials: set[str] = set()
    issue = Tokens.issue

    def remember(tokens: Tokens, *arguments: Any) -> Any:
        token = issue(tokens, *arguments)
        credentials.add(token.value)
        return token

    monkeypatch.setattr(Tokens, "issue", remember)
    log_json, debug = request.param
    nobody = f"127.0.0.1:{free_port()}"
    with empty_database(tmp_path) as database:
        settings = {
            # The server of the tests asks for no password, and takes any.
            "DATABASE_URL": database.replace("postgres@", f"postgres:{SECRETS['password of the database']}@"),
            # Both fail all the time: nobody listens there.
            "KODIAI_TELEMETRY_DATABASE_URL": (
                f"postgresql://kodiai:{SECRETS['password of the telemetry store']}@{nobody}/telemetry"
            ),
            "KODIAI_CACHE_URL": f"redis://:{SECRETS['password of the cache']}@{nobody}/0",
            "KODIAI_SECRET_KEY": SECRETS["the secret key"],
            "KODIAI_GITHUB_WEBHOOK_SECRET": (
                f"{SECRETS['the first webhook secret']},{SECRETS['the second webhook secret']}"
            ),
            "KODIAI_MAX_ATTEMPTS": "2",
            "KODIAI_MAX_DEFERRAL": "3",
            "KODIAI_LOG_JSON": log_json,
            "KODIAI_LOG_LEVEL": "DEBUG",
            "KODIAI_DEBUG": debug,
        }
        secret = SECRETS["the first webhook secret"]
        with running_kodiai(tmp_path, secret=secret, command=("-c", _WEB_AND_WORKER), **settings) as kodiai:
            yield Watched(kodiai, credentials, ALL if log_json == "true" else ALL[::4])


# `manage.py run` migrates the telemetry store too, and ends where that fails. This is what it does beside that.
_WEB_AND_WORKER = """
import os, django
django.setup()
from django.core.management import call_command
from kodiai.supervisor import Supervisor
call_command("migrate", skip_checks=True)
Supervisor(host="127.0.0.1", port=int(os.environ["PORT"]), workers=1).run()
"""


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
ALL = list(FAULTS)


def test_no_secret_is_found_in_anything_that_kodiai_gives_out(watched: Watched) -> None:
    kodiai, github = watched.kodiai, watched.kodiai.github
    unique = iter(range(1000))

    def run(repo_name: str, delivery_id: str) -> None:
        repo = github.create_repository(repo_name, files={"a.py": "x = 1\n"})
        pull = repo.open_pull_request(changes={"a.py": f"import os\nx = {next(unique)}\n"}, author="mona")
        sent = kodiai.send(pull, delivery_id=delivery_id)
        assert sent.status_code == 202
        watched.said.append(sent.text)
        query = f"SELECT status FROM reviews_delivery WHERE delivery_id = '{delivery_id}'"
        eventually(lambda: kodiai.rows(query) in ([("done",)], [("failed",)]), f"{delivery_id} ends")

    run("octo/healthy", "healthy")
    for what in watched.faults:
        route, fault = FAULTS[what]
        github.fail(route, fault, times=None)
        run(f"octo/fault-{what}", what)
        github.clear_faults()
    failed = kodiai.rows("SELECT conclusion_reason FROM reviews_review WHERE conclusion_reason LIKE '%I say it again%'")
    assert len(failed) >= len(watched.faults) // 3, "GitHub's words are kept, and are what makes this test one"

    _ask_the_web_process(watched)
    if watched.faults == ALL:
        _run_commands_that_fail(watched)

    posted = json.dumps([(call.path, call.query, call.body) for call in github.calls])
    reviews = json.dumps([pull.reviews for repo in github.repositories.values() for pull in repo.pulls.values()])
    log = kodiai.log.read_text()
    assert "rate-limit-event not recorded" in log, "the telemetry store was asked"
    assert "cache failed" in log, "the cache was asked"
    assert len(watched.credentials) > len(watched.faults) / 2, "GitHub gave out tokens"
    assert "manage.py" in watched.command_lines()
    found = [
        *watched.leaks("the log", log),
        *watched.leaks("the database", watched.everything_stored()),
        *watched.leaks("what was posted to GitHub", posted + reviews),
        *watched.leaks("answers and what commands printed", "\n".join(watched.said)),
        *watched.leaks("command lines", watched.command_lines()),
    ]
    assert not found, "\n".join(found)
    everything = log + watched.everything_stored() + posted + reviews + "\n".join(watched.said)
    assert not re.search(r"eyJ[\w-]{8,}\.eyJ", everything), "a JSON web token"
    assert "[redacted]" in everything, "something had to be taken out"


def _ask_the_web_process(watched: Watched) -> None:
    """Right and wrong log-ins, bad webhooks, error pages, and a request that ends in an exception."""
    kodiai = watched.kodiai
    made = watched.command(
        "createsuperuser", "--noinput", "--username", "root", "--email", "", "--skip-checks",
        DJANGO_SUPERUSER_PASSWORD=SECRETS["password of an admin"],
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with httpx.Client(base_url=kodiai.url, timeout=PATIENCE) as browser:
        for password in ("a wrong password", "password of an admin"):
            browser.get("/admin/login/")
            form = {"username": "root", "password": SECRETS[password], "next": "/admin/"}
            token = browser.cookies["csrftoken"]
            answer = watched.kept(browser.post("/admin/login/", data=form | {"csrfmiddlewaretoken": token}))
        assert answer.status_code == 302
        for page in ("/admin/", "/admin/reviews/delivery/", "/admin/reviews/review/", "/admin/auth/user/"):
            assert watched.kept(browser.get(page)).status_code == 200
        for (key,) in kodiai.rows("SELECT id FROM reviews_delivery"):
            watched.kept(browser.get(f"/admin/reviews/delivery/{key}/change/"))
    assert watched.post("/webhooks/github", content=b"{}", headers={"Content-Type": "application/json"}).is_error
    assert watched.get("/not-there").status_code == 404
    assert watched.get("/admin/login/", headers={"Host": "elsewhere.example"}).status_code == 400
    # The tables are gone under the intake's and the log-in's feet: an exception with all its local variables.
    _rename(kodiai, "reviews_delivery", "hidden_delivery")
    _rename(kodiai, "django_session", "hidden_session")
    body = b'{"action": "opened"}'
    request = kodiai.github.webhook("installation", {"action": "created", "installation": {"id": 1}}, "broken")
    answer = watched.post("/webhooks/github", content=request.body, headers=request.headers)
    assert answer.status_code == 503, answer.text
    answer = watched.get("/admin/", cookies={"sessionid": "x" * 32})
    assert answer.status_code == 500, body
    _rename(kodiai, "hidden_session", "django_session")
    _rename(kodiai, "hidden_delivery", "reviews_delivery")


def _rename(kodiai: Kodiai, table: str, name: str) -> None:
    # On SQLite, references of other tables stay as they are.
    patient = () if POSTGRES_URL else ("PRAGMA busy_timeout = 20000", "PRAGMA legacy_alter_table = ON")
    Database(kodiai.database).execute(*patient, f"ALTER TABLE {table} RENAME TO {name}")


def _run_commands_that_fail(watched: Watched) -> None:
    """Set-ups that are wrong in a way that concerns a secret: each says so, and none repeats it."""
    password = SECRETS["password of the database"]
    key = watched.kodiai.github.private_key
    cache, tasks = SECRETS["password of the cache"], SECRETS["password of the queue"]
    check = ("check",)
    for arguments, settings, says in (
        (
            check,
            {"DATABASE_URL": f"postgresql://kodiai:{password}/x@db:5432/kodiai"},
            "DATABASE_URL is not a valid URL",
        ),
        (check, {"KODIAI_TELEMETRY_DATABASE_URL": f"postgresql://k:{password}#@db/k"}, "KODIAI_TELEMETRY_DATABASE"),
        (check, {"KODIAI_CACHE_URL": f"redis://:{cache}/@cache:1/0"}, "KODIAI_CACHE_URL"),
        (check, {"KODIAI_CACHE_URL": f"nonsense://:{password}@cache/0"}, "KODIAI_CACHE_URL is not a valid URL"),
        (check, {"KODIAI_TASKS_URL": f"redis://:{tasks}/@queue:1/0"}, "KODIAI_TASKS_URL"),
        (("migrate",), {"DATABASE_URL": f"postgresql://kodiai:{password}@127.0.0.1:1/kodiai"}, "127.0.0.1"),
        ((*check, "--fail-level=WARNING"), {"KODIAI_SECRET_KEY": SECRETS["the secret key"][:20]}, "32 characters"),
        (check, {"KODIAI_GITHUB_PRIVATE_KEY": "", "KODIAI_GITHUB_WEBHOOK_SECRET": ""}, "kodiai.E001"),
        (check, {"KODIAI_GITHUB_PRIVATE_KEY": key[:200] + "!" + key[200:]}, "kodiai.E004"),
        (check, {"KODIAI_GITHUB_PRIVATE_KEY": "\n".join(key.splitlines()[1:-1])}, "kodiai.E004"),
    ):
        done = watched.command(*arguments, **settings)
        assert done.returncode != 0, (arguments, settings.keys())
        assert says in done.stderr, done.stderr[-2000:]
