"""The front door's parts, without a server: whom it believes, what it keeps, whom it closes."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections as databases
from django.test import Client
from pytest_django import Settings

from kodiai import bodies, connections, pools
from kodiai.asgi import FrontDoor, NamedProxies, _headers
from kodiai.bodies import Body, NoRoom, Room
from kodiai.connections import Waiting
from kodiai.pools import Busy, Groups, Pool
from tests.support.waiting import PATIENCE
from tests.support.webhooks import comment_payload, deliver, pull_request_payload, sign


def seen_behind(peer: str, *headers: tuple[str, str]) -> dict[str, Any]:
    """What is left of a request from this address once proxies are believed or not."""
    seen: dict[str, Any] = {}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": encoded}
    asyncio.run(NamedProxies(application)(scope, None, None))
    return {"client": seen["client"][0], "scheme": seen["scheme"], "headers": _headers(seen)}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.2", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.2", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("::1", "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        ("10.0.0.2", "", "10.0.0.2"),
    ],
)
def test_an_address_is_believed_only_of_a_named_proxy(
    settings: Settings, peer: str, forwarded: str, client: str
) -> None:
    settings.KODIAI_TRUSTED_PROXIES = ["10.0.0.0/8", "::1"]

    seen = seen_behind(peer, ("X-Forwarded-For", forwarded), ("X-Forwarded-Proto", "https"))

    assert seen["client"] == client
    assert seen["scheme"] == ("http" if peer == "192.0.2.1" else "https")
    # Django sees no header that only a proxy may set.
    assert seen["headers"] == {}


def test_an_unnamed_proxy_is_warned_of_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.KODIAI_TRUSTED_PROXIES = []
    proxies = NamedProxies(None)
    scope = {"type": "lifespan", "client": ("10.0.0.2", 1), "headers": [(b"x-forwarded-proto", b"https")]}

    async def twice() -> None:
        for _ in range(2):
            with pytest.raises(TypeError):
                await proxies(dict(scope), None, None)

    asyncio.run(twice())

    (line,) = caplog.records
    assert "KODIAI_TRUSTED_PROXIES" in line.getMessage()


def test_underscores_are_dropped_and_equal_names_joined(settings: Settings) -> None:
    settings.KODIAI_TRUSTED_PROXIES = ["127.0.0.1"]

    seen = seen_behind(
        "127.0.0.1", ("X_Forwarded_For", "6.6.6.6"), ("X_Hub_Signature_256", "x"), ("X-A_B", "x"),
        ("Content_Length", "9"),
        ("Cookie", "a=1"), ("Cookie", "b=2"), ("X-GitHub-Event", "ping"), ("X-GitHub-Event", "push"),
    )  # fmt: skip

    assert seen["client"] == "127.0.0.1"
    assert seen["headers"] == {"Cookie": "a=1; b=2", "X-Github-Event": "ping,push"}


def test_bodies_go_to_files_and_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "ALL_IN_FILES", 3 * bodies.IN_MEMORY)
    room = Room()
    piece = b"x" * bodies.ALWAYS_IN_MEMORY

    async def fill(body: Body, size: int) -> None:
        for _ in range(size // len(piece)):
            await body.append(piece)

    async def attack() -> None:
        with ThreadPoolExecutor(1) as disk:
            small, large, another = Body(room, disk), Body(room, disk), Body(room, disk)
            await fill(small, bodies.IN_MEMORY)
            await fill(large, 2 * bodies.IN_MEMORY)
            assert (small.in_file, large.in_file) == (False, True)
            assert b"".join(large.pieces()) == piece * (large.size // len(piece)) == large.rewound().read()
            with pytest.raises(NoRoom):
                await fill(another, 2 * bodies.IN_MEMORY)
            # Memory is used up: what is small stays there, what is not goes to a file.
            room.in_memory += bodies.ALL_IN_MEMORY
            little, middle = Body(room, disk), Body(room, disk)
            large.close()
            await fill(little, len(piece))
            await fill(middle, 2 * len(piece))
            assert (little.in_file, middle.in_file) == (False, True)
            room.in_memory -= bodies.ALL_IN_MEMORY
            for body in (small, another, little, middle):
                body.close()

    asyncio.run(attack())

    assert room == Room(0, 0)


class Waiter:
    """A connection that waits."""

    def __init__(self) -> None:
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0)


def waiting_of(number: int, address: str, *, most: int = 1000) -> tuple[Waiting, list[Waiter]]:
    waiting = Waiting(most=most, seconds=10, proxies={"10.0.0.1"})
    clients = [Waiter() for _ in range(number)]
    for client in clients:
        assert waiting.add(client, address)
    return waiting, clients


def test_past_the_limit_of_an_address_its_oldest_is_closed(impatient: None) -> None:
    waiting, clients = waiting_of(connections.MAX_WAITING, "192.0.2.1")

    assert waiting.add(Waiter(), "192.0.2.2")
    assert not any(client.dropped for client in clients)
    assert waiting.add(Waiter(), "192.0.2.1")
    assert [client.dropped for client in clients] == [True] + [False] * (connections.MAX_WAITING - 1)


def test_neither_a_named_proxy_nor_a_burst_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    _, burst = waiting_of(connections.MAX_WAITING * 2, "192.0.2.1")
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0)
    _, proxied = waiting_of(connections.MAX_WAITING * 2, "10.0.0.1")
    assert not any(client.dropped for client in burst + proxied)


def test_without_room_the_address_with_most_makes_it(impatient: None) -> None:
    waiting, clients = waiting_of(3, "192.0.2.1", most=4)
    other = Waiter()
    assert waiting.add(other, "192.0.2.2")

    assert waiting.add(Waiter(), "192.0.2.3")
    assert [client.dropped for client in [*clients, other]] == [True, False, False, False]


def test_without_room_and_patience_a_connection_is_refused() -> None:
    waiting, (client,) = waiting_of(1, "192.0.2.1", most=1)

    assert not waiting.add(Waiter(), "192.0.2.2")
    waiting.remove(client, "192.0.2.1")
    assert waiting.add(Waiter(), "192.0.2.2")


def test_a_full_pool_refuses_and_others_go_on() -> None:
    async def fill() -> None:
        full, other = Pool("full", threads=1, waiting=1), Pool("other", threads=1, waiting=1)
        held = threading.Event()
        runs = [asyncio.ensure_future(full.run(held.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await full.run(int)
        assert await other.run(int) == 0
        held.set()
        await asyncio.gather(*runs)
        assert await full.run(int) == 0

    asyncio.run(fill())


class Store:
    """A store whose first group takes until `release`."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.entered, self.release = threading.Event(), threading.Event()

    def write(self, items: Sequence[str]) -> list[str]:
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self.entered.set()
            assert self.release.wait(PATIENCE)
        if "broken" in items:
            raise ValueError
        return [item.upper() for item in items]


