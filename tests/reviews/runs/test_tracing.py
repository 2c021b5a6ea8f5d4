"""Traces, as a collector gets them over HTTP, and lines of the log."""

import http.server
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from reviews.models import Review
from reviews.runs import tracing
from sandbox import Fault, FaultKind, PullRequest, Sandbox
from tests.support.runs import admit, end_waits, process, run
from tests.support.waiting import PATIENCE

pytest.importorskip("opentelemetry.sdk")
import json
import logging
from typing import Any

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from reviews import engines
from tests.support.runs import start_process

pytestmark = pytest.mark.django_db

KINDS = {"attempt": Span.SPAN_KIND_INTERNAL, "queue": Span.SPAN_KIND_CONSUMER}


class Collector:
    """An OTLP receiver on this machine."""

    def __init__(self) -> None:
        self.received: list[ExportTraceServiceRequest] = []
        received = self.received

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> list[Span]:
        processor = tracing._processor()
        assert processor.force_flush(int(PATIENCE * 1000))
        return [
            span
            for request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server.server_port}")
    tracing._processor.cache_clear()
    yield collector
    if processor := tracing._processor():
        processor.shutdown()  # type: ignore[no-untyped-call]
    tracing._processor.cache_clear()
    collector.server.shutdown()
    collector.server.server_close()


def values(span: Span) -> dict[str, object]:
    return {attribute.key: attribute.value.int_value or attribute.value.string_value for attribute in span.attributes}


def test_a_delivery_is_one_trace_down_to_each_call(collector: Collector, pull: PullRequest) -> None:
    review = run(admit(pull))
    spans = collector.spans()
    (root,) = [span for span in spans if not span.parent_span_id]
    (attempt,) = [span for span in spans if span.name == "attempt"]
    calls = [span for span in spans if span.kind == Span.SPAN_KIND_CLIENT]

    assert len({span.trace_id for span in spans}) == 1
    assert len({span.span_id for span in spans}) == len(spans)
    assert {span.name: span.kind for span in spans if span.parent_span_id == root.span_id} == KINDS
    assert root.name == "pull_request.opened"
    assert values(root)["kodiai.delivery_id"] == review.delivery.delivery_id
    assert values(root)["kodiai.conclusion"] == "success"
    assert root.start_time_unix_nano == int(review.delivery.received_at.timestamp() * 1e6) * 1000
    assert len(calls) == review.attempt_log.get().calls_made
    assert {span.parent_span_id for span in calls} == {attempt.span_id}
    assert ("POST", "/repos/octo/demo/pulls/1/reviews", 200) in [
        (span.name, values(span)["url.path"], values(span)["http.response.status_code"]) for span in calls
    ]
    assert all(
        root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= root.end_time_unix_nano
        for span in spans
    )


def test_attempts_of_a_deferred_run_are_in_one_trace(collector: Collector, github: Sandbox, pull: PullRequest) -> None:
    github.fail("pull", Fault(FaultKind.PRIMARY_LIMIT))
    delivery = admit(pull)
    process(delivery.pk)
    assert not [span for span in collector.spans() if not span.parent_span_id], "the run has not ended"
    end_waits()
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        process(delivery.pk)

    attempts = [span for span in collector.spans() if span.name == "attempt"]

    assert [values(span)["kodiai.outcome"] for span in attempts] == ["deferred", "finished"]
    assert len({(span.trace_id, span.parent_span_id) for span in attempts}) == 1
    failed = [span for span in collector.spans() if span.status.code == span.status.STATUS_CODE_ERROR]
    assert ("GET", "403") in [(span.name, values(span)["error.type"]) for span in failed]


def test_without_a_collector_nothing_is_imported_or_sent(pull: PullRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    tracing._processor.cache_clear()

    run(admit(pull))

    assert tracing._processor() is None


def test_a_collector_that_is_away_costs_no_run(collector: Collector, pull: PullRequest) -> None:
    collector.server.shutdown()
    collector.server.server_close()

    run(admit(pull))

    assert Review.objects.get().attempt_log.get().outcome == "finished"


# Lines of the log


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_each_line_of_a_run_names_delivery_run_and_installation(github: Sandbox, pull: PullRequest) -> None:
    github.fail("graphql", Fault(FaultKind.STATUS, status=502), times=None)
    delivery = admit(pull)

    # The cache is away, so that calls to GitHub, and engines, have something to say.
    process = start_process(delivery, KODIAI_CACHE_URL="redis://127.0.0.1:1/0")
    _, log = process.communicate(timeout=PATIENCE)

    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {line["logger"] for line in lines} >= {"reviews.cache", "reviews.github.files", "reviews.service"}
    named = {"delivery_id": delivery.delivery_id, "review_id": Review.objects.get().pk}
    for line in lines:
        assert line.items() >= (named | {"installation_id": pull.repository.installation_id}).items(), line


def test_an_engine_in_its_own_thread_knows_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def run_on_all(*args: Any) -> engines._Outcome:
        seen.append(structlog.contextvars.get_contextvars())
        logging.getLogger("reviews.engines").info("read")
        return engines._Outcome([], {})

    monkeypatch.setattr(engines, "_run_on_all", run_on_all)

    with structlog.contextvars.bound_contextvars(review_id=7):
        engines.run_each([(analyzer, {"a.py": "x = 1\n"}) for analyzer in engines.ANALYZERS[:2]])

    assert seen == [{"review_id": 7}] * 2
