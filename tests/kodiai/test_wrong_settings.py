"""Whatever is wrong with a setting is one sentence at start that names it and what to do."""

import json
import os
import re
import socket
import stat
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from kodiai.configuration import SETTINGS, InvalidSettings, documents, load, read, unknown_names
from sandbox.app import key_pair
from tests.support.processes import python
from tests.support.wrong_settings import HUSH, OTHERS, RIGHT, Case, document, outcomes

TABLE = Path(settings.BASE_DIR) / "docs" / "verification" / "settings.md"
D7 = {
    "KODIAI_HTTPS": "enabled",
    "KODIAI_WORKERS": "x",
    "KODIAI_GITHUB_APP_ID": "my-app",
    "KODIAI_GITHUB_API_URL": "api.github.com",
    "DATABASE_URL": "foo",
    "KODIAI_SECRET_KEY": "",
}

MIGRATE_AND_LIST = """
import django, json, os, pathlib, sys
os.umask(0o022)
django.setup()
from django.core.management import call_command
for alias in ("default", "telemetry"):
    call_command("migrate", database=alias, verbosity=0)
print(json.dumps({file.name: file.stat().st_mode & 0o777 for file in pathlib.Path(sys.argv[1]).iterdir()}))
"""


def named(how: str) -> list[tuple[Case, list[str]]]:
    return [(case, sentences) for case, sentences in outcomes() if case.how == how]


@pytest.mark.parametrize("how", ["wrong type", "out of range"])
def test_a_value_that_cannot_be_read_stops_with_a_sentence(how: str) -> None:
    for case, sentences in named(how):
        (sentence,) = sentences
        assert sentence.startswith(f"stops: {case.name}")
        assert re.search("must be |write |set it to ", sentence), sentence


def test_a_misspelt_name_is_met_with_the_right_one() -> None:
    for case, sentences in named("misspelt"):
        typed = case.name[:-1]
        expected = [f"{typed} is set, but no setting has this name: did you mean {case.name}?"]
        assert sentences == (expected if typed.startswith("KODIAI_") else [])


def test_a_missing_and_an_empty_setting_are_the_same() -> None:
    for (missing, sentences), (_, same) in zip(named("missing"), named("empty"), strict=True):
        assert sentences == same
        assert all(missing.name in sentence for sentence in sentences)
        assert len(sentences) == (missing.name in {*RIGHT, "KODIAI_GITHUB_PRIVATE_KEY"})


def test_other_mistakes_are_one_sentence_each() -> None:
    for case, sentences in outcomes()[-len(OTHERS) :]:
        assert len(sentences) == (case.how != "blanks around it"), (case, sentences)
        assert all(case.name.removesuffix("_FILE") in sentence for sentence in sentences)


def test_no_sentence_holds_a_secret_or_a_second_line() -> None:
    key = set(key_pair()[0].splitlines()) | set(key_pair()[1].splitlines())
    everything = [sentence for _, sentences in outcomes() for sentence in sentences]

    assert not [sentence for sentence in everything if HUSH in sentence or "\n" in sentence]
    assert not [line for line in key for sentence in everything if line in sentence]


def test_the_table_of_settings_is_as_written() -> None:
    if os.environ.get("KODIAI_TEST_WRITE_SETTINGS"):
        TABLE.write_text(document(), encoding="utf-8")

    assert TABLE.read_text(encoding="utf-8") == document()


def test_the_example_and_the_page_are_as_declared() -> None:
    page = documents.PAGE.read_text(encoding="utf-8")

    assert documents.EXAMPLE.read_text(encoding="utf-8") == documents.env_example()
    assert page == documents.page(page)
    assert all(setting.name in page for setting in SETTINGS)


def test_the_example_changes_nothing_but_what_is_needed(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(documents.env_example().replace("KODIAI_SECRET_KEY=\n", "KODIAI_SECRET_KEY=k3y\n"))
    every = file.read_text().replace("\n#KODIAI_", "\nKODIAI_")

    assert load({}, file) == read({"KODIAI_SECRET_KEY": "k3y"})
    file.write_text(every)
    assert load({}, file) == read({"KODIAI_SECRET_KEY": "k3y"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("KODIAI_ALLOWED_HOSTS", "[::1"),
        ("KODIAI_ALLOWED_HOSTS", "::1]"),
        ("HOST", "[::1"),
        ("KODIAI_MAIL_SERVER", "smtp://octo:25#x@mail.example.org"),
        ("KODIAI_GITHUB_API_URL", "https://www.github.com"),
    ],
)
def test_an_address_that_is_half_read_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        read({**RIGHT, name: text})


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    configuration = read({**RIGHT, "KODIAI_METRICS_TOKEN_FILE": str(tmp_path / "secret")})
    assert configuration.metrics_token == "s3cret"


def test_the_folder_of_a_databases_socket_is_decoded() -> None:
    configuration = read({**RIGHT, "DATABASE_URL": "postgresql://%2Fvar%2Frun%2Fpostgresql/kodiai"})
    assert configuration.database_url["HOST"] == "/var/run/postgresql"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("60s", 60), ("1m", 60), ("1h", 3600), (" 1.5m ", 90), ("1 H", 3600), ("1d", 86_400)],
)
def test_durations_take_units(text: str, seconds: float) -> None:
    assert read({**RIGHT, "KODIAI_LEASE_SECONDS": text}).lease_seconds == seconds


