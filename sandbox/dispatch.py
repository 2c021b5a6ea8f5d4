"""Answer a request as GitHub does: authentication, permissions, rate limits, then the endpoint."""

import traceback
from urllib.parse import quote, urlencode

from sandbox.app import timestamp
from sandbox.http import ApiError, Request, Response
from sandbox.limits import RateLimit
from sandbox.routes import Auth, Route
from sandbox.state.state import SUSPENDED, State
from sandbox.state.tokens import authenticate_app

OLDEST_API_VERSION = "2022-11-28"
LIMITS_URL = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"


def respond(state: State, route: Route, request: Request) -> Response:
    """Carry out a request and return its response, rate-limit headers included."""
    try:
        with state.lock:
            response = _respond(state, route, request)
    except ApiError as error:
        response = error.response
    except Exception:  # noqa: BLE001 - a defect of the sandbox must show in the test's output instead of a hang
        traceback.print_exc()
        response = ApiError(500, "Server Error").response
    return response.with_headers(limit_of(state, route).headers())


def limit_of(state: State, route: Route) -> RateLimit:
    """The rate limit whose headers the responses of a route carry."""
    return state.limits[route.limit or "core"]


def primary_limit_message(installation_id: int, request_id: str = "") -> str:
    """GitHub's message for an exhausted primary limit. Source: responses quoted in many public issues."""
    at = timestamp().replace("T", " ").replace("Z", " UTC")
    return (
        f"API rate limit exceeded for installation ID {installation_id}. If you reach out to GitHub Support for help, "
        f"please include the request ID {request_id} and timestamp {at}."
    )


def installation_of(state: State, request: Request) -> int:
    """The installation of the request's token, or 0."""
    try:
        return state.tokens.authenticate(request).installation_id
    except ApiError:
        return 0


def graphql_limit_response(message: str, error_type: str) -> Response:
    """GraphQL's response to an exhausted limit: 200. Source: GitHub GraphQL docs, "Rate limits and query limits"."""
    return Response(200, {"errors": [{"type": error_type, "message": message}]})


def _check_headers(request: Request) -> None:
    """Raise ApiError for a request without a user agent, or for a version of the API before the oldest one.

    Source: GitHub REST docs, "Getting started" (User-Agent) and "API versions".
    """
    if not request.headers.get("user-agent"):
        raise ApiError(403, "Request forbidden by administrative rules. Please make sure it has a User-Agent header.")
    version = request.headers.get("x-github-api-version", OLDEST_API_VERSION)
    if version < OLDEST_API_VERSION:
        raise ApiError(400, f'"{version}" is not a supported version of the REST API.')


def _redirect(state: State, request: Request) -> None:
    """Raise ApiError 301 or 307 for a repository that was renamed or transferred.

    Source: GitHub REST docs, "Best practices", redirects: 307 where the method must be kept.
    """
    if "owner" not in request.parameters:
        return
    name = f"{request.parameters['owner']}/{request.parameters['repo']}"
    repo = state.renamed_to(name)
    if repo is not None:
        rest = quote(request.path.removeprefix(f"/repos/{name}"))
        query = f"?{urlencode(request.query)}" if request.query else ""
        location = {"Location": f"{state.app.api_url}/repositories/{repo.id}{rest}{query}"}
        raise ApiError(301 if request.method == "GET" else 307, "Moved Permanently", headers=location)


def _respond(state: State, route: Route, request: Request) -> Response:
    _check_headers(request)
    _redirect(state, request)
    if route.auth is Auth.APP:
        authenticate_app(state.app, request)
    elif route.auth is Auth.INSTALLATION:
        token = state.tokens.authenticate(request)
        if token.installation_id in state.removed_installations:
            raise ApiError(401, "Bad credentials")
        if token.installation_id in state.suspended_installations:
            raise ApiError(403, SUSPENDED)
        if "owner" in request.parameters:
            repo = state.repository(f"{request.parameters['owner']}/{request.parameters['repo']}")
            if not token.reaches(repo.id, repo.installation_id):
                raise ApiError(404, "Not Found")
        if not route.permits(token.permissions):
            raise ApiError(403, "Resource not accessible by integration")
    if route.limit and not state.limits[route.limit].take():
        message = primary_limit_message(installation_of(state, request))
        if route.limit == "graphql":
            return graphql_limit_response(message, "RATE_LIMITED")
        raise ApiError(403, message, documentation_url=LIMITS_URL)
    return route.endpoint(state, request)
