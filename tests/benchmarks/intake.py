"""How many deliveries the intake stores in a second, beside an empty view of the same server: `make bench`.

wrk (a Debian package) posts signed bodies of 22 KB on 16 connections to `manage.py run` without workers. Each kind is
measured between two measurements of the empty view, so that what else the machine does touches both.
"""

import argparse
import hashlib
import hmac
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox import webhook_payload
from tests.e2e import load
from tests.support.running_kodiai import Kodiai, running_kodiai

SCRIPT = Path(__file__).with_name("deliveries.lua")
BODY_SIZE = 22_000
"""Bytes of a body: about that of GitHub's `pull_request` events."""
CONNECTIONS = 16
STEADY_RATE = 200
"""Deliveries a second for which the slowest answers are measured."""
SECRET = "bench"


@dataclass(frozen=True)
class Rate:
    """Answers in a second, and how many were not 2xx or did not come."""

    per_second: float
    wrong: int


@dataclass(frozen=True)
class Measured:
    """Deliveries of one kind: their rate, and beside it that of the empty view before and after."""

    kind: str
    rate: Rate
    limit: float
    milliseconds: float
    """Of the web server's processor time for each delivery, which depends less than a rate on what else runs."""
    wrong: int


def measure(kodiai: Kodiai, seconds: int) -> list[Measured]:
    repo = kodiai.github.create_repository("octo/bench", files={"a.py": "x = 1\n"})
    payload = webhook_payload(repo.open_pull_request(changes={"a.py": "x = 2\n"}), "opened")
    kinds = {
        "first": ("pull_request", payload, True),
        "duplicate": ("pull_request", payload, False),
        "ignored": ("star", payload | {"action": "created"}, True),
    }
    found = []
    for kind, (event, content, different) in kinds.items():
        body = kodiai.log.parent / f"{kind}.json"
        body.write_bytes(_padded(content))
        send = lambda path: _wrk(kodiai.url + path, body, event, kind, different, seconds)  # noqa: B023, E731
        before, began = send("/webhooks/empty"), _processor_seconds(kodiai)
        rate, ended = send("/webhooks/github"), _processor_seconds(kodiai)
        after = send("/webhooks/empty")
        limit = (before.per_second + after.per_second) / 2
        milliseconds = (ended - began) * 1000 / (rate.per_second * seconds)
        found.append(Measured(kind, rate, limit, milliseconds, before.wrong + rate.wrong + after.wrong))
    return found


def _processor_seconds(kodiai: Kodiai) -> float:
    """Processor time that the web server has used. Source: proc(5), fields 14 and 15 of stat."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in kodiai.web_servers()]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def steady(kodiai: Kodiai, seconds: int) -> tuple[float, float, int]:
    """Send `STEADY_RATE` deliveries a second, each at its time; return the median and p99 of answers in ms, and wrong.

    The time of an answer counts from when its delivery was due, so that a slow one also counts for those behind it.
    """
    body = (kodiai.log.parent / "first.json").read_bytes()
    address, headers = urlsplit(kodiai.url), _headers(body, "pull_request")
    start, total = time.monotonic() + 0.5, STEADY_RATE * seconds
    times: list[float] = []
    wrong: list[int] = []
    numbers, lock = iter(range(total)), threading.Lock()

    def send() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            due = start + number / STEADY_RATE
            time.sleep(max(0.0, due - time.monotonic()))
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
            connection.request("POST", "/webhooks/github", body, headers | {"X-GitHub-Delivery": f"steady-{number}"})
            response = connection.getresponse()
            response.read()
            connection.close()
            times.append(time.monotonic() - due)
            if response.status != 202:
                wrong.append(response.status)

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    return times[total // 2] * 1000, times[total * 99 // 100] * 1000, len(wrong)


def _wrk(url: str, body: Path, event: str, delivery: str, different: bool, seconds: int) -> Rate:
    environment = {
        "BODY": str(body),
        "EVENT": event,
        "DELIVERY": f"{delivery}-{time.monotonic_ns()}" if different else delivery,
        "DIFFERENT": str(int(different)),
        "SIGNATURE": _headers(body.read_bytes(), event)["X-Hub-Signature-256"],
    }
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT), url]
    printed = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True).stdout
    requests, microseconds, refused, lost = map(int, printed.partition("RESULT ")[2].split())
    return Rate(requests / microseconds * 1e6, refused + lost)


def _headers(body: bytes, event: str) -> dict[str, str]:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-Hub-Signature-256": f"sha256={signature}",
    }


def _padded(payload: dict[str, Any]) -> bytes:
    """Return a body of `BODY_SIZE`, filled with addresses, as those of GitHub are."""
    payload = {**payload, "links": {}}
    while len(body := json.dumps(payload).encode()) < BODY_SIZE:
        payload["links"] |= {
            f"link_{len(payload['links']) + number}_url": "https://api.github.com/repos/octo/bench/comments{/number}"
            for number in range(max(1, (BODY_SIZE - len(body)) // 100))
        }
    return body


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=6, help="of each measurement")
    parser.add_argument("--json", action="store_true", help="print figures for docs/performance.md")
    options = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_kodiai(
            Path(folder),
            workers=0,
            secret=SECRET,
            DJANGO_SETTINGS_MODULE="tests.benchmarks.settings",
            KODIAI_LOG_LEVEL="ERROR",
        ) as kodiai,
    ):
        kinds = measure(kodiai, options.seconds)
        median, slow, wrong = steady(kodiai, options.seconds)
    title = f"Intake, {load.DATABASE}, {CONNECTIONS} connections, {BODY_SIZE} bytes"
    columns = ("delivery", "a second", "of an empty view", "ms of the server's processor time", "not answered with 2xx")
    rows = [
        (
            one.kind,
            f"{one.rate.per_second:.0f}",
            f"{one.rate.per_second / one.limit:.0%}",
            f"{one.milliseconds:.2f}",
            str(one.wrong),
        )
        for one in kinds
    ]
    at_200 = f"At {STEADY_RATE} a second: median {median:.1f} ms, p99 {slow:.1f} ms, {wrong} not answered with 202."
    load.publish(title, columns, rows, [at_200], as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
