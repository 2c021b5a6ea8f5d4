"""A client that is generated from the API's description reads from it over HTTP."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pytest_django.live_server_helper import LiveServer
from rest_framework.authtoken.models import Token

from tests.support.factories import RateLimitEventFactory
from tests.support.waiting import PATIENCE
from tests.telemetry.test_api import reader


@pytest.fixture(scope="module")
def generated(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Import a module of the client that openapi-python-client generates from the schema as it is served."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "schema.json").write_text(httpx.get(f"{live_server.url}/api/schema/", timeout=PATIENCE).text)
    (folder / "config.yaml").write_text("package_name_override: generated_client\npost_hooks: []\n")
    subprocess.run(
        [Path(sys.executable).with_name("openapi-python-client"), "generate", "--path", "schema.json",
         "--config", "config.yaml", "--output-path", "generated_client", "--meta", "none", "--fail-on-warning"],
        cwd=folder, check=True, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield lambda name: importlib.import_module(f"generated_client.{name}")


def test_a_generated_client_reads_events_page_by_page(generated: Any, live_server: LiveServer) -> None:
    events = RateLimitEventFactory.create_batch(3, repo="acme/api")
    RateLimitEventFactory()
    token = Token.objects.create(user=reader()).key
    list_events = generated("api.rate_limit_events.rate_limit_events_list")

    with generated("client").AuthenticatedClient(base_url=live_server.url, token=token, timeout=PATIENCE) as client:
        first = list_events.sync(client=client, repo="acme/api", page_size=2)
        cursor = parse_qs(urlsplit(first.next_).query)["cursor"][0]
        second = list_events.sync(client=client, repo="acme/api", page_size=2, cursor=cursor)

    assert [row.id for row in first.results + second.results] == [event.pk for event in reversed(events)]
    assert first.results[0].created_at == events[-1].created_at
    assert second.next_ is None


def test_a_generated_client_knows_errors_as_problems(generated: Any, live_server: LiveServer) -> None:
    with generated("client").AuthenticatedClient(
        base_url=live_server.url, token="0" * 40, timeout=PATIENCE
    ) as stranger:
        answer = generated("api.executions.executions_retrieve").sync_detailed(1, client=stranger)

    assert isinstance(answer.parsed, generated("models").Problem)
    assert answer.parsed.status == answer.status_code == 401