def written_while_the_first_is(store: Store, *items: str) -> list[Any]:
    """Results of these, of which all but the first come while the first is being written."""

    async def write() -> list[Any]:
        groups = Groups("test", store.write, waiting=4)
        first = asyncio.ensure_future(groups.run(items[0]))
        await asyncio.to_thread(store.entered.wait, PATIENCE)
        others = [asyncio.ensure_future(groups.run(item)) for item in items[1:]]
        await asyncio.sleep(0)
        store.release.set()
        results = await asyncio.gather(first, *others, return_exceptions=True)
        return [*results, await groups.run("last")]

    return asyncio.run(write())


def test_those_who_wait_are_one_group_and_who_comes_late_goes() -> None:
    store = Store()
    *results, late, last = written_while_the_first_is(store, *"abcdef")
    assert [*results, last] == ["A", "B", "C", "D", "E", "LAST"]
    assert isinstance(late, Busy)
    assert store.groups == [["a"], ["b", "c", "d", "e"], ["last"]]


def test_an_item_that_fails_fails_alone() -> None:
    first, second, broken, last = written_while_the_first_is(Store(), "a", "b", "broken")
    assert (first, second, last) == ("A", "B", "LAST")
    assert isinstance(broken, ValueError)


def test_what_has_waited_too_long_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "STALE_SECONDS", -1)
    store = Store()

    async def write() -> None:
        with pytest.raises(Busy):
            await Groups("test", store.write, waiting=4).run("a")

    asyncio.run(write())
    assert store.groups == []


