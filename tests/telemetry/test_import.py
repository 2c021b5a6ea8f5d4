"""`manage.py import_telemetry` merges each legacy shape: nothing twice, nothing lost, whatever interrupts it."""

import io
import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from telemetry import import_sources, importing
from telemetry.exporting import as_csv, as_json_lines
from telemetry.import_sources import open_source
from telemetry.models import Execution, RateLimitEvent
from tests.support.databases import POSTGRES_URL, Database, empty_database
from tests.support.factories import ExecutionFactory, RateLimitEventFactory
from tests.support.processes import python
from tests.telemetry.legacy import (
    EVENTS,
    EXECUTIONS,
    INDEXES,
    ROWS,
    STARTS,
    event,
    execution,
    make_bare,
    make_empty,
    make_legacy,
)
from tests.telemetry.stores import Store

pytestmark = [pytest.mark.database, pytest.mark.ops04]

TABLES = ("rate_limit_events", "executions")
NO_SUCH_TABLE = (sqlite3.OperationalError, psycopg.errors.UndefinedTable)
LEGACY_FILE = Path(__file__).parents[3] / "shared/data/legacy-telemetry.sqlite3"


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    """An empty database of another installation. Django does not know it."""
    folder = tmp_path / "source"
    folder.mkdir()
    with empty_database(folder) as url:
        yield Store(url, "unknown to Django")


def make_with_events_table(store: Store) -> None:
    """A later version on PostgreSQL: executions in `telemetry_events`."""
    table = EXECUTIONS.replace("executions", "telemetry_events").replace("DOUBLE PRECISION", "REAL")
    store.execute(table, EVENTS, INDEXES[2], *ROWS[:-1], ROWS[-1].replace("executions", "telemetry_events"))
    store.execute("UPDATE telemetry_events SET cost_usd = 0.1")


def make_with_duplicates(store: Store) -> None:
    """(d) No index ever kept an identity apart; one time is unreadable."""
    make_bare(store)
    store.execute(event("d-3").replace("0.25", "0.75"), event("d-3"), execution("d-1").replace("success", "failure"))
    if not store.is_postgresql:
        store.execute(event(None, at="garbage"), event("d-99", at=""))


# The first two have one row.
SHAPES = [shape for shape in STARTS if shape is not make_empty] + [make_with_events_table, make_with_duplicates]


def address(source: Database) -> str:
    return source.url if source.is_postgresql else source.url.removeprefix("sqlite:///")


def import_from(source: str, *arguments: str) -> list[dict[str, Any]]:
    output = io.StringIO()
    call_command("import_telemetry", source, "--json", *arguments, stdout=output)
    outcomes: list[dict[str, Any]] = json.loads(output.getvalue())
    return outcomes


def contents(store: Database, delivery: str = "delivery_id") -> dict[str, Counter[tuple[Any, ...]]]:
    """The rows of both tables, each without its id and its time."""
    columns = {
        "rate_limit_events": "repo, pr_number, cache_hit_rate, skipped_queries, retry_attempts, degradation_path",
        "executions": "repo, pr_number, provider, model, input_tokens, duration_ms, cost_usd, conclusion",
        "telemetry_events": "repo, pr_number, provider, model, input_tokens, duration_ms, cost_usd, conclusion",
    }
    found: dict[str, Counter[tuple[Any, ...]]] = {table: Counter() for table in TABLES}
    for table, names in columns.items():
        try:
            rows = store.fetch(f"SELECT {delivery}, event_type, {names} FROM {table}")
        except NO_SUCH_TABLE:
            continue
        found["rate_limit_events" if table == "rate_limit_events" else "executions"].update(rows)
    return found


