"""A simulated GitHub: an HTTP server with the part of GitHub's API that Kodiai calls, and faults on request.

with Sandbox() as github:
    repo = github.create_repository("octo/demo", files={"README.md": "# demo\\n"})
    pull = repo.open_pull_request(changes={"app.py": "import os\\n"})
    github.fail("search", Fault(FaultKind.PRIMARY_LIMIT, reset_in=1))
    github.send_webhook(url, "pull_request", webhook_payload(pull, "opened"))
"""

from sandbox.faults import ANY_ROUTE, Fault, FaultKind
from sandbox.payloads import webhook_payload
from sandbox.rest.check_runs import add_check_run
from sandbox.rest.posts import add_comment, add_reply, add_review
from sandbox.sandbox import Sandbox
from sandbox.state.git import Executable, GitError, Submodule, Symlink
from sandbox.state.merge_queue import MergeGroup, create_merge_group
from sandbox.state.repository import PullRequest, Repository
from sandbox.state.state import Call
from sandbox.webhooks import HookDelivery, WebhookRequest, WebhookResponse, sign

__all__ = [
    "ANY_ROUTE",
    "Call",
    "Executable",
    "Fault",
    "FaultKind",
    "GitError",
    "HookDelivery",
    "MergeGroup",
    "PullRequest",
    "Repository",
    "Sandbox",
    "Submodule",
    "Symlink",
    "WebhookRequest",
    "WebhookResponse",
    "add_check_run",
    "add_comment",
    "add_reply",
    "add_review",
    "create_merge_group",
    "sign",
    "webhook_payload",
]
