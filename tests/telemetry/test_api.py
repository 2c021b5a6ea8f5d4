"""The telemetry API: who may read what, in which pages, at which price."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.authtoken.models import Token

from tests.support.factories import ExecutionFactory, RateLimitEventFactory

pytestmark = pytest.mark.django_db

EVENTS, EXECUTIONS = "/api/v1/rate-limit-events/", "/api/v1/executions/"
RESOURCES = [(EVENTS, RateLimitEventFactory), (EXECUTIONS, ExecutionFactory)]


def reader(*models: str, **attributes: Any) -> User:
    """A user who may view `models`, all of telemetry by default."""
    user = User.objects.create_user("reader", **attributes)
    codenames = [f"view_{model}" for model in models or ("ratelimitevent", "execution")]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def with_token(user: User, **headers: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {Token.objects.create(user=user).key}", **headers})


def with_session(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def rows(client: Client, address: str) -> list[dict[str, Any]]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


# Who may read


@pytest.mark.parametrize("log_in", [with_token, with_session])
@pytest.mark.parametrize(
    ("user", "events", "executions"),
    [
        (lambda: User.objects.create_user("nobody"), 403, 403),
        (lambda: User.objects.create_user("staff", is_staff=True), 403, 403),
        (lambda: reader("ratelimitevent"), 200, 403),
        (lambda: reader("execution"), 403, 200),
        (lambda: User.objects.create_superuser("root"), 200, 200),
    ],
    ids=["no permission", "staff", "events", "executions", "superuser"],
)
def test_who_may_view_a_model_may_read_it(
    log_in: Callable[[User], Client], user: Callable[[], User], events: int, executions: int
) -> None:
    client = log_in(user())
    event, execution = RateLimitEventFactory(), ExecutionFactory()

    assert [client.get(address).status_code for address in (EVENTS, f"{EVENTS}{event.pk}/")] == [events] * 2
    assert [client.get(address).status_code for address in (EXECUTIONS, f"{EXECUTIONS}{execution.pk}/")] == [
        executions
    ] * 2


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer " + "0" * 40, "Bearer é", "Basic cm9vdDpw", "Token x"])
def test_without_a_user_every_method_is_answered_with_401(header: str) -> None:
    client = Client(headers={"Authorization": header} if header else {})
    for method in ("get", "head", "post", "put", "patch", "delete", "options", "trace"):
        for address in (EVENTS, f"{EXECUTIONS}1/"):
            answer = getattr(client, method)(address)
            assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer"), (method, address)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token"])
def test_a_token_is_accepted_under_both_schemes(scheme: str) -> None:
    token = Token.objects.create(user=reader()).key

    assert Client(headers={"Authorization": f"{scheme} {token}"}).get(EVENTS).status_code == 200


@pytest.mark.parametrize("log_in", [with_token, with_session])
@pytest.mark.parametrize(("address", "factory"), RESOURCES)
def test_nothing_can_be_written(log_in: Callable[[User], Client], address: str, factory: Any) -> None:
    client = log_in(User.objects.create_superuser("root"))
    row = factory()

    for place in (address, f"{address}{row.pk}/"):
        for method in ("post", "put", "patch", "delete", "options", "trace"):
            answer = getattr(client, method)(place)
            assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD"), (method, place)
    row.refresh_from_db()


# What is read


@pytest.mark.parametrize(("address", "factory"), RESOURCES)
def test_a_row_has_the_columns_that_kodiai_writes(address: str, factory: Any) -> None:
    row = factory()
    legacy = {"legacy_delivery_id", "session_id", "num_turns", "stop_reason"}

    answer = with_token(reader()).get(f"{address}{row.pk}/").json()

    assert answer.keys() == {field.name for field in row._meta.fields} - legacy
    assert answer.pop("created_at") == row.created_at.isoformat().replace("+00:00", "Z")
    assert answer == {name: getattr(row, name) for name in answer}


@pytest.mark.database
@pytest.mark.parametrize(("address", "factory"), RESOURCES)
def test_a_time_that_is_unreadable_is_null(address: str, factory: Any) -> None:
    row = factory()
    with connection.cursor() as cursor:
        unreadable = "garbage" if connection.vendor == "sqlite" else "infinity"
        cursor.execute(f"UPDATE {row._meta.db_table} SET created_at = %s", [unreadable])

    assert [found["created_at"] for found in rows(with_token(reader()), address)] == [None]
    assert with_token(User.objects.create_superuser("root")).get(f"{address}{row.pk}/").json()["created_at"] is None


@pytest.mark.parametrize(("address", "factory"), RESOURCES)
def test_head_answers_as_get_without_the_body(address: str, factory: Any) -> None:
    row, client = factory(), with_token(reader())

    for place in (address, f"{address}{row.pk}/"):
        got, asked = client.get(place), client.head(place)
        assert asked.status_code == 200
        assert asked.content == b""
        assert asked["ETag"] == got["ETag"]
        assert client.head(place, headers={"If-None-Match": got["ETag"]}).status_code == 304


# Pages


@pytest.mark.database
@pytest.mark.parametrize(("address", "factory"), RESOURCES)
@pytest.mark.parametrize("ordering", ["-id", "id"])
def test_pages_stay_whole_while_rows_are_written(address: str, factory: Any, ordering: str) -> None:
    client = with_token(reader())
    before = [row.pk for row in factory.create_batch(7)]
    seen: list[int] = []
    page: str | None = f"{address}?page_size=2&ordering={ordering}"

    while page and len(seen) < 20:
        answer = client.get(page).json()
        seen += [row["id"] for row in answer["results"]]
        if len(seen) < 7:
            factory()
        page = answer["next"]

    assert len(seen) == len(set(seen))
    assert [pk for pk in seen if pk in before] == (before if ordering == "id" else before[::-1])
    if ordering == "-id":
        assert seen == before[::-1], "rows that came later stand before the first page"


# What it costs


@pytest.mark.database
@pytest.mark.parametrize(
    ("log_in", "user", "authentication"),
    [
        # The token with its user; then the permissions of the user and those of the user's groups.
        (with_token, lambda: User.objects.create_superuser("root"), 1),
        (with_token, reader, 3),
        (with_session, lambda: User.objects.create_superuser("root"), 2),
        (with_session, reader, 4),
    ],
    ids=["token of a superuser", "token", "session of a superuser", "session"],
)
@pytest.mark.parametrize(("address", "factory"), RESOURCES)
def test_a_page_costs_one_query_beside_authentication(
    address: str, factory: Any, log_in: Callable[[User], Client], user: Callable[[], User], authentication: int
) -> None:
    client = log_in(user())
    factory.create_batch(60)

    for asked in (address, f"{address}?page_size=2", f"{address}?repo=acme/web&created_after=2020-01-01"):
        with CaptureQueriesContext(connection) as captured:
            assert rows(client, asked)
        # Without what the time limit on PostgreSQL adds: a savepoint and a setting.
        read = [query["sql"] for query in captured.captured_queries if " FROM " in query["sql"]]
        assert len(read) == authentication + 1, read
        assert "COUNT" not in read[-1]
