"""Redirects: a renamed repository is found, and nothing is sent to another host."""

from http.server import BaseHTTPRequestHandler

import pytest
from django.utils import timezone
from pytest_django import Settings

from reviews.github import connection
from reviews.github.facts import MAX_POST_DURATION, POST_VISIBILITY_DELAY
from reviews.models import Review
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from sandbox.local_server import LocalServer
from telemetry.models import Conclusion
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    monkeypatch.setattr(connection, "BACKOFF", 0)


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
