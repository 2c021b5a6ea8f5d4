"""A failing language model or provider costs the review that engine's remarks, and nothing else."""

import gzip
import json
import logging.config
import sys

import pytest
from pytest_django import Settings

from kodiai.logging import logging_config
from reviews.findings import Report
from reviews.models import Review
from sandbox import PullRequest
from sandbox.llm import ModelCall, ModelServer, Reply
from telemetry.models import Conclusion, Execution
from tests.support.language_models import KEY, remark
from tests.support.runs import admit, execution_of, run

pytestmark = pytest.mark.django_db

GOOD = Reply({"remarks": [remark(8)]})
UNREAD = "its provider could not be reached, or its answer was invalid"
OVERLOADED = b'{"error": {"message": "overloaded_error: @everyone, see https://evil.example", "type": "server_error"}}'


def reported(pull: PullRequest, review: Review) -> str:
    """What the review says of the language model's failure, when it is all that the review lacks."""
    assert review.conclusion == Conclusion.PARTIAL
    assert {comment["line"] for comment in pull.review_comments} == {1, 9}, "the analyzers' findings are said"
    (line,) = [line for line in pull.reviews[0]["body"].splitlines() if line.startswith("- language-model failed")]
    return line.removeprefix("- language-model failed: ").removesuffix(". Its findings are missing.")


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("reply", "why", "calls"),
    [
        (Reply(status=429), "its provider's rate limit was reached", 1),
        (Reply(status=503, body=OVERLOADED), "its provider answered 503", 1),
        (Reply(status=401), "its provider rejected the key", 1),
        (Reply(status=307, headers={"Location": "/v1/elsewhere"}), UNREAD, 1),
        (Reply(cut=True), UNREAD, 1),
        (Reply(body=b'{"id": "chatcmpl-1", "choices": [{"mess'), UNREAD, 1),
        (Reply(body=b'{"choices": []}'), "its answer was unusable", 2),
        (Reply(padding=5_000_000), UNREAD, 1),
        (Reply('{"remarks": [{"path": "shop'), "its answer was unusable", 2),
        (Reply("[" * 100_000), "its answer was unusable", 2),
        (Reply(text="I like this change."), "its answer was unusable", 2),
        (Reply({"command": "env"}, tool="run_shell"), "its answer was unusable", 2),
        (Reply(text="", finish="content_filter"), "a content filter blocked the answer", 1),
        (Reply('{"remarks": [', finish="length"), "its answer was longer than 8000 tokens", 1),
    ],
)
def test_a_failing_provider_costs_its_own_remarks_only(
    pull: PullRequest, model: ModelServer, reply: Reply, why: str, calls: int
) -> None:
    model.always(reply)

    review = run(admit(pull))

    assert reported(pull, review) == why
    assert len(model.calls) == calls


def test_an_answer_that_is_packed_is_not_unpacked(pull: PullRequest, model: ModelServer) -> None:
    body = gzip.compress(json.dumps({"x": " " * 50_000_000}).encode())
    model.always(Reply(body=body, headers={"Content-Encoding": "gzip"}))

    assert reported(pull, run(admit(pull))) == UNREAD


def test_a_silent_provider_is_waited_for_until_the_timeout(
    pull: PullRequest, model: ModelServer, settings: Settings
) -> None:
    settings.KODIAI_LLM_TIMEOUT = 0.5
    model.always(Reply(hang=True))

    assert reported(pull, run(admit(pull))) == "it timed out"
    assert len(model.calls) <= 1, "it is not asked again"


def test_one_that_is_not_there(pull: PullRequest, model: ModelServer, settings: Settings) -> None:
    settings.KODIAI_LLM_BASE_URL = "http://127.0.0.1:9/v1"

    assert reported(pull, run(admit(pull))) == UNREAD


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ["gpt-5", "nobody:gpt-5", "openai-codex:x"])
def test_a_name_that_names_no_model_that_is_there(
    pull: PullRequest, model: ModelServer, settings: Settings, name: str
) -> None:
    settings.KODIAI_LLM_MODEL = name

    assert reported(pull, run(admit(pull))) == "it is misconfigured; see the log"
    assert model.calls == []


