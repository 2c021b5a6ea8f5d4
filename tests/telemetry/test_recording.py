"""What a caller of `telemetry.recording` may rely on."""

import logging
from typing import Any

import pytest
from django.db import connection, transaction

from telemetry.models import Execution, RateLimitEvent
from telemetry.recording import record_execution, record_rate_limit_event
from tests.support.factories import RateLimitEventFactory, event_values, execution_values

pytestmark = [pytest.mark.database, pytest.mark.django_db]

BOTH = [
    pytest.param(record_rate_limit_event, RateLimitEvent, event_values, "rate_limit_event", id="event"),
    pytest.param(record_execution, Execution, execution_values, "execution", id="execution"),
]


@pytest.mark.parametrize("delivery_id", ["d-1", None])
@pytest.mark.parametrize(("record", "model", "values", "kind"), BOTH)
def test_it_stores_every_value_and_returns_the_row(
    record: Any, model: Any, values: Any, kind: str, delivery_id: str | None
) -> None:
    row = record(**values(delivery_id=delivery_id))

    assert model.objects.values(*values()).get(pk=row.pk) == values(delivery_id=delivery_id)
    assert row.created_at is not None


def test_what_a_run_did_not_use_is_stored_as_zero() -> None:
    measured = dict.fromkeys(
        ["duration_ms", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens", "cost_usd"], 0
    )

    record_execution(**{name: value for name, value in execution_values().items() if name not in measured})

    assert Execution.objects.values(*measured).get() == measured


@pytest.mark.ops04
def test_it_keeps_the_first_write_when_a_delivery_is_replayed() -> None:
    first = record_rate_limit_event(**event_values())
    before = RateLimitEvent.objects.values().get()

    replayed = record_rate_limit_event(**event_values(repo="acme/other", pr_number=8, retry_attempts=9))

    assert replayed == first
    assert (replayed.repo, replayed.retry_attempts) == ("acme/web", 1)
    assert RateLimitEvent.objects.values().get() == before


@pytest.mark.ops04
def test_a_run_that_ends_a_second_time_changes_its_one_execution() -> None:
    first = record_execution(**execution_values(conclusion="error"))

    again = record_execution(**execution_values(conclusion="success"))

    assert again == first
    assert Execution.objects.get().conclusion == "success"


@pytest.mark.ops04
@pytest.mark.parametrize(("record", "model", "values", "kind"), BOTH)
def test_it_keeps_one_row_for_each_event_type_of_a_delivery(record: Any, model: Any, values: Any, kind: str) -> None:
    opened = record(**values(event_type="pull_request.opened"))
    created = record(**values(event_type="issue_comment.created"))

    assert opened != created
    assert model.objects.count() == 2


@pytest.mark.ops04
@pytest.mark.parametrize(("record", "model", "values", "kind"), BOTH)
def test_it_always_writes_a_row_for_a_run_without_a_delivery(record: Any, model: Any, values: Any, kind: str) -> None:
    rows = [record(**values(delivery_id=None)) for _ in range(3)]

    assert len({row.pk for row in rows}) == model.objects.count() == 3


@pytest.mark.ops05
@pytest.mark.parametrize(("record", "model", "values", "kind"), BOTH)
@pytest.mark.parametrize("error", [RuntimeError("out of luck"), MemoryError(), RecursionError(), ValueError("NUL")])
def test_any_failure_is_one_warning_with_the_whole_event(
    record: Any,
    model: Any,
    values: Any,
    kind: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(**kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(model.objects, "get_or_create" if model is RateLimitEvent else "update_or_create", fail)

    assert record(**values()) is None

    [warning] = caplog.records
    assert (warning.name, warning.levelno) == ("telemetry.recording", logging.WARNING)
    assert warning.getMessage() == f"{kind.replace('_', '-')} not recorded"
    assert getattr(warning, kind) == values()
    assert warning.error == f"{type(error).__name__}: {error}"
    assert warning.exc_info[1] is error


@pytest.mark.ops05
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_it_lets_through_what_ends_the_process(interrupt: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(**kwargs: Any) -> None:
        raise interrupt

    monkeypatch.setattr(RateLimitEvent.objects, "get_or_create", stop)

    with pytest.raises(interrupt):
        record_rate_limit_event(**event_values())


@pytest.mark.ops05
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delivery_id", ["bad", None])
def test_a_failure_keeps_the_callers_transaction(delivery_id: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with transaction.atomic():
        RateLimitEventFactory(delivery_id="before")
        assert record_rate_limit_event(**event_values(delivery_id=delivery_id, cache_hit_rate=2.0)) is None
        RateLimitEventFactory(delivery_id="after")

    assert set(RateLimitEvent.objects.values_list("delivery_id", flat=True)) == {"before", "after"}
    assert len(caplog.records) == 1


@pytest.mark.ops05
@pytest.mark.django_db(transaction=True)
def test_it_goes_away_with_the_callers_transaction() -> None:
    with transaction.atomic():
        assert record_rate_limit_event(**event_values()) is not None
        transaction.set_rollback(True)

    assert not RateLimitEvent.objects.exists()


@pytest.mark.ops05
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("values", [event_values(), event_values(cache_hit_rate=2.0)], ids=["stored", "refused"])
@pytest.mark.parametrize("in_transaction", [True, False])
def test_it_leaves_the_time_outs_of_the_connection_as_they_were(values: dict[str, Any], in_transaction: bool) -> None:
    def time_outs() -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
            else:
                cursor.execute("PRAGMA busy_timeout")
            return cursor.fetchall()

    def observe() -> None:
        if connection.vendor == "postgresql" and in_transaction:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '7s'")
                cursor.execute("SET LOCAL statement_timeout = '1min'")
        before = time_outs()
        record_rate_limit_event(**values)
        assert time_outs() == before

    if in_transaction:
        with transaction.atomic():
            observe()
    else:
        observe()


@pytest.mark.ops05
@pytest.mark.django_db(transaction=True)
def test_it_fails_quietly_in_a_broken_transaction() -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        assert record_rate_limit_event(**event_values()) is None

    assert not RateLimitEvent.objects.exists()
    assert record_rate_limit_event(**event_values()) is not None
