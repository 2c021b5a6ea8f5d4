"""Endpoint of GitHub Search: GET /search/issues."""

import re

from sandbox.app import WEB_URL, Json, account
from sandbox.http import DEFAULT_PER_PAGE, MAX_PER_PAGE, ApiError, Request, Response
from sandbox.rest import resources
from sandbox.state.repository import Repository
from sandbox.state.state import State

_QUALIFIER = re.compile(r'(-?[\w-]+):("[^"]*"|\S+)')


def search(state: State, request: Request) -> Response:
    """Answer a search with the qualifiers `repo:`, `author:`, `type:pr` or `is:pr`, `is:merged|open|closed`.

    Merged pull requests are those of `State.merged_pull_requests`; open and closed ones are those of the sandbox.
    Raises ApiError 422 for a query that is empty, names neither issues nor pull requests, or names a repository that
    the token does not reach.
    """
    query = request.query.get("q", "")
    if not query.strip():
        raise _invalid("missing")
    qualifiers: dict[str, set[str]] = {}
    for name, value in _QUALIFIER.findall(query):
        qualifiers.setdefault(name.lower(), set()).add(value.strip('"'))
    kinds = {value.lower() for value in qualifiers.get("is", set()) | qualifiers.get("type", set())}
    if not kinds & {"pr", "pull-request", "issue"}:
        raise _invalid("invalid", "Query must include 'is:issue' or 'is:pull-request'")
    repos = _repositories(state, request, qualifiers.get("repo", set()))
    authors = {_login(value) for value in qualifiers.get("author", set())}
    items, total = _find(state, repos, authors, kinds)
    per_page = request.positive_int("per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE)
    start = (request.positive_int("page", 1) - 1) * per_page
    return Response(
        body={
            "total_count": total,
            "incomplete_results": False,
            "search_type": "lexical",
            "items": items[start : start + per_page],
        }
    )


def _repositories(state: State, request: Request, names: set[str]) -> list[Repository]:
    """The repositories of these names, or all that the token reaches. Raises ApiError 422 for one out of reach."""
    reached = state.repositories_reached_by(state.tokens.authenticate(request))
    for name in names:
        if name.lower() not in reached:
            raise _invalid(
                "invalid",
                "The listed users and repositories cannot be searched either because the resources do not exist or "
                "you do not have permission to view them.",
            )
    return [reached[name.lower()] for name in names] or list(reached.values())


def _find(state: State, repos: list[Repository], authors: set[str], kinds: set[str]) -> tuple[list[Json], int]:
    """Return the matching pull requests, and their number, which may be larger than that of the items."""
    items: list[Json] = []
    total = 0
    if "issue" in kinds:
        return items, total
    for repo in repos:
        if not kinds & {"open", "unmerged"}:
            for (name, login), count in list(state.merged_pull_requests.items()):
                if name.lower() == repo.full_name.lower() and (not authors or login.lower() in authors):
                    total += count
                    items += [_merged_item(repo, login, number) for number in range(1, min(count, 1000) + 1)]
        if "merged" in kinds:
            continue
        for pull in repo.pulls.values():
            if (not authors or pull.author.lower() in authors) and kinds.isdisjoint({"open", "closed"} - {pull.state}):
                total += 1
                items.append(resources.issue(pull) | {"score": 1.0})
    return items, total


def _merged_item(repo: Repository, login: str, number: int) -> Json:
    # `State.merged_pull_requests` is a count: the item has only the fields that GitHub requires.
    api_url = repo.app.api_url
    url = f"{api_url}/repos/{repo.full_name}/issues/{100_000 + number}"
    return {
        "url": url,
        "repository_url": f"{api_url}/repos/{repo.full_name}",
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{WEB_URL}/{repo.full_name}/pull/{100_000 + number}",
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
    # In Search the bot of an App is `app/NAME`; everywhere else its login is `NAME[bot]`.
    login = author.lower().removeprefix("@")
    return f"{login.removeprefix('app/')}[bot]" if login.startswith("app/") else login


def _invalid(code: str, detail: str | None = None) -> ApiError:
    error: Json = {"resource": "Search", "field": "q", "code": code}
    return ApiError(
        422,
        "Validation Failed",
        [{"message": detail} | error if detail else error],
        documentation_url="https://docs.github.com/v3/search/",
    )