def without_copies(rows: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """Of rows with a delivery one each: written twice with the same values they say the same."""
    return Counter({row: 1 if row[0] is not None else count for row, count in rows.items()})


def assert_merged(own_store: Store, source: Store) -> None:
    expected = {table: without_copies(rows) for table, rows in contents(source).items()}
    assert contents(own_store, "coalesce(delivery_id, legacy_delivery_id)") == expected
    for table in TABLES:
        twice = f"SELECT delivery_id FROM {table} WHERE delivery_id IS NOT NULL GROUP BY delivery_id, event_type"
        assert own_store.fetch(f"{twice} HAVING count(*) > 1") == []


@pytest.mark.sampled(4)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_imported_twice_loses_and_doubles_nothing(
    own_store: Store, source: Store, shape: Callable[[Store], None]
) -> None:
    shape(source)
    before = contents(source)

    first = import_from(address(source))
    assert_merged(own_store, source)
    rows = {table: own_store.rows(table) for table in TABLES}
    second = import_from(address(source))

    assert {table: own_store.rows(table) for table in TABLES} == rows
    assert sum(outcome["new"] + outcome["conflicts"] for outcome in first) == sum(map(len, rows.values()))
    assert [outcome["new"] for outcome in second] == [0] * len(first)
    for outcome in first + second:
        assert outcome["new"] + outcome["equal"] + outcome["conflicts"] == outcome["read"]
    assert contents(source) == before


KILLED_IN_THE_THIRD_BATCH = """
import os, signal, sys
import django; django.setup()
from django.core.management import call_command
from telemetry import import_sources, importing
import_sources.BATCH = 7
store, stored = importing._Target._store, []
def killed(*arguments):
    if len(stored) == 2: os.kill(os.getpid(), signal.SIGKILL)
    stored.append(store(*arguments))
importing._Target._store = killed
call_command("import_telemetry", sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES[2:])
def test_an_import_killed_between_batches_is_completed(
    own_store: Store, source: Store, tmp_path: Path, shape: Callable[[Store], None]
) -> None:
    shape(source)
    settings = {
        "KODIAI_SECRET_KEY": "of a test", "DATABASE_URL": f"sqlite:///{tmp_path}/unused.sqlite3",
        "KODIAI_TELEMETRY_DATABASE_URL": own_store.url,
    }  # fmt: skip
    killed = python("-c", KILLED_IN_THE_THIRD_BATCH, address(source), **settings)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(own_store.rows("rate_limit_events")) == 14

    import_from(address(source))

    assert_merged(own_store, source)


def test_the_first_write_wins_and_the_conflict_is_reported(own_store: Store, source: Store) -> None:
    make_legacy(source)
    RateLimitEventFactory(
        delivery_id="d-1", repo="acme/web", pr_number=7, cache_hit_rate=1.0, skipped_queries=1, retry_attempts=1
    )
    ExecutionFactory(delivery_id="d-1", event_type="issue_comment.created")
    output = io.StringIO()

    call_command("import_telemetry", address(source), stdout=output)

    assert RateLimitEvent.objects.get(delivery_id="d-1").cache_hit_rate == 1.0
    assert RateLimitEvent.objects.get(legacy_delivery_id="d-1").cache_hit_rate == 0.25
    assert Execution.objects.filter(delivery_id="d-1").count() == 2
    assert output.getvalue().splitlines() == [
        "rate_limit_events: 55 read, 54 new, 0 equal, 1 in conflict, 0 refused",
        "  conflict, row 2: d-1 pull_request.opened: cache_hit_rate 1.0, not 0.25, "
        "degradation_path 'none', not 'search-api-rate-limit'",
        "executions: 1 read, 1 new, 0 equal, 0 in conflict, 0 refused",
    ]


def test_a_row_that_cannot_be_stored_is_named(own_store: Store, source: Store) -> None:
    make_bare(source)
    source.execute("UPDATE rate_limit_events SET cache_hit_rate = 1.5 WHERE id = 3")
    output = io.StringIO()

    with pytest.raises(CommandError, match=r"Rows not imported: 1\."):
        call_command("import_telemetry", address(source), stdout=output)

    assert "refused, row 3: cache_hit_rate 1.5 is not in 0 to 1" in output.getvalue()
    assert RateLimitEvent.objects.count() == 54


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_an_export_is_merged_like_its_database(own_store: Store, tmp_path: Path, suffix: str) -> None:
    values = {
        "delivery_id": ["d-1", None], "event_type": "push", "repo": "acme/web", "pr_number": [7, None],
        "cache_hit_rate": 0.1, "skipped_queries": 0, "retry_attempts": 0, "degradation_path": "none",
        "created_at": "2026-01-01T01:00:00.250000Z", "id": 1, "unknown": "x",
    }  # fmt: skip
    rows = [
        {name: value[index] if isinstance(value, list) else value for name, value in values.items()} for index in (0, 1)
    ]
    export = tmp_path / f"export.{suffix}"
    # Of JSON what is null may lack.
    lines = [" " + json.dumps({name: value for name, value in row.items() if value is not None}) for row in rows]
    if suffix == "csv":
        cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
        lines = [",".join(line) for line in [list(values), *cells]]
        export.write_text("\n".join(lines) + "\n")
    else:
        export.write_text("\n" + "\n".join(lines))

    for new in (2, 0):
        [outcome] = import_from(str(export))
        assert (outcome["new"], outcome["equal"]) == (new, 2 - new)

    first, second = RateLimitEvent.objects.order_by("id")
    assert (first.delivery_id, first.pr_number, second.delivery_id, second.pr_number) == ("d-1", 7, None, None)
    assert first.created_at.isoformat() == "2026-01-01T01:00:00.250000+00:00"


@pytest.mark.parametrize("write", [as_csv, as_json_lines])
def test_what_kodiai_exports_is_equal_when_it_is_imported(
    own_store: Store, tmp_path: Path, write: Callable[..., Iterator[str]]
) -> None:
    for text in ("=1+1", "-d", "@at", "plain", "'quoted'", "x" * 200_000):
        RateLimitEventFactory(delivery_id=text, repo=text)
    columns = [field.attname for field in RateLimitEvent._meta.concrete_fields]
    export = tmp_path / "export"
    export.write_text("".join(write(RateLimitEvent.objects.all(), columns)), newline="")

    [outcome] = import_from(str(export))

    assert (outcome["read"], outcome["equal"], outcome["new"], outcome["conflicts"]) == (6, 6, 0, 0)


def test_a_text_that_no_database_stores_is_refused(own_store: Store, tmp_path: Path) -> None:
    row = {
        "event_type": "push", "cache_hit_rate": 0.1, "skipped_queries": 0, "retry_attempts": 0,
        "degradation_path": "none",
    }  # fmt: skip
    export = tmp_path / "export.jsonl"
    repos = ("\ud800", {"name": "acme"}, "acme/\N{SNOWMAN}")
    export.write_text("\n".join(json.dumps({**row, "repo": repo}) for repo in repos))

    with pytest.raises(CommandError, match=r"Rows not imported: 2\."):
        call_command("import_telemetry", str(export))
    assert RateLimitEvent.objects.get().repo == "acme/\N{SNOWMAN}"


COLUMNS = (
    "Repo TEXT, Event_Type TEXT, Cache_Hit_Rate REAL, Skipped_Queries INTEGER, Retry_Attempts INTEGER, "
    "Degradation_Path TEXT, Number TEXT, Delivery_Id TEXT GENERATED ALWAYS AS (Number) VIRTUAL"
)


@pytest.mark.parametrize("key", ["id INTEGER PRIMARY KEY", "id INTEGER", "id TEXT", "id INTEGER NOT NULL PRIMARY KEY"])
def test_no_shape_of_a_sqlite_table_loses_a_row(own_store: Store, tmp_path: Path, key: str) -> None:
    """Ids that are null or twice, names in other letter case, generated columns, a table without rowid."""
    ids = ("NULL", "1", "1") if "PRIMARY" not in key else ("1", "2", "3")
    with closing(sqlite3.connect(tmp_path / "odd.sqlite3", isolation_level=None)) as odd:
        odd.execute(f"CREATE TABLE Rate_Limit_Events ({key}, {COLUMNS}){' WITHOUT ROWID' if 'NOT NULL' in key else ''}")
        for number, row_id in enumerate(ids):
            odd.execute(
                "INSERT INTO rate_limit_events (id, repo, event_type, cache_hit_rate, skipped_queries, retry_attempts, "
                f"degradation_path, number) VALUES ({row_id}, 'acme/web', 'push', 0.5, 0, 0, 'none', 'd-{number}')"
            )

    assert [outcome["new"] for outcome in import_from(str(tmp_path / "odd.sqlite3"))] == [3]
    assert set(RateLimitEvent.objects.values_list("delivery_id", flat=True)) == {"d-0", "d-1", "d-2"}


def test_a_file_in_use_is_read_and_not_written(own_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite3"
    if POSTGRES_URL:
        pytest.skip("SQLite's file")
    make_legacy(Store(f"sqlite:///{path}", "unknown to Django"))
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(event("live"))
        before = path.read_bytes()

        import_from(f"sqlite:///{path}")

        assert path.read_bytes() == before
        writer.execute("COMMIT")
    import_from(str(path))
    assert RateLimitEvent.objects.filter(delivery_id="live").count() == 1


def test_a_source_cannot_be_written_to(source: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    make_legacy(source)
    driver: Any = psycopg if POSTGRES_URL else sqlite3
    connect, opened = driver.connect, []

    def remember(*args: Any, **options: Any) -> Any:
        opened.append(connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr(driver, "connect", remember)

    refusals = (sqlite3.OperationalError, psycopg.errors.ReadOnlySqlTransaction)
    with open_source(address(source)), pytest.raises(refusals, match=r"readonly|read-only"):
        opened[0].execute("DELETE FROM executions")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory."),
        (b"", "SOURCE holds no telemetry"),
        (b"SQLite format 3\0 and nothing else", "cannot be read as a SQLite file: file is not a database."),
        (b'{"repo": "acme/web"}\n', "Line 1 of SOURCE is neither a rate-limit event nor an execution."),
        (b'{"conclusion": "success"}\n', "is not one of telemetry: it has no repo, event_type, model."),
        (b"{oops\n", "is neither a SQLite file nor an export"),
        (b"a,b\n1,2\n", "Line 2 of SOURCE is neither"),
        (b"\xff\xfe\n", "is neither a SQLite file nor an export"),
        (b'{"a":' + b"[" * 100_000, "is neither a SQLite file nor an export"),
        (b'{"degradation_path": 1}\n[["degradation_path", "x"]]', "line 2 is no object"),
    ],
)
def test_a_source_that_is_none_is_named(own_store: Store, tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "source"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CommandError) as refused:
        call_command("import_telemetry", str(path))

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("mysql://root:geheim@db.example/telemetry", "begins with mysql://. Accepted are a path, sqlite:///path and"),
        ("postgresql+psycopg://root:geheim@db.example/t", "begins with postgresql+psycopg://. Accepted are a path"),
        ("sqlite://root:geheim@db.example/t", "begins with sqlite://. Accepted are a path"),
        ("host=127.0.0.1 user=root password=geheim", "SOURCE cannot be read: No such file or directory."),
        ("PostgreSQL://root:geheim@127.0.0.1:1/t", "The PostgreSQL database of SOURCE cannot be read: "),
        ("postgresql://root:geh%eim@127.0.0.1:1/t", "is not an address that PostgreSQL reads"),
        ("postgresql://root:x@geheim@127.0.0.1:1/t", "is not an address that PostgreSQL reads"),
        ("postgresql://root:x/geheim@127.0.0.1:1/t", "is not an address that PostgreSQL reads"),
        ("postgresql://root:geheim", "is not an address that PostgreSQL reads"),
        ("postgresql://127.0.0.1:1/t?password=geheim&x", "is not an address that PostgreSQL reads"),
    ],
)
def test_no_message_shows_a_password(own_store: Store, source: str, sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("import_telemetry", source)

    assert sentence in str(refused.value)
    assert "eim" not in str(refused.value)


def test_a_scheme_may_be_in_any_letter_case(own_store: Store, source: Store) -> None:
    make_bare(source)
    scheme, _, rest = source.url.partition("://")

    assert sum(outcome["new"] for outcome in import_from(f"{scheme.title()}://{rest}")) == 56


def test_an_import_that_is_stopped_says_so_and_is_completed(
    own_store: Store, source: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bare(source)
    monkeypatch.setattr(import_sources, "BATCH", 7)
    check, checked = importing._Target._check_ranges, []

    def stop(*arguments: Any) -> None:
        checked.append(check(*arguments))
        if len(checked) == 20:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(importing._Target, "_check_ranges", stop)
        with pytest.raises(CommandError, match=r"^Stopped\. What was imported") as stopped:
            call_command("import_telemetry", address(source))

    assert stopped.value.returncode == 130
    assert len(own_store.rows("rate_limit_events")) == 14
    import_from(address(source))
    assert_merged(own_store, source)


@pytest.mark.skipif(bool(POSTGRES_URL), reason="a column of PostgreSQL holds values of its type")
@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("rate_limit_events", "skipped_queries", "'n/a'"),
        ("rate_limit_events", "repo", "'acme/' || char(0)"),
        ("executions", "cost_usd", "'$0.1'"),
        ("executions", "created_at", "'garbage'"),
    ],
)
def test_a_row_here_that_is_unreadable_stops_no_import(
    own_store: Store, source: Store, table: str, column: str, value: str
) -> None:
    nameless = (event(None), execution("d-1"), "UPDATE executions SET delivery_id = NULL")
    source.execute(EXECUTIONS, EVENTS, *nameless)
    own_store.execute(*nameless, f"UPDATE {table} SET {column} = {value}")

    outcomes = {outcome["table"]: outcome["new"] for outcome in import_from(address(source))}

    assert outcomes == {"rate_limit_events": 0, "executions": 0, table: 1}
    assert sum(outcome["new"] for outcome in import_from(address(source))) == 0


@pytest.mark.skipif(not LEGACY_FILE.exists(), reason="the file of the legacy system is not on this machine")
def test_the_legacy_systems_own_file_is_imported(own_store: Store) -> None:
    for new in (400, 0):
        assert [outcome["new"] for outcome in import_from(str(LEGACY_FILE))] == [new, new]
    assert RateLimitEvent.objects.exclude(delivery_id=None).count() == 385
