"""GET /search/issues: counting the pull requests of an author."""

import re
from collections.abc import Mapping

from sandbox.app import Json, account
from sandbox.http import DEFAULT_PER_PAGE, MAX_PER_PAGE, ApiError, Request
from sandbox.rest import resources as shapes
from sandbox.state.repository import Repository

_QUALIFIER = re.compile(r'(-?[\w-]+):("[^"]*"|\S+)')


def search_issues(
    request: Request, repositories: Mapping[str, Repository], merged: Mapping[tuple[str, str], int]
) -> Json:
    """Answer a search by its qualifiers `repo:`, `author:`, `type:pr` or `is:pr`, `is:merged|open|closed`.

    `merged` says how many merged pull requests an author has in a repository; open and closed ones are those that were
    opened in the sandbox. Raises ApiError 422 as GitHub does for a query that is empty, names neither issues nor pull
    requests, or names a repository that the token does not reach.
    """
    query = request.query.get("q", "")
    if not query.strip():
        raise _invalid("Validation Failed", "missing", None)
    asked: dict[str, set[str]] = {}
    for name, value in _QUALIFIER.findall(query):
        asked.setdefault(name.lower(), set()).add(value.strip('"'))
    kinds = {value.lower() for value in asked.get("is", set()) | asked.get("type", set())}
    if not kinds & {"pr", "pull-request", "issue"}:
        raise _invalid("Validation Failed", "invalid", "Query must include 'is:issue' or 'is:pull-request'")
    repos = []
    for name in asked.get("repo", set()):
        if name.lower() not in repositories:
            raise _invalid(
                "Validation Failed",
                "invalid",
                "The listed users and repositories cannot be searched either because the resources do not exist or "
                "you do not have permission to view them.",
            )
        repos.append(repositories[name.lower()])
    authors = {_login(value) for value in asked.get("author", set())}
    items, total = _found(repos or list(repositories.values()), authors, kinds, merged)
    per_page = request.number("per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE)
    start = (request.number("page", 1) - 1) * per_page
    return {
        "total_count": total,
        "incomplete_results": False,
        "search_type": "lexical",
        "items": items[start : start + per_page],
    }


def _found(
    repos: list[Repository], authors: set[str], kinds: set[str], merged: Mapping[tuple[str, str], int]
) -> tuple[list[Json], int]:
    items: list[Json] = []
    total = 0
    if "issue" in kinds:
        return items, total
    for repo in repos:
        if not kinds & {"open", "unmerged"}:
            for (name, login), count in list(merged.items()):
                if name.lower() == repo.full_name.lower() and (not authors or login.lower() in authors):
                    total += count
                    items += [_merged_item(repo, login, number) for number in range(1, min(count, 1000) + 1)]
        if "merged" in kinds:
            continue
        for pull in repo.pulls.values():
            if (not authors or pull.author.lower() in authors) and kinds.isdisjoint({"open", "closed"} - {pull.state}):
                total += 1
                items.append(shapes.issue(pull) | {"score": 1.0})
    return items, total


def _merged_item(repo: Repository, login: str, number: int) -> Json:
    # Pull requests of before the sandbox: only their number is known, so that only GitHub's required fields are told.
    api_url = repo.app.api_url
    url = f"{api_url}/repos/{repo.full_name}/issues/{100_000 + number}"
    return {
        "url": url,
        "repository_url": f"{api_url}/repos/{repo.full_name}",
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{shapes.WEB_URL}/{repo.full_name}/pull/{100_000 + number}",
        "id": repo.id * 100_000 + number,
        "node_id": f"PR_{repo.id}_{number}",
        "number": 100_000 + number,
        "title": "An earlier change",
        "user": account(login, api_url),
        "labels": [],
        "state": "closed",
        "locked": False,
        "milestone": None,
        "comments": 0,
        "created_at": repo.created_at,
        "updated_at": repo.created_at,
        "closed_at": repo.created_at,
        "author_association": "CONTRIBUTOR",
        "pull_request": {
            "url": url.replace("/issues/", "/pulls/"),
            "html_url": None,
            "diff_url": None,
            "patch_url": None,
            "merged_at": repo.created_at,
        },
        "score": 1.0,
    }


def _login(author: str) -> str:
    # Search names an App's bot `app/NAME`; everywhere else its login is `NAME[bot]`.
    login = author.lower().removeprefix("@")
    return f"{login.removeprefix('app/')}[bot]" if login.startswith("app/") else login


def _invalid(message: str, code: str, detail: str | None) -> ApiError:
    error: Json = {"resource": "Search", "field": "q", "code": code}
    return ApiError(
        422,
        message,
        [{"message": detail} | error if detail else error],
        documentation_url="https://docs.github.com/v3/search/",
    )