def test_without_the_extra_the_review_says_so(
    pull: PullRequest, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai.usage", None)

    assert reported(pull, run(admit(pull))) == "the extra `llm` is not installed"


def test_a_useless_answer_is_retried_once_and_both_are_paid(pull: PullRequest, model: ModelServer) -> None:
    model.always(Reply(text="Nothing to say.", tokens=(1000, 10)), Reply({"remarks": [remark(8)]}, tokens=(1000, 100)))
    delivery = admit(pull)

    review = run(delivery)

    assert review.conclusion == Conclusion.SUCCESS
    assert 8 in {comment["line"] for comment in pull.review_comments}
    execution = execution_of(delivery)
    assert (execution.input_tokens, execution.output_tokens) == (2000, 110)
    assert execution.cost_usd == pytest.approx(2000 * 0.25e-6 + 110 * 2e-6)
    assert execution.cost_usd == pytest.approx(review.language_model_usage.paid_usd)


def test_a_providers_message_is_logged_not_published(
    pull: PullRequest, model: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    model.always(Reply(status=503, body=OVERLOADED))

    review = run(admit(pull))

    assert "evil.example" in str([vars(record) for record in caplog.records])
    assert "evil.example" not in json.dumps(pull.reviews) + str(review.report) + review.conclusion_reason


def test_a_provider_that_repeats_the_key_does_not_leak_it(
    pull: PullRequest, model: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []

    def repeat(call: ModelCall) -> Reply:
        said.append(call.headers["authorization"])
        return Reply(status=400, body=json.dumps({"error": {"message": f"bad request by {said[-1]}"}}).encode())

    model.script = repeat

    review = run(admit(pull))

    config = logging_config(level="INFO", json=True)
    formatter = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["structured"])
    log = "\n".join(map(formatter.format, caplog.records))
    assert said == [f"Bearer {KEY}"]
    assert "bad request by Bearer [redacted]" in log
    stored = list(Review.objects.filter(pk=review.pk).values()) + list(Execution.objects.values())
    assert KEY not in log + str(stored) + json.dumps([pull.reviews, pull.review_comments, pull.repository.check_runs])


@pytest.mark.slow
def test_anthropics_protocol_works_as_openais(pull: PullRequest, model: ModelServer, settings: Settings) -> None:
    settings.KODIAI_LLM_MODEL = "anthropic:claude-haiku-4-5"
    settings.KODIAI_LLM_BASE_URL = model.url
    model.always(GOOD)
    delivery = admit(pull)

    review = run(delivery)

    assert Report.from_json(review.report).engine_failures == ()
    (call,) = model.calls
    assert call.path == "/v1/messages"
    assert 8 in {comment["line"] for comment in pull.review_comments}
    execution = execution_of(delivery)
    assert (execution.provider, execution.model, execution.input_tokens) == ("anthropic", "claude-haiku-4-5", 1000)
    assert execution.cost_usd == pytest.approx(1000 * 1e-6 + 100 * 5e-6)


def test_only_openai_is_asked_to_store_nothing(
    pull: PullRequest, model: ModelServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.always(GOOD)
    run(admit(pull))
    monkeypatch.setenv("OPENAI_BASE_URL", settings.KODIAI_LLM_BASE_URL)
    settings.KODIAI_LLM_BASE_URL = ""
    pull.push({"shop.py": "def total(prices):\n    return sum(prices) + 0\n"})
    run(admit(pull, "synchronize"))

    assert [call.body.get("store") for call in model.calls] == [None, False]


def test_azures_way_of_the_same_protocol_works_too(pull: PullRequest, model: ModelServer, settings: Settings) -> None:
    settings.KODIAI_LLM_MODEL = "azure:the-deployment"
    model.always(GOOD)

    run(admit(pull))

    assert 8 in {comment["line"] for comment in pull.review_comments}
    assert len(model.calls) == 1


@pytest.mark.sampled(2)
@pytest.mark.filterwarnings("ignore:Failed to extract usage")
@pytest.mark.parametrize("tokens", [("many", None), (-5, 10**30), (1.5, 1e400), ([], True)], ids=str)
def test_wrong_token_counts_break_nothing(pull: PullRequest, model: ModelServer, tokens: tuple[object, object]) -> None:
    model.always(Reply({"remarks": [remark(8)]}, tokens=tokens))
    delivery = admit(pull)

    review = run(delivery)

    assert review.conclusion in (Conclusion.SUCCESS, Conclusion.PARTIAL)
    assert {1, 9} <= {comment["line"] for comment in pull.review_comments}
    execution = execution_of(delivery)
    assert 0 <= execution.input_tokens <= 2**31 - 1
    assert 0 <= execution.output_tokens <= 2**31 - 1
    assert execution.cost_usd >= 0
    assert review.language_model_usage.paid_usd > 0