@pytest.mark.parametrize("arguments", [("run",), ("no-such-command",)])
def test_every_command_names_all_that_is_wrong(arguments: tuple[str, ...]) -> None:
    done = python("manage.py", *arguments, **D7)

    assert done.returncode == 1
    assert done.stdout == ""
    assert sorted(line.split()[0] for line in done.stderr.splitlines()) == sorted(D7)


@pytest.mark.slow
def test_a_start_names_what_means_nothing(tmp_path: Path) -> None:
    right = {**RIGHT, "KODIAI_GITHUB_PRIVATE_KEY": key_pair()[0], "DATABASE_URL": f"sqlite:///{tmp_path}/k.sqlite3"}
    done = python("manage.py", "check", **{**right, "KODIAI_WEBHOOK_SECRET": HUSH, "KODIAI_ALLOWED_HOSTS": ""})

    assert done.returncode == 0
    assert "did you mean KODIAI_GITHUB_WEBHOOK_SECRET?" in done.stderr
    assert "KODIAI_ALLOWED_HOSTS names no host" in done.stderr
    assert HUSH not in done.stderr


def test_names_that_kubernetes_sets_are_no_settings() -> None:
    service = {
        "KODIAI_SERVICE_HOST": "10.0.0.1",
        "KODIAI_PORT": "tcp://10.0.0.1:80",
        "KODIAI_PORT_80_TCP_ADDR": "10.0.0.1",
    }

    assert unknown_names(service) == []
    assert unknown_names({"KODIAI_PORT": "80"}) != []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"KODIAI_WORKERS = 2\n", "cannot be read in line 1: write NAME=value"),
        (b"# key\nKODIAI_GITHUB_PRIVATE_KEY=-----BEGIN\nhunter2\n", "cannot be read in line 3: write NAME=value"),
        (b"KODIAI_WORKERS=\xff\n", "is not text in UTF-8"),
    ],
)
def test_a_broken_env_file_is_named_and_not_repeated(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)

    with pytest.raises(InvalidSettings) as invalid:
        load(dict(RIGHT), file)
    assert says in str(invalid.value)
    assert "hunter2" not in str(invalid.value)


def test_an_env_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfKODIAI_WORKERS=7\r\n")

    assert load(dict(RIGHT), file).workers == 7


def test_an_env_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"KODIAI_ENV_FILE .* does not exist"):
        load({**RIGHT, "KODIAI_ENV_FILE": str(tmp_path / "gone")}, tmp_path / ".env")


def test_a_configuration_does_not_show_its_secrets() -> None:
    shown = repr(read({**RIGHT, "DATABASE_URL": f"postgresql://mona:{HUSH}@db/kodiai"}))
    assert HUSH not in shown
    assert RIGHT["KODIAI_SECRET_KEY"] not in shown


@pytest.mark.slow
def test_a_failing_database_is_a_sentence() -> None:
    done = python("manage.py", "migrate", **{**RIGHT, "DATABASE_URL": f"postgresql://mona:{HUSH}@127.0.0.1:1/kodiai"})

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("The database failed: connection")
    assert "Traceback" not in done.stderr
    assert HUSH not in done.stderr


@pytest.mark.slow
def test_the_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    urls = {
        "DATABASE_URL": f"sqlite:///{folder}/kodiai.sqlite3",
        "KODIAI_TELEMETRY_DATABASE_URL": f"sqlite:///{folder}/telemetry.sqlite3",
    }
    done = python("-c", MIGRATE_AND_LIST, str(folder), **RIGHT, **urls)

    assert done.returncode == 0, done.stderr
    modes = json.loads(done.stdout)
    assert set(modes.values()) == {0o600}
    assert {"kodiai.sqlite3-wal", "kodiai.sqlite3-shm", "telemetry.sqlite3-wal"} <= modes.keys()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.slow
def test_a_database_that_others_may_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "kodiai.sqlite3"
    file.touch(0o644)
    file.chmod(0o644)
    done = python("manage.py", "check", **RIGHT, DATABASE_URL=f"sqlite:///{file}")

    assert f"{file} can be read by other users of this machine." in done.stderr
    assert f"chmod go= {file}" in done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


# A port in use


@pytest.mark.django_db
def test_a_port_in_use_is_reported_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            CommandError, match=f"^Port {port} is already in use. Set another one with PORT or --port.$"
        ):
            call_command("run", port=port)
