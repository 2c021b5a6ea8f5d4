"""The routes of the sandbox: method, path, authentication, permissions and rate limit of each endpoint.

Source of paths, parameters, permissions and responses: GitHub REST docs, and GitHub's OpenAPI description.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sandbox.app import Json
from sandbox.graphql import resolvers
from sandbox.http import Request, Response, not_found
from sandbox.rest import apps, check_runs, comments, manifests, pull_requests, reviews
from sandbox.rest.compare import compare
from sandbox.rest.contents import contents, tree
from sandbox.rest.search import search
from sandbox.state.state import State
from sandbox.state.tokens import allows

UNKNOWN = "unknown"
"""The name of the route of every other request."""

Endpoint = Callable[[State, Request], Response]
"""Answers a request that passed authentication, permissions and limits. Raises ApiError."""


class Auth(StrEnum):
    """The credentials that a route requires."""

    NONE = "none"
    APP = "app"
    INSTALLATION = "installation"


@dataclass(frozen=True)
class Route:
    """A method and a pattern of paths. Any one of `permissions`, as "name:level", is enough.

    `limit` is the key of the rate limit that counts the requests; None: not counted.
    """

    name: str
    method: str
    pattern: re.Pattern[str]
    auth: Auth
    limit: str | None
    endpoint: Endpoint
    permissions: tuple[str, ...] = ()

    def permits(self, granted: Json) -> bool:
        """Return whether a token's permissions are enough."""
        return not self.permissions or any(allows(granted, permission) for permission in self.permissions)


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a decoded path, and the named groups of its pattern."""
    for route in ROUTES:
        if route.method == method and (found := route.pattern.fullmatch(path)):
            return route, {name: value for name, value in found.groupdict().items() if value is not None}
    return _UNKNOWN_ROUTE, {}


def _unknown(state: State, request: Request) -> Response:
    raise not_found()


def _app_route(name: str, method: str, pattern: str, endpoint: Endpoint) -> Route:
    return Route(name, method, re.compile(pattern), Auth.APP, "app", endpoint)


def _open_route(name: str, pattern: str, endpoint: Endpoint) -> Route:
    return Route(name, "POST", re.compile(pattern), Auth.NONE, None, endpoint)


def _route(
    name: str,
    method: str,
    pattern: str,
    endpoint: Endpoint,
    permissions: tuple[str, ...] = (),
    *,
    limit: str | None = "core",
) -> Route:
    return Route(name, method, re.compile(pattern), Auth.INSTALLATION, limit, endpoint, permissions)


_REPO = r"/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)"
_PULL = _REPO + r"/pulls/(?P<number>\d+)"
_REVIEW_COMMENT = _REPO + r"/pulls/comments/(?P<id>\d+)"
_ISSUE_COMMENTS = _REPO + r"/issues/(?P<number>\d+)/comments"
_CHECK_RUNS = _REPO + "/check-runs"
_READ, _WRITE = ("pull_requests:read",), ("pull_requests:write",)
_READ_ISSUE, _WRITE_ISSUE = ("issues:read", "pull_requests:read"), ("issues:write", "pull_requests:write")
_READ_CHECKS, _WRITE_CHECKS = ("checks:read",), ("checks:write",)

ROUTES = (
    _open_route("register_app", r"(?:/organizations/(?P<org>[^/]+))?/settings/apps/new", manifests.register),
    _open_route("convert_manifest", r"/app-manifests/(?P<code>[^/]+)/conversions", manifests.convert),
    _app_route("app", "GET", "/app", apps.app),
    _app_route("installations", "GET", "/app/installations", apps.installations),
    _app_route("hook_config", "GET", "/app/hook/config", apps.hook_config),
    _app_route("hook_deliveries", "GET", "/app/hook/deliveries", apps.hook_deliveries),
    _app_route("redeliver", "POST", r"/app/hook/deliveries/(?P<id>\d+)/attempts", apps.redeliver),
    _app_route("installation_token", "POST", r"/app/installations/(?P<id>\d+)/access_tokens", apps.installation_token),
    _app_route("repository_installation", "GET", _REPO + "/installation", apps.repository_installation),
    _route("pull", "GET", _PULL, pull_requests.pull_request, _READ),
    _route("files", "GET", _PULL + "/files", pull_requests.files, _READ),
    _route("list_reviews", "GET", _PULL + "/reviews", reviews.list_reviews, _READ),
    _route("create_review", "POST", _PULL + "/reviews", reviews.create_review, _WRITE),
    _route("update_review", "PUT", _PULL + r"/reviews/(?P<id>\d+)", reviews.update_review, _WRITE),
    _route("review_comments", "GET", _PULL + "/comments", comments.list_review_comments, _READ),
    _route("review_comment", "GET", _REVIEW_COMMENT, comments.review_comment, _READ),
    _route("update_comment", "PATCH", _REVIEW_COMMENT, comments.update_review_comment, _WRITE),
    _route("reply", "POST", _PULL + "/comments", comments.reply, _WRITE),
    _route("react_on_lines", "POST", _REVIEW_COMMENT + "/reactions", comments.react_to_review_comment, _WRITE),
    # GitHub's docs name the permission Issues alone, but on a comment of a pull request `pull_requests` is enough.
    _route(
        "react",
        "POST",
        _REPO + r"/issues/comments/(?P<id>\d+)/reactions",
        comments.react_to_issue_comment,
        _WRITE_ISSUE,
    ),
    _route("permission", "GET", _REPO + r"/collaborators/(?P<login>[^/]+)/permission", pull_requests.permission),
    _route("list_comments", "GET", _ISSUE_COMMENTS, comments.list_issue_comments, _READ_ISSUE),
    _route("create_comment", "POST", _ISSUE_COMMENTS, comments.create_issue_comment, _WRITE_ISSUE),
    _route("create_check_run", "POST", _CHECK_RUNS, check_runs.create_check_run, _WRITE_CHECKS),
    _route("update_check_run", "PATCH", _CHECK_RUNS + r"/(?P<id>\d+)", check_runs.update_check_run, _WRITE_CHECKS),
    _route(
        "list_check_runs",
        "GET",
        _REPO + r"/commits/(?P<ref>[^/]+)/check-runs",
        check_runs.list_check_runs,
        _READ_CHECKS,
    ),
    _route("contents", "GET", _REPO + r"/contents(?:/(?P<path>[\s\S]*))?", contents, ("contents:read",)),
    _route("tree", "GET", _REPO + r"/git/trees/(?P<ref>[\s\S]+)", tree, ("contents:read",)),
    _route("compare", "GET", _REPO + r"/compare/(?P<base>.+)\.\.\.(?P<head>.+)", compare, ("contents:read",)),
    _route("graphql", "POST", "/graphql", resolvers.graphql, ("contents:read",), limit="graphql"),
    _route("search", "GET", "/search/issues", search, limit="search"),
    _route("rate_limit", "GET", "/rate_limit", apps.rate_limit, limit=None),
)

_UNKNOWN_ROUTE = Route(UNKNOWN, "*", re.compile(".*"), Auth.NONE, None, _unknown)

ROUTE_NAMES = frozenset(route.name for route in (*ROUTES, _UNKNOWN_ROUTE))
