"""GitHub's rate limits: how they are read, remembered and respected."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.core.cache import cache
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from reviews.github import limits
from reviews.github.client import Client
from reviews.github.errors import RateLimited, reset_at, retry_at
from reviews.github.files import FileRef
from reviews.models import DeliveryStatus
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from telemetry.models import Conclusion
from tests.support.runs import admit, run
from tests.support.shop import AFTER

pytestmark = pytest.mark.django_db

UNHINTED = Fault(FaultKind.SECONDARY_LIMIT)
LIMITS = [
    Fault(FaultKind.PRIMARY_LIMIT, reset_in=600),
    Fault(FaultKind.PRIMARY_LIMIT, status=429, reset_in=600),
    Fault(FaultKind.SECONDARY_LIMIT, retry_after=600),
    UNHINTED,
]
IDS = ["primary-403", "primary-429", "secondary", "secondary-unhinted"]


def answer(status: int = 403, **headers: str) -> httpx.Response:
    return httpx.Response(
        status,
        headers={name.replace("_", "-"): value.encode() for name, value in headers.items()},
        json={"message": "You have exceeded a secondary rate limit"},
        request=httpx.Request("GET", "https://api.github.example/repos/octo/demo"),
    )


# What is remembered


@pytest.mark.parametrize(
    ("fault", "route"), list(zip(LIMITS, ("pull", "files", "contents", "create_review"), strict=True)), ids=IDS
)
def test_a_known_limit_costs_the_next_run_no_call(github: Sandbox, pull: PullRequest, fault: Fault, route: str) -> None:
    github.fail(route, fault)
    first = run(admit(pull))
    assert first.deferred_until is not None
    other = pull.repository.open_pull_request(changes={"other.py": "import os\n"}, author="mona")
    github.reset_calls()

    second = run(admit(other))

    assert github.count() == 0
    assert (second.delivery.status, second.attempts) == (DeliveryStatus.QUEUED, 0)
    assert abs(second.deferred_until - first.deferred_until) < timedelta(seconds=2)


def test_runs_of_other_installations_go_on_while_one_is_limited(github: Sandbox, pull: PullRequest) -> None:
    elsewhere = github.create_repository("acme/shop", files={"shop.py": "x = 1\n"})
    other = elsewhere.open_pull_request(changes={"shop.py": AFTER}, author="mona")
    github.fail("files", UNHINTED)
    assert run(admit(pull)).delivery.status == DeliveryStatus.QUEUED

    review = run(admit(other))

    assert review.conclusion == Conclusion.SUCCESS
    assert (len(other.reviews), pull.reviews) == (1, [])


def test_a_limit_of_the_app_defers_only_new_tokens(github: Sandbox, pull: PullRequest) -> None:
    assert run(admit(pull)).conclusion == Conclusion.SUCCESS
    elsewhere = github.create_repository("acme/shop", files={"shop.py": "x = 1\n"})
    others = [
        elsewhere.open_pull_request(changes={f"{name}.py": "import os\n"}, author="mona") for name in ("one", "two")
    ]
    github.fail("installation_token", UNHINTED)
    assert run(admit(others[0])).delivery.status == DeliveryStatus.QUEUED
    github.reset_calls()

    assert run(admit(others[1])).delivery.status == DeliveryStatus.QUEUED
    assert github.count() == 0
    assert run(admit(pull, "reopened")).conclusion == Conclusion.SUCCESS


def test_a_limit_of_one_resource_is_not_one_of_another(github: Sandbox, pull: PullRequest) -> None:
    github.fail("graphql", Fault(FaultKind.GRAPHQL_RATE_LIMITED, reset_in=600))
    assert run(admit(pull)).delivery.status == DeliveryStatus.QUEUED

    with Client("octo/demo", pull.repository.installation_id) as client:
        assert client.pull_request(pull.number).head.sha == pull.head_sha
        with pytest.raises(RateLimited) as limited:
            client.blobs([FileRef(pull.head_sha, "shop.py")])
    assert (limited.value.resource, limited.value.asked) == ("graphql", False)


def test_a_limit_met_again_is_waited_for_twice_as_long(github: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNHINTED_WAIT", timedelta(milliseconds=20))
    monkeypatch.setattr(limits, "MIN_GROWTH", timedelta(0))
    waits = []
    for _ in range(4):
        limits.register_hit("installation-1", "core", answer())
        waits.append(cache.get(limits._key("installation-1", "core", "last"))[1])
        _until_forgotten("installation-1", "core")

    assert waits == [timedelta(milliseconds=wait) for wait in (20, 40, 80, 160)]


def test_a_limit_that_many_meet_at_the_same_time_grows_once(github: Sandbox) -> None:
    waits = [limits.register_hit("installation-1", "core", answer()).retry_at for _ in range(5)]

    assert max(waits) - min(waits) < timedelta(seconds=5)


def test_repeated_waits_of_zero_seconds_grow(github: Sandbox) -> None:
    first = limits.register_hit("installation-1", "core", answer(retry_after="0"))
    _until_forgotten("installation-1", "core")
    second = limits.register_hit("installation-1", "core", answer(retry_after="0"))

    assert first.retry_at <= timezone.now()
    assert second.retry_at - timezone.now() > timedelta(seconds=0.5)


def test_a_limit_grows_to_an_hour_and_no_further(github: Sandbox) -> None:
    now = timezone.now()
    cache.set(limits._key("installation-1", "core", "last"), (now, timedelta(minutes=50)))

    wait = limits.register_hit("installation-1", "core", answer()).retry_at - now

    assert timedelta(minutes=59) < wait <= timedelta(minutes=61)


def _until_forgotten(owner: str, resource: str) -> None:
    """Return when a limit is over, as a deferred run does."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            limits.raise_if_exhausted(owner, resource)
        except RateLimited:
            time.sleep(0.005)
        else:
            return
    pytest.fail("the limit is not over")


