"""The README's own lines, in a clean clone: from nothing to an App that reviews a pull request.

Adapted are only the addresses that exist outside: GitHub is the sandbox, YOUR-HOST leads to this machine.
"""

import html
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from sandbox import Sandbox, webhook_payload
from tests.e2e.test_setup import PASSWORD
from tests.support.processes import ROOT, bound
from tests.support.running_kodiai import answers, free_port
from tests.support.waiting import PATIENCE, eventually

HOST = "kodiai.example.org"
INSTALLS = 900
"""Seconds for a line: `make install` downloads packages that this machine has not seen yet."""
KEPT = ("HOME", "PATH", "LANG", "TMPDIR", "NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE")
"""Of the environment: neither a setting of Kodiai nor what make tells the tests."""


class ToThisMachine(httpx.HTTPTransport):
    """Leads requests for YOUR-HOST to a port of this machine, as DNS and a proxy would."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        # Another request: cookies and redirects go by the address that was asked for.
        url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return super().handle_request(
            httpx.Request(
                request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
            )
        )


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """What `git clone` gives; removed with the packages that are installed in it."""
    folder = tmp_path / "kodiai"
    subprocess.run(["git", "clone", "--quiet", f"file://{ROOT}", str(folder)], check=True)
    yield folder
    shutil.rmtree(folder)


def lines_of(readme: str) -> list[str]:
    """The commands of "Connect it to GitHub" in a browser, in their order."""
    section = readme.partition("\n## Connect it to GitHub\n")[2].partition("\n## ")[0].partition("\n**By hand**")[0]
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", section, re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.splitlines()]


def test_the_readmes_lines_lead_from_a_clone_to_a_review(clone: Path) -> None:
    port = free_port()
    with Sandbox(webhook_secret="of-the-sandbox") as github, ExitStack() as stack:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"PORT": str(port), "KODIAI_GITHUB_API_URL": github.url}
        said = ""
        for line in lines_of((clone / "README.md").read_text()):
            shell = bound("sh", "-ec", line.replace("YOUR-HOST", HOST))
            if line == "make run":
                stack.enter_context(serving(shell, clone, environment, port))
                continue
            done = subprocess.run(
                shell, cwd=clone, env=environment, capture_output=True, text=True, timeout=INSTALLS, check=False
            )
            said = done.stdout
            assert done.returncode == 0, f"{line}: {said}{done.stderr}"
            if "/setup?token=" in said:
                set_up(said.strip(), port, github)
                review_a_pull_request(port, github)
        assert "it fits the App 1 (kodiai)" in said, "the last line is that of the doctor"
        assert (clone / ".env").stat().st_mode & 0o077 == 0


@contextmanager
def serving(shell: list[str], clone: Path, environment: dict[str, str], port: int) -> Iterator[None]:
    """Run a line that does not end, until the block does; wait until its web server answers."""
    with (clone / "log").open("wb") as log:
        server = subprocess.Popen(shell, cwd=clone, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{port}") or server.poll() is not None, "the web server answers")
        assert server.poll() is None, (clone / "log").read_text()
        yield
    finally:
        # As Ctrl-C does: to make and to all that it has started.
        os.killpg(server.pid, signal.SIGINT)
        server.wait(PATIENCE)


def set_up(link: str, port: int, github: Sandbox) -> None:
    """Do in the pages what the README says: make the administrator, then the App, and come back."""
    transport = ToThisMachine(port)
    with httpx.Client(follow_redirects=True, mounts={f"all://{HOST}": transport}) as client:
        action, values = fields(client.get(link))
        page = client.post(action, data={**values, "username": "root", "password1": PASSWORD, "password2": PASSWORD})
        action, values = fields(page)
        action, values = fields(client.post(action, data=values))
        assert action.startswith(github.url)
        client.post(action, data=values)
        eventually(lambda: "Connected to the App" in client.get(f"http://{HOST}/setup").text, "it knows the App")


def fields(page: httpx.Response) -> tuple[str, dict[str, str]]:
    """The form of a page: where it goes, and its hidden and prefilled fields."""
    form = re.search(r"<form method=\"post\"(?: action=\"([^\"]*)\")?>(.*?)</form>", page.text, re.DOTALL)
    assert form, page.text
    found = {}
    for field in re.findall(r"<input[^>]*>", form[2]):
        name, value = re.search(r'name="([^"]*)"', field), re.search(r'value="([^"]*)"', field)
        if name:
            found[name[1]] = html.unescape(value[1]) if value else ""
    return html.unescape(form[1] or str(page.url)), found


def review_a_pull_request(port: int, github: Sandbox) -> None:
    """Open a pull request, and wait for its review."""
    pull = github.create_repository().open_pull_request(changes={"a.py": "import os\n"})
    hook = f"http://127.0.0.1:{port}/webhooks/github"
    payload = webhook_payload(pull, "opened")
    # The web server that does not know the App yet may still be ending, and refuses what reaches it.
    eventually(lambda: github.send_webhook(hook, "pull_request", payload).status_code == 202, "it takes a delivery")
    eventually(lambda: len(pull.reviews) == 1, "the pull request is reviewed")
