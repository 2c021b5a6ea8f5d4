"""The admin limits failed logins."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from kodiai.logins import MAX_FAILURES, MAX_FAILURES_OF_ADDRESS, WAIT_SECONDS, Throttle
from tests.support.webhooks import deliver, pull_request_payload

pytestmark = pytest.mark.database

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


def log_in(password: str, *, name: str = "root", address: str = "192.0.2.1", **headers: str) -> HttpResponse:
    client = Client(REMOTE_ADDR=address, headers=headers)
    return client.post("/admin/login/", {"username": name, "password": password, "next": "/admin/"})


def lock(**where: str) -> None:
    for _ in range(MAX_FAILURES):
        assert log_in("wrong", **where).status_code == 200


def test_after_five_wrong_passwords_the_right_one_waits_too(admin: User) -> None:
    lock()

    with patch("django.contrib.auth.base_user.check_password", wraps=check_password) as looked:
        answer = log_in(PASSWORD)
        assert not looked.called, "no password is looked at while a name has to wait"
        log_in(PASSWORD, address="192.0.2.2")
        assert looked.called

    assert answer.status_code == 429
    assert answer["Retry-After"] == str(WAIT_SECONDS)
    assert "Too many wrong passwords" in answer.content.decode()
    assert "manage.py changepassword" in answer.content.decode()


def test_only_this_name_from_this_address_has_to_wait(admin: User) -> None:
    User.objects.create_superuser("other", password=PASSWORD)
    lock()

    assert log_in(PASSWORD, name="other").status_code == 302
    assert log_in(PASSWORD, address="192.0.2.2").status_code == 302
    assert log_in(PASSWORD, name="ROOT").status_code == 429


def test_the_wait_ends_by_itself_and_tries_do_not_make_it_longer(admin: User) -> None:
    lock()
    start = datetime.now().timestamp()

    with patch("django.core.cache.backends.locmem.time.time") as clock:
        clock.return_value = start + WAIT_SECONDS - 5
        assert log_in(PASSWORD).status_code == 429
        clock.return_value = start + WAIT_SECONDS + 5
        assert log_in(PASSWORD).status_code == 302


def test_the_right_password_ends_the_count(admin: User) -> None:
    for _ in range(MAX_FAILURES - 1):
        log_in("wrong")
    assert log_in(PASSWORD).status_code == 302

    lock()


def test_concurrent_logins_get_no_more_tries(rf: RequestFactory) -> None:
    def tried(_: int) -> bool:
        try:
            Throttle().authenticate(rf.post("/admin/login/"), username="root")
        except PermissionDenied:
            return False
        return True

    with ThreadPoolExecutor(16) as crowd:
        assert sum(crowd.map(tried, range(64))) == MAX_FAILURES


def test_a_cache_that_fails_locks_nobody_out(admin: User, settings: Settings) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://[::1]:1"}
    }

    assert log_in(PASSWORD).status_code == 302


def test_made_up_names_from_one_address_are_throttled(admin: User) -> None:
    answers = [log_in("wrong", name=f"name-{number}").status_code for number in range(MAX_FAILURES_OF_ADDRESS + 20)]

    assert answers == [200] * MAX_FAILURES_OF_ADDRESS + [429] * 20
    assert log_in(PASSWORD).status_code == 429
    assert log_in(PASSWORD, address="192.0.2.2").status_code == 302


def test_successful_logins_do_not_block_their_address(admin: User) -> None:
    for _ in range(MAX_FAILURES_OF_ADDRESS + 1):
        assert log_in(PASSWORD).status_code == 302


def test_no_header_changes_the_address_that_is_throttled(admin: User) -> None:
    """What a named proxy says comes as the client's address, by the front door, and not in a header."""
    for number in range(MAX_FAILURES):
        log_in("wrong", **{"X-Forwarded-For": f"6.6.6.{number}"})

    assert log_in(PASSWORD, **{"X-Forwarded-For": "6.6.6.6"}).status_code == 429


def test_the_addresses_of_one_ipv6_network_count_as_one(admin: User) -> None:
    for number in range(MAX_FAILURES):
        log_in("wrong", address=f"2001:db8::{number}")

    assert log_in(PASSWORD, address="2001:db8::ffff").status_code == 429
    assert log_in(PASSWORD, address="2001:db8:0:1::1").status_code == 302


@pytest.mark.django_db
def test_the_intake_uses_neither_cookies_nor_the_cache(client: Client) -> None:
    client.cookies["sessionid"] = "x" * 32
    with (
        patch("reviews.cache.count") as counted,
        patch("django.contrib.sessions.backends.db.SessionStore.load") as loaded,
    ):
        answer = deliver(client, pull_request_payload())

    assert answer.status_code == 202
    assert not answer.cookies
    assert not counted.called
    assert not loaded.called
    assert Client(enforce_csrf_checks=True).post("/webhooks/github", b"{}", "application/json").status_code == 401
