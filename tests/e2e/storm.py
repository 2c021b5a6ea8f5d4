"""The storm: thousands of deliveries, many at once, some twice, while workers are killed. Nothing lost, nothing twice.

`python -m tests.e2e.storm` runs the whole and prints a table: `make storm`. The suite runs a smaller one. It sends to
the Kodiai that it starts on 127.0.0.1, and to nothing else; it is bounded in count and time.
"""

import argparse
import http.client
import json
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sandbox import PullRequest, WebhookRequest, webhook_payload
from tests.e2e import load
from tests.support.databases import POSTGRES_URL
from tests.support.running_kodiai import SMALL, Kodiai
from tests.support.waiting import PATIENCE, wait_until

ACTIONS = ("opened", "synchronize", "reopened", "ready_for_review")
DELIVERIES_PER_PULL = 12
DUPLICATES = 0.1
"""The share of all deliveries that are the same as an earlier one."""
MAX_SENDINGS = 50
"""How often one delivery is sent again after an answer other than 202."""


@dataclass
class Sendings:
    """What became of the deliveries on their way in. Shared by the senders, under `lock`."""

    answers: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    begun: Counter[str] = field(default_factory=Counter)
    """How often each delivery was sent so far."""
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Memory:
    """Resident memory in MiB, as sampled: of the web server, and of the largest worker."""

    web: list[float] = field(default_factory=list)
    worker: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What the storm did and found; `violations` is empty where the promise was kept. Times are in seconds."""

    deliveries: int
    identities: int
    answers: Counter[str]
    slowest: float
    intake: float
    whole: float
    conclusions: Counter[str]
    attempts: int
    killed: int
    memory: Memory
    violations: list[str]

    def show(self, title: str) -> None:
        rows = [
            ("deliveries sent (different ones)", f"{self.deliveries} ({self.identities})"),
            *((f"answered {answer}", count) for answer, count in sorted(self.answers.items())),
            ("intake, deliveries a second", self.deliveries / self.intake),
            ("slowest answer, s", self.slowest),
            *((f"runs ended as {conclusion}", count) for conclusion, count in sorted(self.conclusions.items())),
            ("until the last run ended, s", self.whole),
            ("runs a second", self.identities / self.whole),
            ("workers killed", self.killed),
            ("attempts that died with them", self.attempts),
            ("memory of the web server, first / most, MiB", _first_and_most(self.memory.web)),
            ("memory of the largest worker, most, MiB", max(self.memory.worker, default=0.0)),
            ("violations", len(self.violations)),
        ]
        load.show(title, ("what", "how much"), rows, self.violations)


def run_storm(
    kodiai: Kodiai, *, deliveries: int, senders: int, kill_every: float, longest: float, chance: random.Random
) -> Outcome:
    """Send the deliveries, wait until every run has ended, and compare. Ends after `longest` seconds."""
    duplicates = round(deliveries * DUPLICATES)
    pulls = _pulls(kodiai, deliveries - duplicates)
    sent = {
        f"storm-{number}": (pulls[number % len(pulls)], ACTIONS[number // len(pulls) % len(ACTIONS)])
        for number in range(deliveries - duplicates)
    }
    order = list(sent)
    for again in chance.sample(order, duplicates):
        # Half of the duplicates come right behind the first, so that both are on their way in at the same time.
        at = order.index(again) + 1
        order.insert(at if chance.random() < 0.5 else chance.randrange(at, len(order) + 1), again)
    sendings, memory = Sendings(), Memory()
    over = threading.Event()
    killed: list[int] = []
    beside = [
        threading.Thread(target=_kill_workers, args=(kodiai, kill_every, chance, killed, over)),
        threading.Thread(target=_sample, args=(kodiai, memory, over)),
    ]
    for thread in beside:
        thread.start()
    start = time.monotonic()
    try:
        _send_all(kodiai, sent, order, senders, sendings, start + longest)
        intake = time.monotonic() - start
        # Seldom: with thousands of runs the question is work for the database too.
        ended = wait_until(lambda: not load.unfinished(kodiai), max(0.0, start + longest - time.monotonic()), every=1)
        whole = time.monotonic() - start
    finally:
        over.set()
        for thread in beside:
            thread.join()
    left = wait_until(lambda: not load.tasks_left(kodiai))
    wrong = list(sendings.wrong)
    if not ended:
        wrong.append(f"{load.unfinished(kodiai)} runs had not ended after {longest:.0f} s")
    if not left:
        wrong.append(f"{load.tasks_left(kodiai)} tasks are left in the queue")
    wrong += [f"{delivery_id}: never accepted" for delivery_id in sent if delivery_id not in sendings.accepted]
    wrong += load.violations(kodiai, {delivery_id: pull for delivery_id, (pull, _) in sent.items()})
    found = load.runs(kodiai)
    return Outcome(
        deliveries=len(order),
        identities=len(sent),
        answers=sendings.answers,
        slowest=sendings.slowest,
        intake=intake,
        whole=whole,
        conclusions=Counter(run.conclusion for run in found),
        attempts=sum(run.attempts for run in found),
        killed=len(killed),
        memory=memory,
        violations=wrong,
    )


def _pulls(kodiai: Kodiai, identities: int) -> list[PullRequest]:
    repo = kodiai.github.create_repository("octo/storm", files=SMALL)
    count = max(2, identities // DELIVERIES_PER_PULL)
    return [
        repo.open_pull_request(changes={"a.py": f"import os\nx = {number}\n"}, author=f"author-{number}")
        for number in range(count)
    ]


# Sending


def _send_all(
    kodiai: Kodiai,
    sent: dict[str, tuple[PullRequest, str]],
    order: list[str],
    senders: int,
    sendings: Sendings,
    deadline: float,
) -> None:
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for delivery_id in order:
        waiting.put(delivery_id)
    bodies: dict[tuple[int, str], bytes] = {}

    def send() -> None:
        while time.monotonic() < deadline:
            try:
                delivery_id = waiting.get_nowait()
            except queue.Empty:
                return
            pull, action = sent[delivery_id]
            body = bodies.get((pull.number, action))
            if body is None:
                body = bodies[pull.number, action] = json.dumps(webhook_payload(pull, action)).encode()
            request = kodiai.github.webhook("pull_request", body, delivery_id=delivery_id)
            _send_until_accepted(kodiai, delivery_id, request, sendings, deadline)

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send_until_accepted(
    kodiai: Kodiai, delivery_id: str, request: WebhookRequest, sendings: Sendings, deadline: float
) -> None:
    """Send a delivery as often as it takes. A refusal promises that nothing was stored, and is held to that."""
    for _ in range(MAX_SENDINGS):
        with sendings.lock:
            sendings.begun[delivery_id] += 1
        began = time.monotonic()
        answer = _post(kodiai.webhooks, request)
        took = time.monotonic() - began
        with sendings.lock:
            sendings.answers[answer] += 1
            sendings.slowest = max(sendings.slowest, took)
            if answer.startswith("202"):
                sendings.accepted.add(delivery_id)
                return
        stored = kodiai.rows(f"SELECT 1 FROM reviews_delivery WHERE delivery_id = '{delivery_id}'")
        with sendings.lock:
            # Where nobody else has sent it in the meantime, that it is there says that this sending stored it.
            if answer.startswith("5") and stored and sendings.begun[delivery_id] == 1:
                sendings.wrong.append(f"{delivery_id}: answered {answer}, and stored all the same")
        if time.monotonic() > deadline:
            return


def _post(url: str, request: WebhookRequest) -> str:
    """Post a delivery; return the status and what Kodiai says that it did, or the error of the connection."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        connection.request("POST", parts.path, body=request.body, headers=request.headers)
        response = connection.getresponse()
        content = response.read()
        return f"{response.status} {json.loads(content)['status']}" if response.status == 202 else str(response.status)
    except (OSError, http.client.HTTPException) as error:
        return f"with {type(error).__name__}"
    finally:
        connection.close()


