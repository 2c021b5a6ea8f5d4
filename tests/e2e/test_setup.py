"""From an empty installation to a review: the first administrator, the App, the first pull request, on a phone."""

from pathlib import Path

from tests.support.browser import browser, visit
from tests.support.running_kodiai import running_kodiai
from tests.support.waiting import eventually

PASSWORD = "correct horse staple"
UNSET = dict.fromkeys(("KODIAI_GITHUB_APP_ID", "KODIAI_GITHUB_PRIVATE_KEY", "KODIAI_GITHUB_WEBHOOK_SECRET"), "")


def test_a_new_installation_is_connected_and_reviews(tmp_path: Path) -> None:
    """The browser enforces the policy: no form leaves for another place than GitHub."""
    file = str(tmp_path / "var" / "github-app")
    with browser() as chromium, running_kodiai(tmp_path, **UNSET, KODIAI_GITHUB_APP_FILE=file) as kodiai:
        pull = kodiai.github.create_repository("octo/new").open_pull_request(changes={"a.py": "import os\n"})
        assert kodiai.send(pull).status_code == 503
        said = kodiai.manage("setup_link")
        assert said.returncode == 0, said.stderr
        workers = kodiai.workers()

        with visit(chromium, kodiai.url, width=375) as visiting:
            page = visiting.page
            page.goto(said.stdout.strip())
            for name, value in (("username", "root"), ("password1", PASSWORD), ("password2", PASSWORD)):
                page.fill(f"[name={name}]", value)
            page.click("text=Make the administrator")
            assert page.input_value("[name=github]") == kodiai.github.url
            page.click("button:text-is('Continue')")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            page.click("text=Continue on GitHub")
            page.wait_for_url(f"{kodiai.url}/setup")

            def connected() -> bool:
                page.reload()
                return page.get_by_text("Connected to the App").is_visible()

            eventually(connected, "the new processes know the App")
            requested = {message.partition("?")[0] for message in visiting.wrong}
            assert requested == {f"request: {kodiai.github.url}/settings/apps/new"}
        eventually(lambda: kodiai.workers() and not set(workers) & set(kodiai.workers()), "a new worker runs")

        assert kodiai.send(pull).status_code == 202
        eventually(lambda: len(pull.reviews) == 1, "the pull request is reviewed")
        assert "it fits the App 1 (kodiai)" in kodiai.manage("doctor").stdout
        log = kodiai.log.read_text()
        assert kodiai.github.webhook_secret not in log
        assert "PRIVATE KEY" not in log
