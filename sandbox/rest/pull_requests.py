"""Endpoints of pull requests, and of the permissions of collaborators."""

from sandbox.app import account
from sandbox.http import Request, Response, paginate
from sandbox.rest import lookups, resources
from sandbox.state.state import State

MAX_FILES = 3000
"""Source: GitHub REST docs, "List pull requests files"."""


def pull_request(state: State, request: Request) -> Response:
    """Answer GET /repos/{owner}/{repo}/pulls/{number}."""
    return Response(body=resources.pull_request(lookups.pull_request(state, request)))


def files(state: State, request: Request) -> Response:
    """List the changed files of a pull request, without the patches that exceed the lines of a page."""
    pull = lookups.pull_request(state, request)
    page, headers = paginate(request, state.app.api_url, pull.files()[:MAX_FILES])
    commits = (pull.repository, pull.base_sha, pull.head_sha)
    lines = 0
    entries = []
    for file in page:
        entry = resources.changed_file(*commits, file)
        lines += entry.get("patch", "").count("\n") + 1
        if "patch" in entry and lines > pull.max_page_lines:
            del entry["patch"]
            entry |= {"additions": 0, "deletions": 0, "changes": 0}
        entries.append(entry)
    return Response(body=entries, headers=headers)


def permission(state: State, request: Request) -> Response:
    """Answer an account's role in a repository, and the permission that the role is based on."""
    login = request.parameters["login"]
    role = lookups.repository(state, request).role_of(login)
    level = {"maintain": "write", "triage": "read"}.get(role, role)
    return Response(body={"permission": level, "role_name": role, "user": account(login, state.app.api_url)})
