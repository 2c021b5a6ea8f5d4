"""Hostile responses of GitHub and redirects end a run clearly, or cost it only what they withhold."""

import gzip
import json
import resource
import tracemalloc
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from django.utils import timezone
from pytest_django import Settings

from reviews.github import connection
from reviews.github.client import Client
from reviews.github.errors import Unavailable
from reviews.github.facts import MAX_POST_DURATION, POST_VISIBILITY_DELAY
from reviews.models import DeliveryStatus, Review
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from sandbox.local_server import LocalServer
from telemetry.models import Conclusion
from tests.support.runs import admit, event_of, execution_of, run
from tests.support.waiting import time_out_at_faults

pytestmark = pytest.mark.django_db

NUL = "a\0b"
SURROGATE = "\ud800"
DEEP = b"[" * 200_000 + b"]" * 200_000


def as_json(answer: Any) -> bytes:
    """JSON whose text may hold halves of surrogate pairs, as escapes."""
    return json.dumps(answer, ensure_ascii=True).encode()


def until_ended(pull: PullRequest) -> Review:
    """Run a delivery until it has ended; fail if the configured attempts do not end it."""
    delivery = admit(pull)
    for _ in range(10):
        review = run(delivery)
        if review.finished_at is not None:
            return review
    pytest.fail(f"the run does not end: {review.delivery.failure}")


def answer_of(github: Sandbox, pull: PullRequest, route: str) -> Any:
    """The good answer of a route, to be spoilt."""
    with Client(pull.repository.full_name, pull.repository.installation_id) as client:
        kept: list[httpx.Response] = []
        path = {"pull": "", "files": "/files"}[route]
        client._session.call("GET", f"/repos/{client.repo}/pulls/{pull.number}{path}", kept.append)
    github.reset_calls()
    return kept[0].json()


# Text and numbers that no database takes


@pytest.mark.parametrize("text", [NUL + SURROGATE, "x" * 5_000, "😀" * 300], ids=["control", "long", "emoji"])
@pytest.mark.database
def test_text_that_no_database_takes_does_not_stop_a_review(github: Sandbox, pull: PullRequest, text: str) -> None:
    answer = answer_of(github, pull, "pull")
    answer["user"]["login"] = answer["state"] = answer["author_association"] = text
    answer["state"] = "open"
    answer["base"]["ref"] = "main"
    github.fail("pull", Fault(FaultKind.WRONG_JSON, body=as_json(answer)))

    review = until_ended(pull)

    assert (review.conclusion, len(pull.reviews)) == (Conclusion.SUCCESS, 1)
    assert execution_of(review.delivery).pr_author == review.pr_author
    assert event_of(review.delivery)


@pytest.mark.parametrize("text", [NUL + SURROGATE, "x" * 100_000], ids=["control", "long"])
@pytest.mark.database
def test_an_unstorable_refusal_ends_the_run_with_its_words(github: Sandbox, pull: PullRequest, text: str) -> None:
    body = as_json({"message": f"No: {text}", "errors": [text]})
    github.fail("files", Fault(FaultKind.APPLIED_THEN_REPLACED, status=403, body=body))

    review = run(admit(pull))

    assert (review.conclusion, review.delivery.status) == (Conclusion.ERROR, DeliveryStatus.FAILED)
    assert "GitHub answered 403" in review.conclusion_reason
    assert "No: " in review.conclusion_reason
    assert len(review.conclusion_reason) < 1_500


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "spoilt",
    [
        {"html_url": "https://github.com/" + NUL + SURROGATE},
        {"html_url": "https://github.com/" + "x" * 5_000},
        {"html_url": "javascript:alert(1)"},
        {"id": 10**400},
        {"id": -1},
        {"user": {"login": NUL}},
    ],
    ids=lambda spoilt: "-".join(f"{name}={str(value)[:30]!r}" for name, value in spoilt.items()),
)
@pytest.mark.database
def test_a_stored_review_is_published_whatever_the_answer_says(
    github: Sandbox, pull: PullRequest, spoilt: dict[str, Any]
) -> None:
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_RESET))
    delivery = admit(pull)
    run(delivery)
    (published,) = pull.reviews
    kept = {"id": 1, "body": published["body"], "user": {"login": "kodiai[bot]"}, "html_url": "https://github.com/x"}
    answers = [kept | spoilt] if "user" not in spoilt else [kept | spoilt, kept]
    github.fail("list_reviews", Fault(FaultKind.WRONG_JSON, body=as_json(answers)))

    review = run(delivery)

    assert (review.conclusion, len(pull.reviews)) == (Conclusion.SUCCESS, 1)
    assert review.github_review_id in (None, 1)
    storable = ("a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}", "x")
    assert review.github_review_url in ("", *(f"https://github.com/{text}" for text in storable))


