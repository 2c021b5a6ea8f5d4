"""From GitHub's webhook to the published review, through the real web server, worker and database."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from sandbox import Fault, FaultKind
from tests.support.running_kodiai import Kodiai
from tests.support.waiting import eventually

pytestmark = [pytest.mark.ops04, pytest.mark.database, pytest.mark.queue]


def count(kodiai: Kodiai, table: str, delivery_id: str) -> int:
    return int(kodiai.rows(f"SELECT count(*) FROM {table} WHERE delivery_id = '{delivery_id}'")[0][0])


def finished(kodiai: Kodiai, delivery_id: str) -> bool:
    return count(kodiai, "executions", delivery_id) > 0


def test_a_signed_webhook_becomes_one_review_and_one_row_each(kodiai: Kodiai) -> None:
    repo = kodiai.github.create_repository("octo/first", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": "import os\nx = 1\n"}, author="mona")

    answer = kodiai.send(pull, delivery_id="first-light")

    assert (answer.status_code, answer.json()) == (202, {"delivery": "first-light", "status": "queued"})
    eventually(lambda: finished(kodiai, "first-light"), "the run ends")
    assert len(pull.reviews) == 1
    assert pull.reviews[0]["comments"][0]["line"] == 1
    assert count(kodiai, "rate_limit_events", "first-light") == 1
    assert count(kodiai, "executions", "first-light") == 1


def test_a_delivery_sent_twenty_times_at_once_is_one_run(kodiai: Kodiai) -> None:
    repo = kodiai.github.create_repository("octo/at-once", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": "x = 2\n"}, author="mona")
    delivery_id = str(uuid4())

    with ThreadPoolExecutor(20) as senders:
        answers = list(senders.map(lambda _: kodiai.send(pull, delivery_id=delivery_id), range(20)))

    assert [answer.status_code for answer in answers] == [202] * 20
    assert sorted(answer.json()["status"] for answer in answers) == ["duplicate"] * 19 + ["queued"]
    eventually(lambda: finished(kodiai, delivery_id), "the run ends")
    assert kodiai.send(pull, delivery_id=delivery_id).json()["status"] == "duplicate"
    assert len(pull.reviews) == 1
    assert count(kodiai, "rate_limit_events", delivery_id) == count(kodiai, "executions", delivery_id) == 1
    assert kodiai.rows("SELECT count(*) FROM reviews_review WHERE repo = 'octo/at-once'") == [(1,)]


def test_a_deferred_run_goes_on_by_itself_after_the_reset(kodiai: Kodiai) -> None:
    repo = kodiai.github.create_repository("octo/limited", files={"a.py": "x = 1\n"})
    pull = repo.open_pull_request(changes={"a.py": "x = 2\n"}, author="mona")
    delivery_id = str(uuid4())
    kodiai.github.fail("create_review", Fault(FaultKind.PRIMARY_LIMIT, reset_in=1))

    kodiai.send(pull, delivery_id=delivery_id)

    eventually(lambda: finished(kodiai, delivery_id), "the run ends")
    assert len(pull.reviews) == 1
    assert [entry for entry in kodiai.events() if entry["event"] == "run deferred"]
    assert count(kodiai, "rate_limit_events", delivery_id) == 1
