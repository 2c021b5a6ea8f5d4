"""The language model as an engine: its input, its remarks and its failures."""

import pytest
from pytest_django import Settings

from reviews.engines import llm
from reviews.findings import Report
from sandbox import PullRequest, Repository, Sandbox
from sandbox.llm import ModelServer, Reply
from telemetry.models import Conclusion
from tests.support.language_models import KEY, remark
from tests.support.runs import admit, execution_of, run
from tests.support.shop import AFTER

pytestmark = pytest.mark.django_db


def said(pull: PullRequest) -> list[str]:
    """The bodies of the comments on lines that are the language model's, without their markers."""
    bodies = [comment["body"].partition("\n\n<!--")[0] for comment in pull.review_comments]
    return [body for body in bodies if llm.NAME in body]


def test_a_remark_is_a_comment_and_its_cost_is_recorded(pull: PullRequest, model: ModelServer) -> None:
    model.always(Reply({"remarks": [remark(8, suggestion="def label(price, currency):")]}, tokens=(2000, 400)))
    delivery = admit(pull)

    review = run(delivery)

    assert review.conclusion == Conclusion.SUCCESS
    assert said(pull) == [
        "**major** · `language-model` The price is not shown: this is the word `price`.\n\n"
        "```suggestion\ndef label(price, currency):\n```\n\n"
        "<details><summary>How to suppress</summary>\n\n"
        "To suppress: `language-model: never` under `severities.rules` in `.kodiai.yml`.\n\n</details>"
    ]
    assert ", language-model, at commit" in pull.reviews[0]["body"]
    execution = execution_of(delivery)
    assert (execution.provider, execution.model) == ("openai", "gpt-5-mini")
    assert (execution.input_tokens, execution.output_tokens) == (2000, 400)
    assert execution.cost_usd == pytest.approx(2000 * 0.25e-6 + 400 * 2e-6)
    (call,) = model.calls
    assert call.headers["authorization"] == f"Bearer {KEY}"


def test_it_is_given_the_changed_lines_and_nothing_else(
    repo: Repository, model: ModelServer, settings: Settings
) -> None:
    token = "ghp_" + "0123456789abcdefghij"
    pull = repo.open_pull_request(
        changes={
            "shop.py": f"def total(prices):\n    return max(prices)  # {token}\n",
            "deploy/production.env": "PASSWORD=hunter2\n",
        },
        title="The title of it",
        body="The description of it",
    )

    run(admit(pull))

    (call,) = model.calls
    assert len(call.tools) == 1
    assert '"path": "shop.py"' in call.text
    assert (
        '["1| def total(prices):", "-     return sum(prices)", "2+     return max(prices)  # [redacted]"]' in call.text
    )
    sent = str(call.body)
    for secret in ("The title", "The description", "hunter2", token, KEY, settings.SECRET_KEY, "octo/demo", "mona"):
        assert secret not in sent


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "discarded",
    [
        {"path": "other.py"},
        {"start_line": 9, "end_line": 8},
        {"start_line": 1, "end_line": 10**9},
        {"message": "  \n "},
        {"severity": "catastrophic"},
    ],
    ids=str,
)
def test_a_remark_off_the_changed_lines_is_dropped(
    pull: PullRequest, model: ModelServer, discarded: dict[str, object]
) -> None:
    model.always(Reply({"remarks": [remark(8) | discarded, remark(8)]}))

    review = run(admit(pull))

    assert len(said(pull)) == 1
    assert "- 1 remark of the language model discarded: not on changed lines." in pull.reviews[0]["body"]
    assert Report.from_json(review.report).discarded == 1
    assert review.conclusion == Conclusion.SUCCESS


def test_more_remarks_than_anybody_reads_are_cut(pull: PullRequest, model: ModelServer) -> None:
    model.always(Reply({"remarks": [remark(8)] * 1000}))

    review = run(admit(pull))

    assert len(said(pull)) == 1
    assert Report.from_json(review.report).discarded == 970


def test_where_an_analyzer_has_spoken_the_model_is_silent(pull: PullRequest, model: ModelServer) -> None:
    model.always(Reply({"remarks": [remark(1), remark(9), remark(8), remark(7, end_line=8)]}))

    run(admit(pull))

    assert len(said(pull)) == 1
    assert [comment["line"] for comment in pull.review_comments if llm.NAME in comment["body"]] == [8]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "suggestion",
    [
        "def label(price):",
        "x = 1  # \u202eright to left",
        "x = '\u200b'",
        "\n".join(["x = 1"] * 21),
        "token = 'ghp_0123456789abcdefghij'",
        f"key = '{KEY}'",
    ],
    ids=["what is there", "turned round", "unseen", "long", "a token", "the key"],
)
def test_a_suggestion_that_nobody_can_judge_is_not_offered(
    pull: PullRequest, model: ModelServer, suggestion: str
) -> None:
    model.always(Reply({"remarks": [remark(8, suggestion=suggestion)]}))

    run(admit(pull))

    (body,) = said(pull)
    assert "suggestion" not in body


def test_repository_configuration_applies_to_the_model(github: Sandbox, model: ModelServer) -> None:
    files = {"shop.py": "x = 1\n"}
    added = {"shop.py": "x = 1\ny = x + 2\n"}
    model.always(Reply({"remarks": [remark(2)]}))
    reported = {}
    for name, config in {
        "heavier": "severities:\n  rules:\n    language-model: critical\n",
        "never": "severities:\n  rules:\n    language-model: never\n",
        "disabled": "engines:\n  disable: [language-model]\n",
    }.items():
        repository = github.create_repository(f"octo/{name}", files=files | {".kodiai.yml": config})
        pull = repository.open_pull_request(changes=added)
        before = len(model.calls)
        run(admit(pull))
        assert "does not have" not in pull.reviews[0]["body"]
        reported[name] = ([body.split()[0] for body in said(pull)], len(model.calls) - before)

    assert reported == {"heavier": (["**critical**"], 1), "never": ([], 1), "disabled": ([], 0)}


def test_it_is_not_called_without_changed_lines(repo: Repository, model: ModelServer) -> None:
    repo.commit({"old.py": "a = 1\nb = 2\n", "deploy/.env": "A=1\n"})
    pull = repo.open_pull_request(changes={"old.py": "a = 1\n", "deploy/.env": "A=2\n"})

    review = run(admit(pull))

    assert model.calls == []
    assert review.conclusion == Conclusion.SUCCESS
    assert llm.NAME not in pull.reviews[0]["body"]


MOVED = AFTER.replace("def label", "# moved\ndef label")


@pytest.mark.parametrize("again", [[], [remark(9, message="The same line, in other words.")]], ids=["silent", "same"])
def test_a_remark_stands_as_long_as_its_line_does(
    pull: PullRequest, model: ModelServer, again: list[dict[str, object]]
) -> None:
    model.always(Reply({"remarks": [remark(8)]}))
    run(admit(pull))
    (first,) = said(pull)

    model.always(Reply({"remarks": again}))
    pull.push({"shop.py": MOVED})
    run(admit(pull, "synchronize"))
    assert said(pull) == [first]

    model.always(Reply())
    pull.push({"shop.py": "def total(prices):\n    return sum(prices) + 0\n"})
    run(admit(pull, "synchronize"))
    (gone,) = said(pull)
    assert gone.startswith("**Resolved**")
