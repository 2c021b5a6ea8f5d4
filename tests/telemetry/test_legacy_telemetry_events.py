"""Executions in `telemetry_events`, where the legacy system's later versions keep them, are taken over as they are."""

from typing import Any

import pytest

from telemetry.models import Execution
from tests.support.databases import POSTGRES_URL
from tests.telemetry.legacy import (
    COMPOSITE,
    EVENTS,
    EXECUTIONS,
    INDEXES,
    OWN_COLUMN,
    ROWS,
    execution,
    make_legacy,
    migrate,
    steady_writer,
)
from tests.telemetry.stores import Store

pytestmark = [
    pytest.mark.database,
    pytest.mark.ops04,
    pytest.mark.skipif(not POSTGRES_URL, reason="the legacy system has this table on PostgreSQL only"),
]

TABLE = EXECUTIONS.replace("executions", "telemetry_events").replace("DOUBLE PRECISION", "REAL")


def source_row(delivery_id: str | None, at: str = "2026-01-01 01:00:00", cost: float = 0.1) -> str:
    name = "NULL" if delivery_id is None else f"'{delivery_id}'"
    return (
        "INSERT INTO telemetry_events (created_at, delivery_id, repo, pr_number, pr_author, event_type, model, "
        "input_tokens, duration_ms, cost_usd, conclusion, session_id, num_turns, stop_reason) VALUES "
        f"('{at}', {name}, 'acme/web', 7, 'octocat', 'push', 'a-model', 12, 3456, {cost}, 'success', 's-1', 3, 'end')"
    )


@pytest.fixture
def later(store: Store) -> Store:
    """A database of a later version, with a gap in the ids and rows without a delivery."""
    store.execute(TABLE, EVENTS.replace("DOUBLE PRECISION", "REAL"), INDEXES[2], COMPOSITE, *ROWS[:-1])
    store.execute(*[source_row(f"e-{number}", cost=number / 7) for number in range(30)])
    store.execute("DELETE FROM telemetry_events WHERE id = 4", source_row(None), source_row(None))
    return store


def without_own_column(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != OWN_COLUMN} for row in rows]


@pytest.mark.parametrize("fake_initial", [True, False], ids=["fake-initial", "plain"])
def test_every_row_is_taken_over_with_all_its_values(later: Store, fake_initial: bool) -> None:
    before = later.rows("telemetry_events")

    migrate(later, fake_initial=fake_initial)
    migrate(later)

    assert without_own_column(later.rows("executions")) == before
    assert later.rows("telemetry_events") == before
    assert later.rows("telemetry_events_copied") == before
    assert Execution._base_manager.using(later.alias).count() == len(before)


def test_rows_come_behind_those_that_kodiai_has_already(later: Store) -> None:
    migrate(later, "0006", fake_initial=True)
    later.execute(execution("kodiai"), execution("e-7").replace("pull_request.opened", "push"))
    own, source = later.rows("executions"), later.rows("telemetry_events")

    migrate(later)
    migrate(later, "0006")
    migrate(later)

    after = later.rows("executions")
    assert after[:2] == own
    taken = without_own_column(after[2:])
    for row, old in zip(taken, source, strict=True):
        delivery = None if old["delivery_id"] == "e-7" else old["delivery_id"]
        assert row == old | {"id": old["id"] + 2, "delivery_id": delivery}
    assert [row[OWN_COLUMN] for row in after if row[OWN_COLUMN]] == ["e-7"]


def test_the_legacy_system_goes_on_through_a_view(later: Store) -> None:
    migrate(later, fake_initial=True)

    later.execute(
        "INSERT INTO telemetry_events (delivery_id, repo, event_type, model, conclusion) "
        "VALUES ('live', 'acme/web', 'push', 'a-model', 'success')",
        "DELETE FROM telemetry_events WHERE delivery_id = 'e-1'",
    )

    rows = {row["delivery_id"]: row for row in later.rows("executions")}
    assert rows["live"]["created_at"] is not None
    assert rows["live"]["id"] == max(row["id"] for row in rows.values())
    assert "e-1" not in rows


def test_a_writer_that_never_pauses_loses_no_execution(later: Store) -> None:
    with steady_writer(later, source_row) as written:
        migrate(later, fake_initial=True)

    names = [row["delivery_id"] for row in later.rows("executions")]
    assert [name for name in names if name and name.startswith("live-")] == written


def test_a_table_of_another_program_is_left_alone(store: Store) -> None:
    make_legacy(store)
    store.execute("CREATE TABLE telemetry_events (id BIGSERIAL PRIMARY KEY, payload TEXT)")
    store.execute("INSERT INTO telemetry_events (payload) VALUES ('a')")

    migrate(store, fake_initial=True)

    assert store.rows("telemetry_events") == [{"id": 1, "payload": "a"}]
    assert len(store.rows("executions")) == 1
