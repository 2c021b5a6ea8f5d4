"""Budgets of the language model: checked before each call, counted whatever becomes of the run."""

from dataclasses import asdict
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from reviews.engines import llm
from reviews.engines.llm.budget import LLMBudget
from reviews.exceptions import LeaseLost
from reviews.findings import Report
from reviews.models import LanguageModelUsage, Review
from sandbox import PullRequest, Repository, Sandbox
from sandbox.llm import ModelServer, Reply
from tests.support.factories import LanguageModelUsageFactory
from tests.support.kill_points import Killed
from tests.support.language_models import remark
from tests.support.runs import admit, execution_of, kill_at, process, resume, run

pytestmark = [pytest.mark.django_db, pytest.mark.database]

CALL = 8_000 * 2e-6
"""Dollars for the longest answer of gpt-5-mini: a call is taken to cost a little more."""


def failure(review: Review) -> str:
    """Why the language model said nothing; empty where it did."""
    return dict(Report.from_json(review.report).engine_failures).get(llm.NAME, "")


def spend(dollars: float, *, repo: str = "octo/demo", ago: timedelta = timedelta()) -> Review:
    """A run that paid for the language model some time ago."""
    usage = LanguageModelUsageFactory(review__repo=repo, paid_usd=dollars, reserved_at=timezone.now() - ago)
    review: Review = usage.review
    return review


def test_a_pull_request_that_is_too_much_for_a_run_is_not_sent(
    pull: PullRequest, model: ModelServer, settings: Settings
) -> None:
    settings.KODIAI_LLM_MAX_TOKENS_PER_RUN = 9_000

    assert failure(run(admit(pull))) == "the changes exceed its token budget"
    assert model.calls == []


def test_files_over_the_budget_are_left_out_and_named(repo: Repository, model: ModelServer, settings: Settings) -> None:
    settings.KODIAI_LLM_MAX_TOKENS_PER_RUN = 20_000
    long = "".join(f"value_{number} = 'a text that is as long as many others are'\n" for number in range(600))
    pull = repo.open_pull_request(changes={"a.py": long, "b.py": "x = 1\n"})

    review = run(admit(pull))

    (call,) = model.calls
    assert "b.py" in call.text
    assert "a.py" not in call.text
    assert failure(review) == ""
    assert "- 1 file not sent to the language model: over its budget." in pull.reviews[0]["body"]


def test_a_retry_over_the_runs_budget_is_not_made(pull: PullRequest, model: ModelServer, settings: Settings) -> None:
    settings.KODIAI_LLM_MAX_TOKENS_PER_RUN = 12_000
    model.always(Reply(text="no", tokens=(1_500, 2_000)))

    assert failure(run(admit(pull))) == "its answer was unusable"
    assert len(model.calls) == 1


@pytest.mark.parametrize(
    ("spender", "ago", "refused"),
    [
        ("octo/demo", timedelta(hours=1), "this repository's budget for 24 hours is used up"),
        ("octo/demo", timedelta(hours=25), ""),
        ("octo/other", timedelta(hours=1), ""),
    ],
)
def test_a_repositorys_budget_counts_its_last_24_hours(
    pull: PullRequest, model: ModelServer, settings: Settings, spender: str, ago: timedelta, refused: str
) -> None:
    settings.KODIAI_LLM_MAX_COST_PER_REPOSITORY_PER_DAY = 1.0
    spend(1.0 - CALL, repo=spender, ago=ago)

    review = run(admit(pull))

    assert failure(review) == refused
    assert len(model.calls) == (0 if refused else 1)
    assert bool(review.language_model_usage.paid_usd) is not bool(refused), "what was not spent is not kept"


def test_the_budget_of_all_is_that_of_all_repositories(
    pull: PullRequest, model: ModelServer, settings: Settings
) -> None:
    settings.KODIAI_LLM_MAX_COST_PER_DAY = 1.0
    spend(0.5, repo="octo/one")
    spend(0.5 - CALL, repo="octo/two")

    assert failure(run(admit(pull))) == "the budget of the installation for 24 hours is used up"
    assert model.calls == []


def test_a_call_that_just_fits_is_made(pull: PullRequest, model: ModelServer, settings: Settings) -> None:
    settings.KODIAI_LLM_MAX_COST_PER_DAY = 1.0
    spend(1.0 - 1.2 * CALL)

    review = run(admit(pull))

    assert len(model.calls) == 1
    assert review.language_model_usage.paid_usd == pytest.approx(1000 * 0.25e-6 + 100 * 2e-6)