@pytest.mark.parametrize("count", [10**400, -1, "many"], ids=lambda count: str(count)[:20])
@pytest.mark.database
def test_a_count_of_search_that_cannot_be_does_not_stop_a_review(
    github: Sandbox, pull: PullRequest, count: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviews.enrichment.UNHINTED_WAIT", 0)
    body = json.dumps({"total_count": count}).encode()
    github.fail("search", Fault(FaultKind.WRONG_JSON, body=body), times=None)

    review = run(admit(pull))

    assert review.conclusion in (Conclusion.SUCCESS, Conclusion.PARTIAL)
    assert len(pull.reviews) == 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize("sha", ["", "../../x", SURROGATE, "a" * 39 + "g"], ids=repr)
def test_a_head_commit_that_is_none_is_never_worked_with(github: Sandbox, pull: PullRequest, sha: Any) -> None:
    answer = answer_of(github, pull, "pull")
    answer["head"]["sha"] = sha
    github.fail("pull", Fault(FaultKind.WRONG_JSON, body=as_json(answer)), times=None)

    review = until_ended(pull)

    assert review.conclusion == Conclusion.ERROR
    assert "is not a valid PullRequest" in review.conclusion_reason
    assert {call.route for call in github.calls} <= {"installation_token", "pull"}


@pytest.mark.parametrize("path", [NUL + ".py", SURROGATE + ".py", "x" * 70_000 + ".py", "../../a.py"])
def test_a_file_of_an_impossible_name_is_left_out(github: Sandbox, pull: PullRequest, path: str) -> None:
    files = answer_of(github, pull, "files")
    github.fail("files", Fault(FaultKind.WRONG_JSON, body=as_json([files[0] | {"filename": path}, *files])))

    review = until_ended(pull)

    assert review.conclusion == Conclusion.SUCCESS
    assert review.report["analysed_files"] == ["shop.py"]
    assert len(review.report["left_out"]) == 1


@pytest.mark.parametrize("text", ["import os\0\n", "import os  # \ud800\n"], ids=["nul", "surrogate"])
@pytest.mark.database
def test_a_file_of_unstorable_text_does_not_stop_a_review(github: Sandbox, pull: PullRequest, text: str) -> None:
    from_base = {f"e{number}": None for number in range(1, 100)}
    answer = {"data": {"repository": {"e0": {"text": text, "isTruncated": False}, **from_base}}}
    github.fail("graphql", Fault(FaultKind.WRONG_JSON, body=as_json(answer)))

    review = until_ended(pull)

    assert review.conclusion in (Conclusion.SUCCESS, Conclusion.PARTIAL)
    assert len(pull.reviews) == 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "token",
    ["", "a\r\nX-Evil: 1", "ü", SURROGATE, "x" * 100_000],
    ids=["empty", "line-break", "umlaut", "surrogate", "long"],
)
def test_a_token_that_is_no_header_is_never_sent(github: Sandbox, pull: PullRequest, token: str) -> None:
    body = as_json({"token": token, "expires_at": "2099-01-01T00:00:00Z"})
    github.fail("installation_token", Fault(FaultKind.WRONG_JSON, body=body), times=None)

    review = until_ended(pull)

    assert "is not a valid Token" in review.conclusion_reason
    assert {call.route for call in github.calls} == {"installation_token"}