# Beside it


def _kill_workers(
    kodiai: Kodiai, every: float, chance: random.Random, killed: list[int], over: threading.Event
) -> None:
    """Kill one of the workers at work, every so often, while another is left and after another run has ended.

    Both keep the test independent of the machine's speed: where it starts a process or reviews a pull request more
    slowly than this kills, there would soon be no worker, or no run would ever end.
    """
    if every <= 0:
        return
    ended_before = -1
    while not over.wait(every):
        at_work, ended = sorted(load.at_work(kodiai)), load.ended(kodiai)
        if len(at_work) > 1 and ended > ended_before and load.kill(pid := chance.choice(at_work)):
            killed.append(pid)
            ended_before = ended


def _sample(kodiai: Kodiai, memory: Memory, over: threading.Event) -> None:
    while not over.wait(0.5):
        web = sum(map(load.resident_mib, load.children(kodiai, "kodiai.web")))
        if web:
            memory.web.append(web)
        memory.worker.append(max(map(load.resident_mib, load.children(kodiai, "manage.py worker")), default=0.0))


def _first_and_most(samples: list[float]) -> str:
    return f"{samples[0]:.0f} / {max(samples):.0f}" if samples else "–"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--senders", type=int, default=32, help="deliveries on their way in at once")
    parser.add_argument("--kill-every", type=float, default=1, help="seconds; 0 kills nobody")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--longest", type=float, default=3600, help="seconds after which it ends")
    options = parser.parse_args()
    seed, chance = load.seeded()
    with (
        tempfile.TemporaryDirectory() as folder,
        load.killable_kodiai(Path(folder), workers=options.workers, lease=5) as kodiai,
    ):
        outcome = run_storm(
            kodiai,
            deliveries=options.deliveries,
            senders=options.senders,
            kill_every=options.kill_every,
            longest=options.longest,
            chance=chance,
        )
    database = "PostgreSQL" if POSTGRES_URL else "SQLite"
    outcome.show(f"Storm: {database}, {options.workers} workers, SEED={seed}")
    return bool(outcome.violations)


if __name__ == "__main__":
    sys.exit(main())
