"""The server of a sandbox: start, stop, connections, and the command."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from sandbox import Sandbox
from tests.support.processes import bound
from tests.support.waiting import PATIENCE


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


def test_the_command_prints_settings_and_stops_on_sigterm() -> None:
    command = bound(sys.executable, "-m", "sandbox", "--port", "0")
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        lines = [process.stdout.readline().strip() for _ in range(6)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    settings = dict(line.split("=", 1) for line in lines[:5])
    assert set(settings) == {
        "KODIAI_GITHUB_API_URL",
        "KODIAI_GITHUB_APP_ID",
        "KODIAI_GITHUB_APP_SLUG",
        "KODIAI_GITHUB_PRIVATE_KEY",
        "KODIAI_GITHUB_WEBHOOK_SECRET",
    }
    assert settings["KODIAI_GITHUB_API_URL"] in lines[5]