# Bodies


@pytest.mark.parametrize("route", ["installation_token", "create_review"])
def test_json_that_is_nested_too_deep_is_no_answer(
    github: Sandbox, pull: PullRequest, route: str, settings: Settings
) -> None:
    settings.KODIAI_MAX_DEFERRAL = 1
    github.fail(route, Fault(FaultKind.WRONG_JSON, body=DEEP), times=None)

    review = until_ended(pull)

    assert (review.conclusion, pull.reviews) == (Conclusion.ERROR, [])
    assert "is not JSON" in review.conclusion_reason


@pytest.mark.parametrize("route", ["pull", "search", "graphql"])
def test_a_body_of_two_gigabytes_is_not_read_to_its_end(
    github: Sandbox, pull: PullRequest, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_ANSWER_BYTES", 1_000_000)
    monkeypatch.setattr("reviews.enrichment.UNHINTED_WAIT", 0)
    github.fail(route, Fault(FaultKind.HUGE_BODY), times=None)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    review = until_ended(pull)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert grown < 200_000, "kilobytes"
    if route == "pull":
        assert "larger than 1000000 bytes" in review.conclusion_reason
    else:
        assert len(pull.reviews) == 1


@pytest.mark.slow
def test_a_compression_bomb_is_not_unpacked(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_ANSWER_BYTES", 1_000_000)
    bomb = gzip.compress(b" " * 200_000_000)
    assert len(bomb) < 500_000
    fault = Fault(FaultKind.WRONG_JSON, body=bomb, headers={"Content-Encoding": "gzip"})
    github.fail("pull", fault, times=None)

    tracemalloc.start()
    try:
        review = until_ended(pull)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert "larger than 1000000 bytes" in review.conclusion_reason
    assert peak < 50_000_000


def test_a_body_that_drips_for_ever_is_not_waited_for(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_ANSWER_SECONDS", 0.0)
    github.fail("pull", Fault(FaultKind.SLOW_BODY, delay=0.001, chunk_size=100), times=None)

    with (
        Client("octo/demo", pull.repository.installation_id) as client,
        pytest.raises(Unavailable, match="took longer than"),
    ):
        client.pull_request(pull.number)


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        *((b"{}", encoding, "not requested") for encoding in ("br", "gzip, gzip", "x")),
        *((body, "gzip", "") for body in (b"", b"{}", gzip.compress(b"{}" * 1000, mtime=0)[:-20])),
    ],
)
def test_a_body_that_is_not_the_gzip_requested_is_no_answer(
    github: Sandbox, pull: PullRequest, body: bytes, encoding: str, said: str, settings: Settings
) -> None:
    settings.KODIAI_MAX_DEFERRAL = 1
    github.fail("pull", Fault(FaultKind.WRONG_JSON, body=body, headers={"Content-Encoding": encoding}), times=None)

    review = until_ended(pull)

    assert review.conclusion == Conclusion.ERROR
    assert said in review.conclusion_reason


def test_a_packed_answer_is_read_as_any_other(github: Sandbox, pull: PullRequest) -> None:
    packed = gzip.compress(as_json(answer_of(github, pull, "pull")))
    github.fail("pull", Fault(FaultKind.WRONG_JSON, body=packed, headers={"Content-Encoding": "gzip"}))

    assert until_ended(pull).conclusion == Conclusion.SUCCESS


def test_a_list_of_reviews_without_an_end_is_not_read_for_ever(
    github: Sandbox, pull: PullRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviews.github.client.MAX_REVIEWS", 300)
    github.fail("create_review", Fault(FaultKind.APPLIED_THEN_RESET))
    page = [{"id": number, "body": "", "user": None} for number in range(1, 101)]
    github.fail("list_reviews", Fault(FaultKind.WRONG_JSON, body=page), times=None)

    review = until_ended(pull)

    assert "more than 300 reviews" in review.conclusion_reason
    assert len(pull.reviews) == 1


@pytest.mark.parametrize("status", [100, 304, 999])
def test_a_status_that_github_does_not_know_ends_the_run_clearly(
    github: Sandbox, pull: PullRequest, status: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KODIAI_MAX_ATTEMPTS, settings.KODIAI_MAX_DEFERRAL = 2, 1
    time_out_at_faults(github, monkeypatch)
    github.fail("files", Fault(FaultKind.STATUS, status=status), times=None)

    review = until_ended(pull)

    assert (review.conclusion, review.delivery.status) == (Conclusion.ERROR, DeliveryStatus.FAILED)
    assert "pulls/1/files" in review.conclusion_reason


# Redirects: a renamed repository is found, and nothing is sent to another host


class Stranger(LocalServer):
    """A server that GitHub's answers point to. Keeps every request that reaches it, whatever its method."""

    def __init__(self) -> None:
        super().__init__(Listening)
        self.heard: list[str] = []


class Listening(BaseHTTPRequestHandler):
    server: Stranger

    def do_GET(self) -> None:
        self.server.heard.append(f"{self.command} {self.headers.get('Authorization')}")
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_another_host_is_not_followed(github: Sandbox, pull: PullRequest, status: int) -> None:
    with Stranger() as stranger:
        for route in ("pull", "create_review"):
            github.fail(route, Fault(FaultKind.STATUS, status=status, headers={"Location": stranger.url}))
            review = run(admit(pull, delivery_id=route))
            assert review.conclusion == Conclusion.ERROR
            assert f"GitHub answered {status}" in review.conclusion_reason
            github.clear_faults()

    assert stranger.heard == []
    assert pull.reviews == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_renamed_repository_is_found_where_github_says(github: Sandbox, pull: PullRequest, status: int) -> None:
    here = f"{github.url}/repos/octo/demo/pulls/{pull.number}"
    github.fail("pull", Fault(FaultKind.STATUS, status=status, headers={"Location": here}))
    github.fail(
        "files",
        Fault(FaultKind.STATUS, status=status, headers={"Location": f"/repos/octo/demo/pulls/{pull.number}/files"}),
    )

    assert run(admit(pull)).conclusion == Conclusion.SUCCESS


def test_a_post_is_sent_on_as_a_post_or_not_at_all(github: Sandbox, pull: PullRequest) -> None:
    here = {"Location": f"/repos/octo/demo/pulls/{pull.number}/reviews"}
    github.fail("create_review", Fault(FaultKind.STATUS, status=302, headers=here))
    assert run(admit(pull)).conclusion == Conclusion.ERROR
    assert (github.count("list_reviews"), pull.reviews) == (0, [])

    # The next one looks for the review of the first, which GitHub may have.
    Review.objects.update(publishing_at=timezone.now() - MAX_POST_DURATION - POST_VISIBILITY_DELAY)
    github.fail("create_review", Fault(FaultKind.STATUS, status=307, headers=here))
    assert run(admit(pull)).conclusion == Conclusion.SUCCESS
    assert len(pull.reviews) == 1


@pytest.mark.parametrize("where", ["/repos/octo/demo/pulls/1", "http://[", "//x:99999/"])
def test_a_redirect_that_leads_nowhere_ends(github: Sandbox, pull: PullRequest, where: str, settings: Settings) -> None:
    location = {"Location": where.replace("/pulls/1", f"/pulls/{pull.number}").replace("\0", "%00")}
    github.fail("pull", Fault(FaultKind.STATUS, status=301, headers=location), times=None)

    settings.KODIAI_MAX_ATTEMPTS = settings.KODIAI_MAX_DEFERRAL = 1
    assert run(admit(pull)).conclusion == Conclusion.ERROR
    assert github.count("pull") <= 4
