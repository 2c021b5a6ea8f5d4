"""The configuration of an organisation: `.kodiai.yml` of its `.github` repository."""

import pytest
from django.core.cache import cache
from pytest_django import Settings

from reviews.models import Review
from sandbox import Fault, FaultKind, PullRequest, Repository, Sandbox
from telemetry.models import Conclusion
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db

NO_UNUSED = "severities: {rules: {F401: never}}"


@pytest.fixture(autouse=True)
def _turned_on(settings: Settings) -> None:
    settings.KODIAI_ORGANISATION_DEFAULTS = True


@pytest.fixture
def organisation(github: Sandbox) -> Repository:
    return github.create_repository("octo/.github", files={".kodiai.yml": NO_UNUSED})


def body(review: Review, pull: PullRequest) -> str:
    assert review.conclusion == Conclusion.SUCCESS
    return pull.reviews[0]["body"]


def calls(github: Sandbox) -> int:
    """The calls that are made for it: a token, and the file."""
    return sum(".github" in call.path or ".github" in str(call.body) for call in github.calls)


def test_a_repository_without_a_file_follows_the_organisation(
    github: Sandbox, pull: PullRequest, organisation: Repository
) -> None:
    assert "1 finding suppressed by `.kodiai.yml`" in body(run(admit(pull)), pull)
    assert calls(github) == 2
    asked = next(
        call.body for call in github.calls if call.route == "installation_token" and ".github" in str(call.body)
    )
    assert asked == {"repositories": [".github"], "permissions": {"contents": "read"}}

    other = github.create_repository("octo/other").open_pull_request(changes={"a.py": "import os\n"}, author="mona")
    assert "no findings" in body(run(admit(other)), other)
    assert calls(github) == 2


@pytest.mark.parametrize("allowed", [True, False])
def test_a_file_of_its_own_or_the_operator_rules_it_out(
    github: Sandbox, pull: PullRequest, organisation: Repository, settings: Settings, allowed: bool
) -> None:
    settings.KODIAI_ORGANISATION_DEFAULTS = allowed
    if allowed:
        pull.repository.commit({".kodiai.yml": "limits: {comments: 1}"})

    assert "3 findings" in body(run(admit(pull)), pull)
    assert calls(github) == 0


def test_a_missing_organisation_file_is_requested_once(github: Sandbox, pull: PullRequest) -> None:
    for action in ("opened", "reopened"):
        assert "3 findings" in body(run(admit(pull, action)), pull)
    assert calls(github) == 1


def test_what_is_not_valid_names_where_it_stands(github: Sandbox, pull: PullRequest) -> None:
    github.create_repository("octo/.github", files={".kodiai.yml": "limits: {comments: many}"})

    assert "Section `limits` of `.kodiai.yml` of `octo/.github` is invalid" in body(run(admit(pull)), pull)


def test_a_limit_defers_the_run_and_forgets_nothing(
    github: Sandbox, pull: PullRequest, organisation: Repository
) -> None:
    # The first token is for the run's own repository.
    github.fail("installation_token", Fault(FaultKind.PRIMARY_LIMIT, reset_in=1), after=1)
    delivery = admit(pull)

    review = run(delivery)

    assert (review.conclusion, review.attempts) == ("", 0)
    assert review.deferred_until is not None
    cache.clear()  # and with it what is known of the limit
    assert "1 finding suppressed by `.kodiai.yml`" in body(run(delivery), pull)


@pytest.mark.parametrize(
    "content",
    [
        "check: {fail_on: minor}".encode("utf-16"),
        "check: {fail_on: minor} # é".encode("latin-1"),
        b"check: {fail_on: minor}\0",
        b"check: {fail_on: minor}\n#" + b"x" * 1024 * 1024,
    ],
    ids=["UTF-16", "Latin-1", "NUL", "larger than what GitHub returns"],
)
def test_a_file_that_is_not_text_is_not_taken_for_absent(
    github: Sandbox, pull: PullRequest, organisation: Repository, content: bytes
) -> None:
    pull.repository.commit({".kodiai.yml": content})

    text = body(run(admit(pull)), pull)

    assert "`.kodiai.yml` could not be read; the defaults were used." in text
    assert "3 findings" in text, "what the organisation turns off is reported"
    assert calls(github) == 0


def test_an_organisation_file_that_is_not_text_is_named(github: Sandbox, pull: PullRequest) -> None:
    github.create_repository("octo/.github", files={".kodiai.yml": NO_UNUSED.encode("utf-16")})

    for action in ("opened", "reopened"):
        run(admit(pull, action))
        assert "`.kodiai.yml` of `octo/.github` could not be read; the defaults" in pull.reviews[0]["body"]
    assert sum("/.github/contents/" in call.path for call in github.calls) == 1, "it is asked for once"
