"""The comparison of two commits. Source: GitHub REST docs, "Compare two commits"."""

from sandbox.app import WEB_URL, Json, account, node_id, timestamp
from sandbox.http import Request, Response, not_found
from sandbox.rest import lookups, resources
from sandbox.state.diffs import changed_files
from sandbox.state.repository import Repository
from sandbox.state.state import State

MAX_FILES = 300
"""Changed files of a whole comparison. They are on its first page only."""
MAX_COMMITS = 250
"""Commits of a page, if the request has no paging parameter."""


def compare(state: State, request: Request) -> Response:
    """Compare the merge base of two commits with the second one."""
    repo = lookups.repository(state, request)
    base, head = (repo.resolve(request.parameters[name]) for name in ("base", "head"))
    if base is None or head is None:
        raise not_found()
    merge_base = repo.store.merge_base(base, head)
    commits = repo.store.commits_between(base, head)[::-1]
    behind = len(repo.store.commits_between(head, base))
    per_page, page = request.positive_int("per_page", MAX_COMMITS, MAX_COMMITS), request.positive_int("page", 1)
    files = changed_files(repo.store, merge_base, head)[:MAX_FILES] if page == 1 else []
    url = f"{repo.app.api_url}/repos/{repo.full_name}/compare/{base}...{head}"
    page_url = f"{WEB_URL}/{repo.full_name}/compare/{base}...{head}"
    body = {
        "url": url,
        "html_url": page_url,
        "permalink_url": page_url,
        "diff_url": f"{page_url}.diff",
        "patch_url": f"{page_url}.patch",
        "base_commit": _commit(repo, base),
        "merge_base_commit": _commit(repo, merge_base),
        "status": {(0, 0): "identical", (1, 0): "ahead", (0, 1): "behind"}.get(
            (len(commits) > 0, behind > 0), "diverged"
        ),
        "ahead_by": len(commits),
        "behind_by": behind,
        "total_commits": len(commits),
        "commits": [_commit(repo, sha) for sha in commits[(page - 1) * per_page : page * per_page]],
        "files": [resources.changed_file(repo, merge_base, head, file) for file in files],
    }
    return Response(body=body)


def _commit(repo: Repository, sha: str) -> Json:
    url = f"{repo.app.api_url}/repos/{repo.full_name}/commits/{sha}"
    person = {"name": repo.owner, "email": f"{repo.owner}@users.noreply.github.com", "date": timestamp()}
    return {
        "sha": sha,
        "node_id": node_id("C", int(sha[:8], 16)),
        "url": url,
        "html_url": f"{WEB_URL}/{repo.full_name}/commit/{sha}",
        "comments_url": f"{url}/comments",
        "commit": {
            "author": person,
            "committer": person,
            "message": "Change files",
            "tree": {"sha": repo.store.tree_id(sha), "url": f"{url}/tree"},
            "url": url,
            "comment_count": 0,
        },
        "author": account(repo.owner, repo.app.api_url),
        "committer": account(repo.owner, repo.app.api_url),
        "parents": [],
    }
