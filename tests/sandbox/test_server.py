"""The server of a sandbox: start, stop, connections, and the command."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sandbox import PullRequest, Sandbox
from tests.support.processes import bound


def test_two_sandboxes_run_at_once() -> None:
    with Sandbox() as one, Sandbox(app_id=2, app_slug="other", webhook_secret="shh") as two:
        assert one.url != two.url
        assert (two.app_id, two.app_slug, two.webhook_secret) == (2, "other", "shh")
        assert httpx.get(f"{one.url}/rate_limit").status_code == 401


def test_closing_leaves_no_thread_no_folder_and_no_port() -> None:
    threads = set(threading.enumerate())
    with Sandbox() as github, httpx.Client() as client:
        repo = github.create_repository()
        folder = repo.store.folder
        repo.store.run("fsck")
        assert folder.exists()
        client.get(f"{github.url}/nothing")
        assert set(threading.enumerate()) > threads
    assert set(threading.enumerate()) == threads
    assert not folder.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(github.url)
    github.close()


def test_equal_commits_differ_between_repositories(github: Sandbox) -> None:
    one, two = (github.create_repository(name, files={"a.py": "a\n"}) for name in ("octo/one", "octo/two"))
    assert one.head_sha != two.head_sha
    assert one.installation_id == two.installation_id


def test_a_connection_is_reused(client: httpx.Client, pull: PullRequest) -> None:
    assert client.get(pull.api_url).http_version == "HTTP/1.1"
    before = threading.active_count()
    for _ in range(5):
        client.get(pull.api_url)
    assert threading.active_count() == before


def test_many_clients_are_served_at_once(client: httpx.Client, github: Sandbox, pull: PullRequest) -> None:
    def review(number: int) -> int:
        body = {"event": "COMMENT", "body": str(number)}
        return client.post(f"{pull.api_url}/reviews", json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(review, range(80))) == {200}
    assert {review["body"] for review in pull.reviews} == {str(number) for number in range(80)}
    assert len({review["id"] for review in pull.reviews}) == 80
    assert github.limits["core"].used == 80


def test_the_command_prints_settings_and_stops_on_sigterm() -> None:
    command = bound(sys.executable, "-m", "sandbox", "--port", "0")
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(6)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    settings = dict(line.split("=", 1) for line in lines[:5])
    assert set(settings) == {
        "KODIAI_GITHUB_API_URL",
        "KODIAI_GITHUB_APP_ID",
        "KODIAI_GITHUB_APP_SLUG",
        "KODIAI_GITHUB_PRIVATE_KEY",
        "KODIAI_GITHUB_WEBHOOK_SECRET",
    }
    assert settings["KODIAI_GITHUB_API_URL"] in lines[5]