# What GitHub says


RESETS = ("-1", "0", "1", "soon", "", "9" * 11, "9" * 400, "1e3", "½", "NaN", "0x10")
RETRIES = (
    *("-5", "soon", "", "9" * 7, "9" * 400, "1e9", "1.5", "+5", "Tue, 99 Feb 2026 99:99:99 GMT"),
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Mon, 01 Jan 2026 00:00:00 -9999999999",
)


SAID = [{"x_ratelimit_remaining": "0", "x_ratelimit_reset": value} for value in RESETS]
SAID += [{"retry_after": value} for value in RETRIES]


@pytest.mark.parametrize("said", [SAID[3], SAID[6], SAID[12], SAID[-1]], ids=str)
def test_any_limit_header_defers_the_run_or_ends_it_clearly(
    github: Sandbox, pull: PullRequest, said: dict[str, str]
) -> None:
    github.fail("files", Fault(FaultKind.SECONDARY_LIMIT, headers={k.replace("_", "-"): v for k, v in said.items()}))

    review = run(admit(pull))

    assert review.attempts == 0, review.delivery.failure
    if review.conclusion:
        assert "KODIAI_MAX_DEFERRAL" in review.conclusion_reason
    else:
        assert review.deferred_until - timezone.now() > timedelta(seconds=50)


def test_no_limit_header_is_a_wait_of_no_time(github: Sandbox) -> None:
    for number, said in enumerate(SAID):
        limit = limits.register_hit(f"installation-{number}", "core", answer(**said))
        assert limit.retry_at - timezone.now() > timedelta(seconds=50), said


def test_a_limit_for_ages_is_looked_at_again_after_an_hour(github: Sandbox, pull: PullRequest) -> None:
    github.fail("files", Fault(FaultKind.PRIMARY_LIMIT, headers={"x-ratelimit-reset": "9" * 11}))
    assert run(admit(pull)).conclusion == Conclusion.ERROR

    review = run(admit(pull, "reopened"))

    assert review.deferred_until - timezone.now() <= timedelta(hours=1, seconds=2)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_no_header_breaks_the_reading_of_a_limit(text: str) -> None:
    for said in (answer(retry_after=text), answer(x_ratelimit_remaining="0", x_ratelimit_reset=text)):
        for moment in (retry_at(said), reset_at(said)):
            assert moment is None or (moment.tzinfo is not None and moment > datetime(2020, 1, 1, tzinfo=UTC))