def test_a_repository_without_telemetry_has_a_budget_too(
    github: Sandbox, model: ModelServer, settings: Settings
) -> None:
    settings.KODIAI_LLM_MAX_COST_PER_DAY = 1.5 * CALL
    model.always(Reply(tokens=(1_000, 8_000)))
    files = {"shop.py": "x = 1\n", ".kodiai.yml": "telemetry:\n  enabled: false\n"}
    repository = github.create_repository("octo/quiet", files=files)
    failures = [
        failure(run(admit(repository.open_pull_request(changes={"shop.py": f"x = {number}\n"})))) for number in (2, 3)
    ]

    assert failures == ["", "the budget of the installation for 24 hours is used up"]


def test_an_unreported_cost_counts_as_the_maximum(pull: PullRequest, model: ModelServer, settings: Settings) -> None:
    settings.KODIAI_LLM_TIMEOUT = 0.5
    model.always(Reply(hang=True))
    delivery = admit(pull)

    review = run(delivery)

    assert CALL < review.language_model_usage.paid_usd < 1.2 * CALL
    assert review.language_model_usage.usage == {}
    assert execution_of(delivery).cost_usd == 0


def test_a_model_of_unknown_price_is_not_called(pull: PullRequest, model: ModelServer, settings: Settings) -> None:
    settings.KODIAI_LLM_MODEL = "openai:a-model-of-next-year"
    settings.KODIAI_LLM_MAX_COST_PER_DAY = 1.0

    assert failure(run(admit(pull))) == "its price is unknown, and its budget is in dollars"
    assert model.calls == []


def test_a_price_of_ones_own_counts_before_kodiais(pull: PullRequest, model: ModelServer, settings: Settings) -> None:
    settings.KODIAI_LLM_PRICES = ["openai:gpt-5-mini=100/1000"]
    delivery = admit(pull)

    run(delivery)

    assert execution_of(delivery).cost_usd == pytest.approx(1000 * 100e-6 + 100 * 1000e-6)


def test_concurrent_runs_never_overdraw_a_budget(settings: Settings) -> None:
    settings.KODIAI_LLM_MAX_COST_PER_DAY = 1.0
    one, other = spend(0.0), spend(0.0, repo="octo/other")
    LLMBudget(one).reserve(0.6)

    with pytest.raises(llm.OverBudget):
        LLMBudget(other).reserve(0.6)
    paid = {row.review_id: row.paid_usd for row in LanguageModelUsage.objects.all()}
    assert paid == {one.pk: 0.6, other.pk: 0.0}


def test_a_worker_that_lost_its_run_spends_nothing(settings: Settings) -> None:
    budget = LLMBudget(spend(0.0))
    Review.objects.update(lease_owner="another")

    with pytest.raises(LeaseLost):
        budget.reserve(0.5)
    assert LanguageModelUsage.objects.get().paid_usd == 0


def test_what_an_earlier_attempt_has_used_is_added_to(settings: Settings) -> None:
    review = spend(0.25)
    LanguageModelUsage.objects.update(usage=asdict(llm.Usage("openai", "gpt-5-mini", 10, 1, 2, 3, 0.25)))
    budget = LLMBudget(review)
    budget.reserve(0.5)
    budget.settle(0.5, llm.Usage("openai", "gpt-5-mini", 20, 2, 0, 0, 0.125))
    budget.reserve(0.5)
    budget.settle(0.5, llm.Usage("openai", "gpt-5-mini", 30, 3, 0, 0, 0.1875))

    row = LanguageModelUsage.objects.get()
    assert row.usage == asdict(llm.Usage("openai", "gpt-5-mini", 40, 4, 2, 3, 0.4375))
    assert row.paid_usd == pytest.approx(0.4375)


@pytest.mark.parametrize("point", ["analysed_at", "published_at", "execution-written"])
def test_a_resumed_run_does_not_ask_the_model_again(pull: PullRequest, model: ModelServer, point: str) -> None:
    model.always(Reply({"remarks": [remark(8)]}, tokens=(2000, 400)))
    delivery = admit(pull)
    kill_at(point, delivery)
    assert len(model.calls) == 1

    resume(delivery)

    assert len(model.calls) == 1
    execution = execution_of(delivery)
    assert (execution.provider, execution.model) == ("openai", "gpt-5-mini")
    assert (execution.input_tokens, execution.output_tokens) == (2000, 400)
    assert execution.cost_usd == pytest.approx(2000 * 0.25e-6 + 400 * 2e-6)
    assert 8 in {comment["line"] for comment in pull.review_comments}


def test_a_run_killed_while_it_asks_pays_for_both_calls(pull: PullRequest, model: ModelServer) -> None:
    def kill(*args: object) -> None:
        raise Killed

    delivery = admit(pull)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LLMBudget, "settle", kill)
        with pytest.raises(Killed):
            process(delivery.pk)
    killed = LanguageModelUsage.objects.get()
    assert CALL < killed.paid_usd < 1.2 * CALL

    resume(delivery)

    assert len(model.calls) == 2
    paid = LanguageModelUsage.objects.get().paid_usd
    assert paid == pytest.approx(killed.paid_usd + 1000 * 0.25e-6 + 100 * 2e-6)
