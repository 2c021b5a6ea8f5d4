"""What is held on one person is exported and erased; counts, identities and work under way stay."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import models

from reviews.maintenance import personal_data
from reviews.maintenance.personal_data import INVENTORY, OUT_OF_SCOPE, Person
from reviews.maintenance.verification import verify
from reviews.models import Delivery, DeliveryStatus, IgnoredFinding, Review, Turn
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from telemetry.models import Execution, RateLimitEvent
from tests.support.commands import thread_on
from tests.support.databases import Database
from tests.support.factories import (
    DeliveryFactory,
    ExecutionFactory,
    IgnoredFindingFactory,
    PeriodicTaskFactory,
    ReviewFactory,
    TurnFactory,
)
from tests.support.processes import python
from tests.support.runs import admit, run, say

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def command(*arguments: str) -> str:
    output = io.StringIO()
    call_command("personal_data", *arguments, stdout=output)
    return output.getvalue()


def everything() -> Iterator[tuple[str, dict[str, Any]]]:
    for model in INVENTORY:
        for row in model._base_manager.values():
            yield model._meta.db_table, row


def tables_that_name(login: str) -> set[str]:
    person = Person(login)
    return {table for table, row in everything() if person.mentioned_in(json.dumps(row, default=str))}


def counts() -> dict[str, int]:
    return {model._meta.db_table: model._base_manager.count() for model in INVENTORY if model is not Turn}


def test_every_column_of_text_is_in_the_inventory() -> None:
    kinds = (models.CharField, models.TextField, models.JSONField)
    held = {
        model: {each.name for each in model._meta.concrete_fields if isinstance(each, kinds)}
        for model in apps.get_models()
        if model._meta.app_label not in OUT_OF_SCOPE
    }

    assert {model: set(columns) for model, columns in INVENTORY.items()} == held


def test_a_person_is_erased_and_nothing_is_acted_on_twice(pull: PullRequest) -> None:
    first = admit(pull, delivery_id="of-mona")
    run(first)
    run(say(pull, "@kodiai ignore", by="mona", to=thread_on(pull, "F401")))
    run(say(pull, "@kodiai pause", by="mona"))
    TurnFactory(author="mona")
    PeriodicTaskFactory(failure="Refused: @Mona, mona-lisa and mona[bot]")
    before, reviews = counts(), len(pull.reviews)
    exported = [json.loads(line) for line in command("export", "MONA").splitlines()]

    assert {each["table"] for each in exported} == tables_that_name("mona") > {"reviews_turn", "executions"}
    assert "1 would be erased" in command("erase", "mona", "--dry-run")
    assert tables_that_name("mona") == {each["table"] for each in exported}

    assert "reviews_ignoredfinding.ignored_by: 1 erased\n" in command("erase", "@Mona")
    assert tables_that_name("mona") == set()
    assert tables_that_name("mona-lisa") == tables_that_name("mona[bot]") == {"reviews_periodictask"}
    assert counts() == before
    assert command("erase", "mona") == "Nothing to erase.\n"
    # GitHub sends it again, and the pause holds.
    assert admit(pull, delivery_id="of-mona").pk == first.pk
    assert run(admit(pull, "synchronize", sender="octocat")).conclusion == "skipped"
    assert len(pull.reviews) == reviews
    assert [check.violations for check in verify(None, ask_github=False)] == [[]] * 6


def test_work_under_way_is_left_until_it_has_ended(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_data, "BATCH", 1)
    waiting = admit(pull)
    DeliveryFactory.create_batch(2, sender="mona", author="mona")
    pending = ReviewFactory(pr_author="mona", execution_recorded_at=None, delivery__sender="mona")
    ExecutionFactory(pr_author="mona", delivery_id=pending.delivery.delivery_id, event_type=pending.delivery.event_type)
    TurnFactory(author="mona", installation_id=waiting.installation_id)

    with pytest.raises(CommandError, match="were left: 2"):
        command("erase", "mona")
    assert set(Delivery.objects.filter(sender="mona")) == {waiting, pending.delivery}
    assert Turn.objects.filter(author="mona").exists()
    assert Execution.objects.filter(pr_author="mona").exists()

    assert run(waiting).published_at
    Review.objects.filter(pk=pending.pk).update(execution_recorded_at=pending.finished_at)
    command("erase", "mona")
    assert tables_that_name("mona") == set()


def test_a_failed_run_of_an_erased_person_can_be_requeued(github: Sandbox, pull: PullRequest) -> None:
    github.fail("create_review", Fault(FaultKind.STATUS, status=403))
    delivery = admit(pull)
    run(delivery)
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.FAILED

    command("erase", "mona")
    assert tables_that_name("mona") == set()
    call_command("recover", delivery.delivery_id, stdout=io.StringIO())

    review = run(delivery)
    assert (review.conclusion, review.pr_author, review.author_tier) == ("success", "mona", "regular")
    assert len(pull.reviews) == 1
    assert RateLimitEvent.objects.count() == Execution.objects.count() == 1


def test_an_installation_is_erased_and_its_rows_still_count(pull: PullRequest) -> None:
    review = run(admit(pull))
    run(say(pull, "@kodiai ignore", by="mona", to=thread_on(pull, "F401")))
    RateLimitEvent.objects.create(
        repo="octo/demo", event_type="x", cache_hit_rate=0, skipped_queries=0, retry_attempts=0, degradation_path="none"
    )
    other = IgnoredFindingFactory()
    number = str(review.delivery.installation_id)
    before, exported = counts(), command("export", "--installation", number)

    assert len(exported.splitlines()) == 11
    command("erase", "--installation", number)
    assert not [row for row in everything() if "octo/demo" in json.dumps(row, default=str)]
    assert tables_that_name("mona") == set()
    assert counts() == before
    assert IgnoredFinding.objects.filter(pk=other.pk, repo=other.repo, ignored_by=other.ignored_by).exists()
    assert len(set(RateLimitEvent.objects.values_list("repo", flat=True))) == 1
    assert command("erase", "--installation", number) == "Nothing to erase.\n"
    assert [check.violations for check in verify(None, ask_github=False)] == [[]] * 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["erase"], "Give a LOGIN or --installation"),
        (["erase", "mona", "--installation", "1"], "one of them"),
        (["erase", "%"], "not a login"),
        (["export", "mona", "--dry-run"], "changes nothing"),
    ],
)
def test_a_wrong_command_line_erases_nothing(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        command(*arguments)


@pytest.mark.slow
def test_a_separate_store_of_telemetry_is_erased_too(tmp_path: Path) -> None:
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/kodiai.sqlite3",
        "KODIAI_TELEMETRY_DATABASE_URL": f"sqlite:///{tmp_path}/telemetry.sqlite3",
        "KODIAI_SECRET_KEY": "erase" * 10,
    }
    store = Database(settings["KODIAI_TELEMETRY_DATABASE_URL"])
    assert python("manage.py", "run", "--prepare", **settings).returncode == 0
    store.execute(
        "INSERT INTO executions (delivery_id, event_type, repo, pr_author, provider, model, conclusion)"
        " VALUES ('d-1', 'pull_request.opened', 'octo/demo', 'Mona', 'kodiai', 'analyzers', 'success')"
    )

    erased = python("manage.py", "personal_data", "erase", "mona", **settings)

    assert (erased.returncode, erased.stdout) == (0, "executions.pr_author: 1 erased\n"), erased.stderr
    assert store.fetch("SELECT delivery_id, pr_author FROM executions") == [("d-1", "[erased]")]
