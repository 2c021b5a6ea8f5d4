"""From an empty installation to a review: the first administrator, the App, the first pull request, by a browser."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.browser import browser, visit
from tests.support.running_kodiai import Kodiai, running_kodiai
from tests.support.waiting import eventually

pytestmark = [pytest.mark.xdist_group("e2e")]

PASSWORD = "correct horse staple"


@pytest.fixture
def new_kodiai(tmp_path: Path) -> Iterator[Kodiai]:
    """A Kodiai that knows of no App, and only where GitHub is."""
    unset = dict.fromkeys(("KODIAI_GITHUB_APP_ID", "KODIAI_GITHUB_PRIVATE_KEY", "KODIAI_GITHUB_WEBHOOK_SECRET"), "")
    with running_kodiai(tmp_path, **unset, KODIAI_GITHUB_APP_FILE=str(tmp_path / "var" / "github-app")) as kodiai:
        yield kodiai


def fields(page: httpx.Response) -> tuple[str, dict[str, str]]:
    """The form of a page: where it goes, and its hidden and prefilled fields."""
    form = re.search(r"<form method=\"post\"(?: action=\"([^\"]*)\")?>(.*?)</form>", page.text, re.DOTALL)
    assert form, page.text
    inputs = re.findall(r"<input[^>]*>", form[2])
    found = {}
    for each in inputs:
        name, value = re.search(r'name="([^"]*)"', each), re.search(r'value="([^"]*)"', each)
        if name:
            found[name[1]] = html.unescape(value[1]) if value else ""
    return html.unescape(form[1] or str(page.url)), found


def test_a_new_installation_is_connected_and_reviews(new_kodiai: Kodiai) -> None:
    pull = new_kodiai.github.create_repository("octo/new").open_pull_request(changes={"a.py": "import os\n"})
    assert new_kodiai.send(pull).status_code == 503
    said = new_kodiai.manage("setup_link")
    assert said.returncode == 0, said.stderr
    workers = new_kodiai.workers()

    with httpx.Client(base_url=new_kodiai.url, follow_redirects=True) as client:
        action, values = fields(client.get(said.stdout.strip()))
        page = client.post(action, data={**values, "username": "root", "password1": PASSWORD, "password2": PASSWORD})
        action, values = fields(page)
        assert values["github"] == new_kodiai.github.url
        page = client.post(action, data=values)
        assert f"form-action 'self' {new_kodiai.github.url};" in f"{page.headers['content-security-policy']};"
        action, values = fields(page)
        page = client.post(action, data=values)
        assert str(page.url) == f"{new_kodiai.url}/setup"
        eventually(lambda: "Connected to the App" in client.get("/setup").text, "the new processes know the App")
    eventually(lambda: new_kodiai.workers() and not set(workers) & set(new_kodiai.workers()), "a new worker runs")

    assert new_kodiai.send(pull).status_code == 202
    eventually(lambda: len(pull.reviews) == 1, "the pull request is reviewed")
    checked = new_kodiai.manage("doctor").stdout
    assert "it fits the App 1 (kodiai)" in checked
    log = new_kodiai.log.read_text()
    assert new_kodiai.github.webhook_secret not in log
    assert "PRIVATE KEY" not in log


def test_a_phone_connects_it_under_the_strict_policy(new_kodiai: Kodiai) -> None:
    """The browser enforces what the test above only reads: no form leaves for another place than GitHub."""
    link = new_kodiai.manage("setup_link").stdout.strip()
    with browser() as chromium, visit(chromium, new_kodiai.url, width=375) as visiting:
        page = visiting.page
        page.goto(link)
        for name, value in (("username", "root"), ("password1", PASSWORD), ("password2", PASSWORD)):
            page.fill(f"[name={name}]", value)
        page.click("text=Make the administrator")
        page.click("button:text-is('Continue')")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.click("text=Continue on GitHub")
        page.wait_for_url(f"{new_kodiai.url}/setup")

        def connected() -> bool:
            page.reload()
            return page.get_by_text("Connected to the App").is_visible()

        eventually(connected, "the new processes know the App")
        assert {message.partition("?")[0] for message in visiting.wrong} == {
            f"request: {new_kodiai.github.url}/settings/apps/new"
        }
