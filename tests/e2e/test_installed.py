"""`pip install 'kodiai[server]'`: a server without a checkout, in an environment with its dependencies alone."""

import os
import signal
import subprocess
from pathlib import Path

import httpx

from sandbox import Sandbox, webhook_payload
from tests.support.installed_package import install
from tests.support.processes import bound
from tests.support.running_kodiai import answers, free_port
from tests.support.waiting import PATIENCE, eventually

SECRET = "of-the-package"


def test_an_installed_package_runs_a_server(tmp_path: Path) -> None:
    environment, linked = install(tmp_path, "server")
    assert {"django", "githubkit", "uvicorn", "cryptography"} <= linked
    assert linked.isdisjoint({"pytest", "mypy", "factory-boy"})
    home = tmp_path / "home"
    home.mkdir()
    url = f"http://127.0.0.1:{free_port()}"
    shell = {"PATH": f"{environment}/bin:{os.environ['PATH']}", "PORT": url.rpartition(":")[2], "NO_PROXY": "*"}
    kodiai_script = str(environment / "bin" / "kodiai")

    def kodiai(*arguments: str) -> str:
        command = [kodiai_script, *arguments]
        done = subprocess.run(
            command, cwd=home, env=shell, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return f"{done.returncode}: {done.stdout}{done.stderr}"

    assert kodiai("manage", "check").startswith("1: KODIAI_SECRET_KEY is not set")
    with Sandbox(webhook_secret=SECRET) as github, (tmp_path / "log").open("wb") as log:
        github.hook.response_seconds = PATIENCE
        (home / "app.pem").write_text(github.private_key)
        (home / ".env").write_text(
            f"KODIAI_SECRET_KEY={'k' * 40}\nKODIAI_GITHUB_API_URL={github.url}\nKODIAI_GITHUB_APP_ID={github.app_id}\n"
            f"KODIAI_GITHUB_PRIVATE_KEY_FILE={home}/app.pem\nKODIAI_GITHUB_WEBHOOK_SECRET={SECRET}\n"
        )
        pull = github.create_repository().open_pull_request(changes={"a.py": "import os\n"})
        server = subprocess.Popen(bound(kodiai_script, "run"), cwd=home, env=shell, stdout=log, stderr=log)
        try:
            eventually(lambda: answers(url) or server.poll() is not None, "the web server answers")
            sent = github.send_webhook(f"{url}/webhooks/github", "pull_request", webhook_payload(pull, "opened"))
            assert sent.status_code == 202, (tmp_path / "log").read_text()
            eventually(lambda: len(pull.reviews) == 1, "the pull request is reviewed")
            assert "F401" in str(pull.threads)
            # Pages and styles are in the package.
            assert httpx.get(f"{url}/setup", timeout=PATIENCE).status_code == 403
            assert httpx.get(f"{url}/static/kodiai/page.css", timeout=PATIENCE).status_code == 200
            assert "it fits the App 1 (kodiai)" in kodiai("doctor")
            assert kodiai("manage", "recover").startswith("0: Runs rescheduled: 0")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE)
    assert {each.name for each in (home / "var").iterdir()} >= {"kodiai.sqlite3"}
    assert "make demo" in kodiai("manage", "demo")
    assert kodiai("manage", "backup", "backup").startswith("0: default: sqlite")
