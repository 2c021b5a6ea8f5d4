"""The routes of the sandbox and their endpoints.

Source of paths, parameters and answers: GitHub REST docs, and GitHub's OpenAPI description.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from sandbox.app import Json, account, app_json, installation_json
from sandbox.graphql import resolvers as graphql
from sandbox.http import DEFAULT_PER_PAGE, MAX_PER_PAGE, Answer, ApiError, Request, not_found, page
from sandbox.rest import check_runs as checks
from sandbox.rest import comments as conversation
from sandbox.rest import resources as shapes
from sandbox.rest.contents import get_contents
from sandbox.rest.resources import REACTIONS
from sandbox.rest.reviews import MAX_BODY_CHARACTERS, create_review, update_comment, update_review
from sandbox.rest.search import search_issues
from sandbox.state.repository import PullRequest
from sandbox.state.state import State
from sandbox.state.tokens import token_json

MAX_FILES = 3000
"""Source: GitHub REST docs, "List pull requests files"."""

UNKNOWN = "unknown"
"""The name under which requests for anything else are counted."""


class Auth(StrEnum):
    """Who may ask."""

    NONE = "none"
    APP = "app"
    INSTALLATION = "installation"


@dataclass(frozen=True)
class Route:
    """A method and a pattern of paths. `permissions` are "name:level", any one of which is enough.

    `limit` is the key of the rate limit that counts the call, None where nothing does.
    """

    name: str
    method: str
    pattern: re.Pattern[str]
    auth: Auth
    limit: str | None
    endpoint: Callable[[State, Request], Answer]
    permissions: tuple[str, ...] = ()


def _unknown(state: State, request: Request) -> Answer:
    raise not_found()


def _app(state: State, request: Request) -> Answer:
    return Answer(body=app_json(state.app, len(state.installations())))


def _repository_installation(state: State, request: Request) -> Answer:
    repo = state.repository(_full_name(request))
    return Answer(body=installation_json(state.app, repo.owner, state.permissions_of(repo.installation_id)))


def _installation_token(state: State, request: Request) -> Answer:
    number = int(request.parameters["id"])
    if number not in state.installations():
        raise not_found()
    asked = request.object()
    mine = state.repositories_of(number)
    names: frozenset[str] | None = None
    if asked.get("repositories") or asked.get("repository_ids"):
        wanted = {str(name).lower() for name in asked.get("repositories") or ()}
        ids = set(asked.get("repository_ids") or ())
        chosen = {name: repo for name, repo in mine.items() if repo.name.lower() in wanted or repo.id in ids}
        if len(chosen) < len(wanted) + len(ids):
            raise ApiError(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        names = frozenset(chosen)
    granted = state.permissions_of(number)
    permissions = asked.get("permissions") or granted
    for name, level in permissions.items():
        if not _allows(granted, f"{name}:{level}"):
            raise ApiError(422, "The permissions requested are not granted to this installation.")
    token = state.tokens.issue(number, {"metadata": "read"} | permissions, names)
    return Answer(201, token_json(token, [shapes.repository(mine[name]) for name in sorted(names or ())]))


def _pull(state: State, request: Request) -> Answer:
    return Answer(body=shapes.pull_request(_pull_request(state, request)))


def _files(state: State, request: Request) -> Answer:
    pull = _pull_request(state, request)
    files, headers = page(request, state.app.api_url, pull.files()[:MAX_FILES])
    return Answer(body=[shapes.changed_file(pull, file) for file in files], headers=headers)


def _contents(state: State, request: Request) -> Answer:
    return get_contents(state.repository(_full_name(request)), request)


def _graphql(state: State, request: Request) -> Answer:
    if not state.graphql_available:
        raise not_found()
    granted = state.tokens.authenticate(request).permissions
    return Answer(body=graphql.answer(state, request, lambda wanted: _allows(granted, wanted)))


def _search(state: State, request: Request) -> Answer:
    token = state.tokens.authenticate(request)
    mine = {
        name: repo
        for name, repo in state.repositories_of(token.installation_id).items()
        if token.opens(repo.full_name, repo.installation_id)
    }
    return Answer(body=search_issues(request, mine, state.merged_pull_requests))


def _list_reviews(state: State, request: Request) -> Answer:
    reviews = [conversation.public_review(kept) for kept in _pull_request(state, request).reviews]
    return _list(state, request, reviews)


def _create_review(state: State, request: Request) -> Answer:
    pull = _pull_request(state, request)
    kept = create_review(pull, request.object(), state.app.bot_login, state.refused_lines)
    return Answer(body=conversation.public_review(kept))


def _update_review(state: State, request: Request) -> Answer:
    pull = _pull_request(state, request)
    kept = _with_id(pull.reviews, request)
    update_review(kept, request.object(), state.app.bot_login)
    return Answer(body=conversation.public_review(kept))


def _review_comment(state: State, request: Request) -> Answer:
    return Answer(body=conversation.public_comment(_comment_on_lines(state, request)))


def _update_comment(state: State, request: Request) -> Answer:
    comment = _comment_on_lines(state, request)
    update_comment(comment, request.object(), state.app.bot_login)
    return Answer(body=conversation.public_comment(comment))


def _review_comments(state: State, request: Request) -> Answer:
    pull = _pull_request(state, request)
    return _list(state, request, [conversation.public_comment(kept) for kept in _submitted_comments(pull)])


def _list_comments(state: State, request: Request) -> Answer:
    kept = _pull_request(state, request).comments
    return _list(state, request, [conversation.public_comment(comment) for comment in kept])


def _create_comment(state: State, request: Request) -> Answer:
    pull, body = _pull_request(state, request), _comment_body(request)
    return Answer(201, conversation.add_comment(pull, state.app.bot_login, body))


def _reply(state: State, request: Request) -> Answer:
    """A reply in a thread. Comments that begin one are made with a review here, and in no other way."""
    pull, body = _pull_request(state, request), _comment_body(request)
    to = int(request.object().get("in_reply_to") or 0)
    try:
        return Answer(201, conversation.add_reply(pull, state.app.bot_login, body, to))
    except KeyError as error:
        # To a reply there is no reply. Source: GitHub REST docs, "Create a reply for a review comment".
        wrong = {"resource": "PullRequestReviewComment", "code": "invalid", "field": "in_reply_to"}
        raise ApiError(422, "Validation Failed", [wrong]) from error


def _comment_body(request: Request) -> str:
    body = request.object().get("body")
    if not isinstance(body, str) or not body.strip():
        raise ApiError(
            422, "Validation Failed", [{"resource": "IssueComment", "code": "missing_field", "field": "body"}]
        )
    if len(body) > MAX_BODY_CHARACTERS:
        detail = f"body is too long (maximum is {MAX_BODY_CHARACTERS} characters)"
        error = {"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": detail}
        raise ApiError(422, "Validation Failed", [error])
    return body


def _permission(state: State, request: Request) -> Answer:
    """What somebody may do. Roles have the permission that they are made of."""
    repo, login = state.repository(_full_name(request)), request.parameters["login"]
    role = repo.role_of(login)
    permission = {"maintain": "write", "triage": "read"}.get(role, role)
    user = account(login, state.app.api_url)
    return Answer(body={"permission": permission, "role_name": role, "user": user})


def _react(state: State, request: Request) -> Answer:
    pulls = state.repository(_full_name(request)).pulls.values()
    return _reacted(state, request, _with_id([comment for pull in pulls for comment in pull.comments], request))


def _react_on_lines(state: State, request: Request) -> Answer:
    return _reacted(state, request, _comment_on_lines(state, request))


def _reacted(state: State, request: Request, comment: Json) -> Answer:
    content = request.object().get("content")
    if content not in REACTIONS:
        raise ApiError(422, "Validation Failed", [{"resource": "Reaction", "code": "invalid", "field": "content"}])
    is_new = conversation.react(comment, state.app.bot_login, content)
    return Answer(201 if is_new else 200, conversation.reaction(state.app, state.app.bot_login, content))


def _create_check_run(state: State, request: Request) -> Answer:
    repo = state.repository(_full_name(request))
    return Answer(201, checks.public(checks.create_check_run(repo, request.object())))


def _update_check_run(state: State, request: Request) -> Answer:
    repo, number = state.repository(_full_name(request)), int(request.parameters["id"])
    return Answer(body=checks.public(checks.update_check_run(repo, number, request.object(), state.app.id)))


def _list_check_runs(state: State, request: Request) -> Answer:
    repo = state.repository(_full_name(request))
    sha = repo.resolve(request.parameters["ref"])
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {request.parameters['ref']}")
    found = checks.listed(repo, sha, request)
    shown, headers = page(request, state.app.api_url, found)
    body = {"total_count": len(found), "check_runs": [checks.public(kept) for kept in shown]}
    return Answer(body=body, headers=headers)


def _hook_deliveries(state: State, request: Request) -> Answer:
    per_page = request.number("per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE)
    cursor = request.query.get("cursor", "").removeprefix("v1_")
    before = int(cursor) if cursor.isdecimal() else None
    older = [item for item in state.hook.deliveries if before is None or item.id < before]
    shown = older[:per_page]
    headers = {}
    if len(older) > per_page:
        query = urlencode({**request.query, "per_page": per_page, "cursor": f"v1_{shown[-1].id}"})
        headers["Link"] = f'<{state.app.api_url}{request.path}?{query}>; rel="next"'
    return Answer(body=[delivery.json() for delivery in shown], headers=headers)


def _redeliver(state: State, request: Request) -> Answer:
    if not state.hook.redeliver(int(request.parameters["id"])):
        raise not_found()
    return Answer(202, {})


def _rate_limit(state: State, request: Request) -> Answer:
    resources = {
        key: {
            "limit": limit.limit,
            "remaining": limit.remaining,
            "used": limit.used,
            "reset": limit.resets_at,
            "resource": limit.resource,
        }
        for key, limit in state.limits.items()
        if key != "app"
    }
    return Answer(body={"resources": resources, "rate": resources["core"]})


def _list(state: State, request: Request, items: list[Json]) -> Answer:
    shown, headers = page(request, state.app.api_url, items)
    return Answer(body=shown, headers=headers)


def _full_name(request: Request) -> str:
    return f"{request.parameters['owner']}/{request.parameters['repo']}"


def _pull_request(state: State, request: Request) -> PullRequest:
    return state.pull(_full_name(request), request.parameters["number"])


def _submitted_comments(pull: PullRequest) -> list[Json]:
    submitted = {kept["id"] for kept in pull.reviews if kept["state"] != "PENDING"}
    return [comment for comment in pull.review_comments if comment["pull_request_review_id"] in submitted]


def _comment_on_lines(state: State, request: Request) -> Json:
    pulls = state.repository(_full_name(request)).pulls.values()
    return _with_id([comment for pull in pulls for comment in _submitted_comments(pull)], request)


def _with_id(items: list[Json], request: Request) -> Json:
    found = [item for item in items if item["id"] == int(request.parameters["id"])]
    if not found:
        raise not_found()
    return found[0]


def _allows(granted: Json, wanted: str) -> bool:
    name, _, level = wanted.partition(":")
    return granted.get(name) in ({"write"} if level == "write" else {"read", "write"})


_REPO = r"/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)"
_PULL = _REPO + r"/pulls/(?P<number>\d+)"
_ISSUE = _REPO + r"/issues/(?P<number>\d+)"
_READ, _WRITE = ("pull_requests:read",), ("pull_requests:write",)
_READ_ISSUE, _WRITE_ISSUE = ("issues:read", "pull_requests:read"), ("issues:write", "pull_requests:write")


def _app_route(name: str, method: str, pattern: str, endpoint: Callable[[State, Request], Answer]) -> Route:
    return Route(name, method, re.compile(pattern), Auth.APP, "app", endpoint)


def _route(
    name: str,
    method: str,
    pattern: str,
    endpoint: Callable[[State, Request], Answer],
    permissions: tuple[str, ...] = (),
    *,
    limit: str | None = "core",
) -> Route:
    return Route(name, method, re.compile(pattern), Auth.INSTALLATION, limit, endpoint, permissions)


ROUTES = (
    _app_route("app", "GET", "/app", _app),
    _app_route("hook_deliveries", "GET", "/app/hook/deliveries", _hook_deliveries),
    _app_route("redeliver", "POST", r"/app/hook/deliveries/(?P<id>\d+)/attempts", _redeliver),
    _app_route("installation_token", "POST", r"/app/installations/(?P<id>\d+)/access_tokens", _installation_token),
    _app_route("repository_installation", "GET", _REPO + "/installation", _repository_installation),
    _route("pull", "GET", _PULL, _pull, _READ),
    _route("files", "GET", _PULL + "/files", _files, _READ),
    _route("list_reviews", "GET", _PULL + "/reviews", _list_reviews, _READ),
    _route("create_review", "POST", _PULL + "/reviews", _create_review, _WRITE),
    _route("update_review", "PUT", _PULL + r"/reviews/(?P<id>\d+)", _update_review, _WRITE),
    _route("review_comments", "GET", _PULL + "/comments", _review_comments, _READ),
    _route("review_comment", "GET", _REPO + r"/pulls/comments/(?P<id>\d+)", _review_comment, _READ),
    _route("update_comment", "PATCH", _REPO + r"/pulls/comments/(?P<id>\d+)", _update_comment, _WRITE),
    _route("reply", "POST", _PULL + "/comments", _reply, _WRITE),
    _route("react_on_lines", "POST", _REPO + r"/pulls/comments/(?P<id>\d+)/reactions", _react_on_lines, _WRITE),
    # On a comment of a pull request this one counts too, whatever the docs say, which name Issues alone.
    _route("react", "POST", _REPO + r"/issues/comments/(?P<id>\d+)/reactions", _react, _WRITE_ISSUE),
    _route("permission", "GET", _REPO + r"/collaborators/(?P<login>[^/]+)/permission", _permission),
    _route("list_comments", "GET", _ISSUE + "/comments", _list_comments, _READ_ISSUE),
    _route("create_comment", "POST", _ISSUE + "/comments", _create_comment, _WRITE_ISSUE),
    _route("create_check_run", "POST", _REPO + "/check-runs", _create_check_run, ("checks:write",)),
    _route("update_check_run", "PATCH", _REPO + r"/check-runs/(?P<id>\d+)", _update_check_run, ("checks:write",)),
    _route("list_check_runs", "GET", _REPO + r"/commits/(?P<ref>[^/]+)/check-runs", _list_check_runs, ("checks:read",)),
    _route("contents", "GET", _REPO + r"/contents(?:/(?P<path>[\s\S]*))?", _contents, ("contents:read",)),
    _route("graphql", "POST", "/graphql", _graphql, ("contents:read",), limit="graphql"),
    _route("search", "GET", "/search/issues", _search, limit="search"),
    _route("rate_limit", "GET", "/rate_limit", _rate_limit, limit=None),
)

_UNKNOWN_ROUTE = Route(UNKNOWN, "*", re.compile(".*"), Auth.NONE, None, _unknown)

ROUTE_NAMES = frozenset(route.name for route in (*ROUTES, _UNKNOWN_ROUTE))


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a (decoded) path and what its pattern found there."""
    for route in ROUTES:
        if route.method == method and (found := route.pattern.fullmatch(path)):
            return route, {name: value for name, value in found.groupdict().items() if value is not None}
    return _UNKNOWN_ROUTE, {}


def permitted(route: Route, granted: Json) -> bool:
    """Whether a token's permissions are enough for a route."""
    return not route.permissions or any(_allows(granted, wanted) for wanted in route.permissions)