UNSIGNED = {"x_hub_signature_256": "sha256=" + "0" * 64}
HUGE = pull_request_payload(title="x" * bodies.IN_MEMORY)


def through_the_door(door: FrontDoor, body: bytes, **headers: str) -> tuple[int, bytes]:
    """Status and body of the answer to a request to `/webhooks/github`."""
    named = {"content-type": "application/json", "content-length": str(len(body)), "host": "localhost"} | headers
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/webhooks/github",
        "raw_path": b"/webhooks/github", "query_string": b"", "client": ("192.0.2.1", 1), "server": ("127.0.0.1", 8000),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
    }  # fmt: skip
    pieces = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(door(scope, receive, send))
    return sent[0]["status"], b"".join(message["body"] for message in sent[1:])


@pytest.fixture
def door() -> Iterator[FrontDoor]:
    door = FrontDoor()
    yield door
    for pool in (door._inbox, door._intake):
        pool._executor.submit(databases.close_all).result()


@pytest.mark.sampled(4)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("event", "body", "changed", "status"),
    [
        ("pull_request", pull_request_payload(), {}, 202),
        ("pull_request", HUGE, {}, 202),
        ("pull_request", pull_request_payload(title="x" * bodies.ALWAYS_IN_MEMORY), {}, 202),
        ("issue_comment", comment_payload(), {}, 202),
        ("star", {"action": "created"}, {}, 202),
        ("ping", {}, {}, 200),
        ("pull_request", {"action": "opened"}, {}, 400),
        ("pull_request", pull_request_payload(), {"x_github_delivery": ""}, 400),
        ("pull_request", pull_request_payload(), UNSIGNED, 401),
        ("pull_request", HUGE, UNSIGNED, 401),
    ],
)  # fmt: skip
def test_a_delivery_is_answered_as_the_view_of_django_does(
    door: FrontDoor, client: Client, event: str, body: dict[str, Any], changed: dict[str, str], status: int
) -> None:
    raw = json.dumps(body).encode()
    id_, signature = changed.get("x_github_delivery", "d-1"), changed.get("x_hub_signature_256", sign(raw))
    headers = {"x_github_event": event, "x_github_delivery": id_, "x_hub_signature_256": signature}

    first, second = (through_the_door(door, raw, **headers) for _ in range(2))
    third = deliver(client, raw, event=event, delivery_id=id_, signature=signature)

    assert first[0] == status
    assert (second[0], json.loads(second[1])) == (third.status_code, json.loads(third.content))


@pytest.mark.django_db(transaction=True)
def test_a_delivery_to_a_foreign_host_is_left_to_django(door: FrontDoor) -> None:
    raw = json.dumps(pull_request_payload()).encode()

    status, page = through_the_door(door, raw, host="evil.example", x_hub_signature_256=sign(raw))

    assert (status, page[:9]) == (400, b"<!doctype")


def test_a_refused_delivery_is_logged_with_its_reason(door: FrontDoor, caplog: pytest.LogCaptureFixture) -> None:
    assert (
        through_the_door(door, b"x", x_hub_signature_256=sign(b"x"), x_github_delivery="d", x_github_event="ping")[0]
        == 400
    )

    (line,) = caplog.records
    assert (line.name, vars(line)["status_code"]) == ("django.request", 400)
    assert line.getMessage() == "Bad Request: /webhooks/github: the body is not JSON"
