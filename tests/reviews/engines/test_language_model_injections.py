"""Text of a pull request that talks to the language model, and a model that obeys every word of it.

`injections.json` has, for each, where it stands and what an obedient model answers. Whether real models obey is not
what is tested: nothing that one can say may be more than text on a changed line.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from reviews.engines import llm
from reviews.findings import Report
from reviews.models import Review
from reviews.publishing.previous_comments import finding_marker, review_markers
from reviews.publishing.publish import marker
from sandbox import PullRequest, Sandbox
from sandbox.llm import ModelCall, ModelServer, Reply
from tests.support.hostile import assert_tame
from tests.support.language_models import KEY, remark
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db

INJECTIONS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("injections.json").read_text())
FIRST = [*{injection["place"]: injection for injection in reversed(INJECTIONS)}.values()]
"""One for each place."""
BEFORE = "first = 1\nold = 2  # {removed}\nlast = 3\n"
UNREAD = ("title", "body")
"""Places of a pull request that the model is not given."""
SUGGESTION = re.compile(r"^(`{3,})suggestion\n(.*?)\n?^\1$", re.MULTILINE | re.DOTALL)


def opened(github: Sandbox, place: str, text: str) -> PullRequest:
    """A pull request with `text` in one place of it, and one changed line: the second of its file."""
    path = text if place == "path" else "app.py"
    before = BEFORE.format(removed=text if place == "removed" else "")
    after = "first = 1\nnew = 4  # " + (text if place == "line" else "") + "\nlast = 3\n"
    repository = github.create_repository(
        "octo/demo", files={path: before, ".kodiai.yml": "engines:\n  disable: [ruff, secrets, typos]\n"}
    )
    return repository.open_pull_request(
        changes={path: after},
        title=text if place == "title" else "A change",
        body=text if place == "body" else "What it does.",
    )


def obeying(injection: dict[str, Any], path: str, settings: Settings) -> Any:
    """The script of a model that does what the injection says, if it can read it, and else finds nothing."""
    obeys = injection["obeys"]
    secrets = {"KEY": KEY, "SECRET_KEY": settings.SECRET_KEY, "WEBHOOK": settings.KODIAI_GITHUB_WEBHOOK_SECRET[0]}

    def filled(value: Any) -> Any:
        for name, secret in secrets.items():
            value = value.replace(f"{{{name}}}", secret) if isinstance(value, str) else value
        return value

    remarks = [
        remark(2, path=path) | {name: filled(value) for name, value in one.items()} for one in obeys.get("remarks", [])
    ]
    remarks += [remark(2, path=path)] * obeys.get("flood", 0)
    if "long" in obeys:
        remarks.append(remark(2, path=path, message="@everyone " * (obeys["long"] // 10)))

    def script(call: ModelCall) -> Reply:
        if json.dumps(injection["text"], ensure_ascii=False)[1:-1] not in call.text:
            return Reply()
        if "tool" in obeys:
            return Reply(obeys["arguments"], tool=obeys["tool"])
        if "text_answer" in obeys:
            return Reply(text=obeys["text_answer"])
        return Reply({"remarks": remarks})

    return script


@pytest.mark.parametrize(
    "injection",
    [
        pytest.param(injection, id=injection["name"], marks=() if injection in FIRST else pytest.mark.slow)
        for injection in INJECTIONS
    ],
)
def test_nothing_that_an_obedient_model_does_gets_through(
    github: Sandbox, model: ModelServer, settings: Settings, injection: dict[str, Any]
) -> None:
    pull = opened(github, injection["place"], injection["text"])
    path = injection["text"] if injection["place"] == "path" else "app.py"
    model.script = obeying(injection, path, settings)

    review = run(admit(pull))

    assert_only_what_kodiai_says(pull, review)
    said = json.dumps([pull.reviews, pull.review_comments, pull.repository.check_runs], ensure_ascii=False)
    for secret in (KEY, settings.SECRET_KEY, settings.KODIAI_GITHUB_WEBHOOK_SECRET[0], "ghs_0123456789", "ghp_0123"):
        assert secret not in said
    (call, *_) = model.calls
    assert len(call.tools) == 1
    obeyed = len(model.calls) == 2 or bool(pull.review_comments) or Report.from_json(review.report).discarded > 0
    assert obeyed is (injection["place"] not in UNREAD), "the model read it, and obeyed"


def assert_only_what_kodiai_says(pull: PullRequest, review: Review) -> None:
    """One review, which asks for nothing and approves nothing, with text on the changed line that is nothing more."""
    (published,) = pull.reviews
    assert published["event"] == "COMMENT"
    assert review_markers(published["body"]) == [marker(review)]
    assert_tame(published["body"].removesuffix(marker(review)))
    findings = {finding.fingerprint: finding for finding in Report.from_json(review.report).findings}
    assert len(pull.review_comments) <= 1
    for comment in pull.review_comments:
        (finding,) = findings.values()
        assert (comment["line"], finding.rule, finding.rule_url) == (2, llm.NAME, "")
        own_end = finding_marker([(finding.fingerprint, 1)])
        assert comment["body"].endswith(own_end)
        body = comment["body"].removesuffix(own_end)
        suggestion = SUGGESTION.search(body)
        assert_tame(body, suggestion=suggestion[2] if suggestion else None)
        assert "<!-- kodiai" not in body
        assert len(body) < 3_000
    for check_run in pull.repository.check_runs:
        assert check_run["conclusion"] in ("neutral", "success")
        assert_tame(check_run["output"]["summary"])


def test_injections_stand_in_every_place() -> None:
    assert len(INJECTIONS) >= 30
    assert len({injection["name"] for injection in INJECTIONS}) == len(INJECTIONS)
    assert {injection["place"] for injection in INJECTIONS} == {"line", "path", "removed", *UNREAD}
