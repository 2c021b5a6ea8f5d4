"""Attacks on the front door, bare, behind nginx and behind Caddy: who sends them pays for them, and nobody else."""

import signal
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.load import resident_mib
from tests.support.attacks import HOST, MIB, Address, ask, head, send_huge, stalled, webhook_head
from tests.support.proxies import proxied
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import eventually
from tests.support.webhooks import sign

SECRET = "front-door"
MAX_MIB = 120
"""Memory of the web server after all attacks."""


@dataclass(frozen=True)
class Door:
    """A Kodiai, and the address of what stands in front of it."""

    kodiai: Kodiai
    address: Address

    def deliver(self) -> int:
        """Send a signed delivery and return the status of its answer."""
        body = b'{"zen": "%s"}' % (b"x" * 22_000)
        delivery = f"{uuid.uuid4()}"
        request = head(
            length=len(body), content_type="application/json", x_github_event="push", x_github_delivery=delivery,
            x_hub_signature_256=sign(body, SECRET),
        )  # fmt: skip
        return ask(self.address, request + body)[0]

    def serves(self) -> None:
        """Check that a health check and a signed delivery are answered."""
        assert ask(self.address, head("/healthz", "GET"))[0] == 200
        assert self.deliver() == 202

    def serves_until(self, *attacks: Future[Any]) -> None:
        """Check it some times a second until the attacks are over."""
        while wait(attacks, timeout=0.2).not_done:
            self.serves()

    def log_in(self, number: int) -> int:
        """Try a made-up name, and say that somebody else did."""
        cookie = ("__Host-csrftoken=" if self.address.tls else "csrftoken=") + "a" * 32
        form = f"username=name-{number}&password=x&csrfmiddlewaretoken={'a' * 32}".encode()
        spoofed = {"X_Forwarded_For": f"10.0.0.{number}", "X-Forwarded-For": f"10.0.0.{number}"}
        given = {
            "content-type": "application/x-www-form-urlencoded",
            "cookie": cookie,
            "origin": f"{'https' if self.address.tls else 'http'}://{HOST}",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in (given | spoofed).items()).encode()
        request = head("/admin/login/", length=len(form))[:-2] + lines + b"\r\n" + form
        return ask(self.address, request)[0]


@pytest.fixture(scope="module", params=["bare", "nginx", "caddy"])
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp(request.param)
    settings = {"KODIAI_ALLOWED_HOSTS": HOST, "KODIAI_REQUEST_SECONDS": "12"}
    if request.param != "bare":
        settings |= {"KODIAI_HTTPS": "true", "KODIAI_TRUSTED_PROXIES": "127.0.0.1"}
    with (
        running_kodiai(folder, workers=0, secret=SECRET, **settings) as kodiai,
        proxied(request.param, folder / "proxy", int(kodiai.url.rpartition(":")[2])) as address,
    ):
        yield Door(kodiai, address)


def test_metrics_are_read_behind_the_proxies_only(door: Door) -> None:
    inside = Address(int(door.kodiai.url.rpartition(":")[2]))
    asked = head("/metrics", method="GET")

    assert ask(door.address, asked)[0] == (404 if door.address.tls else 200)
    assert ask(inside, asked)[0] == 200


def test_stalled_clients_delay_nobody_and_are_closed(door: Door) -> None:
    with stalled(door.address, each=8) as crowd:
        door.serves()
        # More than there are threads for webhooks, and the others were served.
        assert crowd.waited_for("body", "head", "form") > 4
        eventually(lambda: crowd.waited_for("body", "head", "form") == 0, "the stalled are closed")
        door.serves()


@pytest.mark.parametrize("signature", [None, "sha256=" + "0" * 64], ids=["unsigned", "wrong"])
def test_huge_bodies_cost_neither_memory_nor_others(door: Door, signature: str | None) -> None:
    with ThreadPoolExecutor(1) as attacker:
        # Through TLS they take as long again.
        number = 25 if door.address.tls else 50
        sent: Future[list[bytes]] = attacker.submit(send_huge, door.address, number, signature)
        door.serves_until(sent)
    statuses = {answer[9:12] for answer in sent.result()}

    # 503: no room for more; 408: the machine was slower than the deadline; 502: what nginx makes of either.
    assert statuses <= ({b"401"} if signature is None else {b"401", b"503", b"408", b"502"})
    eventually(lambda: all(resident_mib(pid) < MAX_MIB for pid in door.kodiai.web_servers()), "memory is given back")


def test_log_ins_delay_nobody_and_cannot_be_spoofed(door: Door) -> None:
    with ThreadPoolExecutor(16) as crowd:
        tried = [crowd.submit(door.log_in, number) for number in range(32)]
        door.serves_until(*tried)

    assert {one.result() for one in tried} <= {200, 429, 503}
    # One address, whatever it says of itself.
    eventually(lambda: door.log_in(99) == 429, "the address is blocked")


JUDGED = [
    (head(length=1000, content_type="application/json"), 401),
    (head(length=1000, content_type="application/json", x_hub_signature_256="sha256=no"), 401),
    (head(content_type="application/json", transfer_encoding="chunked"), 411),
    (webhook_head(25 * MIB + 1), 413),
    (head(length=1000, content_type="text/plain"), 415),
    (head(method="PUT", length=1000, content_type="application/json"), 405),
    (head("/admin/login/", length=25 * MIB, content_type="application/x-www-form-urlencoded"), 413),
]


def test_headers_are_judged_before_the_body(door: Door) -> None:
    with ThreadPoolExecutor(len(JUDGED)) as crowd:
        answers = crowd.map(lambda judged: ask(door.address, judged[0])[0], JUDGED)

    assert list(answers) == [status for _, status in JUDGED]


# Without a proxy test_deployments.py shows it.
@pytest.mark.parametrize("door", ["nginx", "caddy"], indirect=True)
def test_a_replacement_refuses_no_delivery_of_a_proxy(door: Door) -> None:
    replaced = threading.Event()
    statuses: list[int] = []

    def send() -> None:
        while not replaced.is_set():
            statuses.append(door.deliver())

    sender = threading.Thread(target=send)
    sender.start()
    try:
        first = door.kodiai.web_servers()
        door.kodiai.process.send_signal(signal.SIGHUP)
        eventually(lambda: not set(first) & set(door.kodiai.web_servers()), "the first web server has ended")
    finally:
        replaced.set()
        sender.join()

    assert set(statuses) == {202}
