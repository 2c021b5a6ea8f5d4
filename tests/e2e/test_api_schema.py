"""The API matches its OpenAPI description, checked with Schemathesis against the real web server."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.running_kodiai import Kodiai
from tests.support.waiting import PATIENCE, eventually

EXAMPLES = 5
"""For each operation, beside those that Schemathesis derives from the description: the same in each run."""


def test_schemathesis_finds_nothing(kodiai: Kodiai, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = kodiai.github.create_repository("octo/api", files={"a.py": "x = 1\n"})
    kodiai.send(repo.open_pull_request(changes={"a.py": "x = 2\n"}, author="mona"))
    root = ("--username", "root", "--email", "root@example.org")
    kodiai.manage("createsuperuser", "--noinput", *root, DJANGO_SUPERUSER_PASSWORD="p")
    token = kodiai.manage("drf_create_token", "root").stdout.split()[2]
    eventually(lambda: kodiai.rows("SELECT 1 FROM executions WHERE repo = 'octo/api'"), "the run ends")
    authorization = f"Authorization: Bearer {token}"
    with httpx.Client(base_url=kodiai.url, headers=dict([authorization.split(": ")]), timeout=PATIENCE) as client:
        page = client.get("/api/v1/rate-limit-events/?repo=octo/api").json()
        assert [row["repo"] for row in page["results"]] == ["octo/api"]
        # What the worker has seen of GitHub's limits, as the web server shows it.
        owner = f'installation_id="{repo.installation_id}",resource="core"'
        eventually(lambda: owner in client.get("/metrics").text, "the limits are stored and shown")

    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", f"{kodiai.url}/api/schema/",
         "--header", authorization, "--checks", "all", "--seed", "1", "--generation-deterministic",
         "--max-examples", str(EXAMPLES), "--request-timeout", str(PATIENCE), "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip

    with capsys.disabled():
        print(done.stdout[done.stdout.find("=== SUMMARY") :])  # noqa: T201
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 19" in done.stdout
