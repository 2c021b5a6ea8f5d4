"""The workflows of docs/github-actions.md, run as GitHub runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from reviews.engines import run_analyzers
from tests.support.git import ENVIRONMENT, Git

PAGE = Path(settings.BASE_DIR) / "docs/github-actions.md"
BLOCKS = [block.partition("```")[0] for block in PAGE.read_text(encoding="utf-8").split("```yaml\n")[1:]]
CHECK, ALERTS = BLOCKS


@pytest.fixture
def pull_request(tmp_path: Path) -> Git:
    """A pull request to `develop`, which is ahead of `main` and has moved on: `merge` is GitHub's merge of the two."""
    git = Git(tmp_path / "origin")
    git.commit(a__py="x = 1\n")
    git("checkout", "--quiet", "-b", "develop")
    git.commit(theirs__py="print(undefined)\n")
    git("checkout", "--quiet", "-b", "feature")
    git.commit(ours__py="print(missing)\n")
    git("checkout", "--quiet", "develop")
    git.commit(later__py="print(later)\n")
    git("checkout", "--quiet", "-b", "merge")
    git("merge", "--quiet", "--no-ff", "--no-edit", "feature")
    git("update-ref", "refs/pull/7/merge", "HEAD")
    git("checkout", "--quiet", "main")
    git("branch", "--quiet", "-D", "merge")
    return git


def steps_of(workflow: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load(workflow)["jobs"]["review"]["steps"])


def run_workflow(workflow: str, git: Git, at: Path, **checkout: object) -> tuple[int, str, Path]:
    """Run the steps of a workflow for pull request 7 up to the first that fails; return its status and output."""
    workspace, tools = at / "workspace", at / "tools"
    tools.mkdir()
    scripts = {"pip": "echo pip $*", "kodiai": f'exec "{sys.executable}" -m kodiai "$@"'}
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    event = at / "event.json"
    base, head = (
        {"ref": name, "sha": git("rev-parse", at)} for name, at in (("develop", "develop~1"), ("feature",) * 2)
    )
    event.write_text(json.dumps({"pull_request": {"base": base, "head": head}}), encoding="utf-8")
    environment = {
        **ENVIRONMENT,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(settings.BASE_DIR),
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_BASE_REF": "develop",
        "GITHUB_HEAD_REF": "feature",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_WORKSPACE": str(workspace),
    }
    output = ""
    for step in steps_of(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            check_out(git, workspace, depth={**step.get("with", {}), **checkout}.get("fetch-depth", 1))
        if "run" in step:
            # The shell of a step without `shell`. Source: GitHub docs, "Workflow syntax", jobs.<job_id>.steps[*].shell.
            shell = ["bash", "-e", "-c", step["run"]]
            done = subprocess.run(shell, cwd=workspace, env=environment, capture_output=True, text=True, check=False)
            output += done.stdout + done.stderr
            if done.returncode:
                return done.returncode, output, workspace
    return 0, output, workspace


def check_out(git: Git, workspace: Path, depth: Any) -> None:
    """Fetch as actions/checkout does: 0 is every branch with its history, else only the merge, so deep; detached."""
    copy = Git(workspace)
    copy("remote", "add", "origin", f"file://{git.directory}")
    merge = "+refs/pull/7/merge:refs/remotes/pull/7/merge"
    if depth == 0:
        copy("fetch", "--quiet", "--no-tags", "origin", "+refs/heads/*:refs/remotes/origin/*", merge)
    else:
        copy("fetch", "--quiet", "--no-tags", f"--depth={depth}", "origin", merge)
    copy("checkout", "--quiet", "--detach", "refs/remotes/pull/7/merge")


def test_the_check_fails_for_what_the_pull_request_brings(pull_request: Git, tmp_path: Path) -> None:
    status, output, _ = run_workflow(CHECK, pull_request, tmp_path)
    assert status == 1, output
    assert "pip install kodiai" in output
    [annotation] = [line for line in output.splitlines() if line.startswith("::")]
    assert annotation.startswith("::error file=ours.py,line=1,")


def test_the_check_needs_the_depth_that_the_page_gives_it(pull_request: Git, tmp_path: Path) -> None:
    status, output, _ = run_workflow(CHECK, pull_request, tmp_path, **{"fetch-depth": 1})
    assert (status, "fetch-depth: 0" in output) == (2, True)


def test_the_alerts_are_those_of_the_pull_request(pull_request: Git, tmp_path: Path) -> None:
    status, output, workspace = run_workflow(ALERTS, pull_request, tmp_path)
    assert status == 0, output
    upload = steps_of(ALERTS)[-1]
    assert upload["uses"].startswith("github/codeql-action/upload-sarif@")
    [run] = json.loads((workspace / upload["with"]["sarif_file"]).read_text(encoding="utf-8"))["runs"]
    [result] = run["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "ours.py"


def test_the_workflows_stand_up_to_the_analyzer_of_workflows() -> None:
    files = {f".github/workflows/{number}.yml": block for number, block in enumerate(BLOCKS)}
    found, ran, failures, _ = run_analyzers(files)
    assert (found, failures) == ([], [])
    assert "zizmor" in ran
