"""From a request to the answer that GitHub would give: who asks, is there anything left, and only then the endpoint."""

import traceback

from sandbox.app import timestamp
from sandbox.http import Answer, ApiError, Request
from sandbox.limits import Limit
from sandbox.routes import Auth, Route, permitted
from sandbox.state.state import State
from sandbox.state.tokens import authenticate_app

LIMITS_URL = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"


def answer(state: State, route: Route, request: Request) -> Answer:
    """Do what a request asks for and answer it, rate-limit headers included."""
    try:
        with state.lock:
            result = _answer(state, route, request)
    except ApiError as error:
        result = error.answer
    except Exception:  # noqa: BLE001 - a fault of the sandbox itself must show in the test's output and not hang it
        traceback.print_exc()
        result = ApiError(500, "Server Error").answer
    return with_headers(result, limit_of(state, route).headers())


def limit_of(state: State, route: Route) -> Limit:
    """The limit whose headers an answer of a route carries."""
    return state.limits[route.limit or "core"]


def with_headers(result: Answer, headers: dict[str, str]) -> Answer:
    """The answer with more headers; those it has win."""
    return Answer(result.status, result.body, {**headers, **result.headers}, result.content_type)


def primary_limit(installation_id: int, request_id: str = "") -> str:
    """GitHub's words for a primary limit. Source: answers quoted in many public issues."""
    at = timestamp().replace("T", " ").replace("Z", " UTC")
    return (
        f"API rate limit exceeded for installation ID {installation_id}. If you reach out to GitHub Support for help, "
        f"please include the request ID {request_id} and timestamp {at}."
    )


def installation_of(state: State, request: Request) -> int:
    """The installation whose token a request carries, or 0."""
    try:
        return state.tokens.authenticate(request).installation_id
    except ApiError:
        return 0


def graphql_limit(message: str, error_type: str) -> Answer:
    """How GraphQL tells of the primary limit: 200. Source: GitHub GraphQL docs, "Rate limits and query limits"."""
    return Answer(200, {"errors": [{"type": error_type, "message": message}]})


def _answer(state: State, route: Route, request: Request) -> Answer:
    if route.auth is Auth.APP:
        authenticate_app(state.app, request)
    elif route.auth is Auth.INSTALLATION:
        token = state.tokens.authenticate(request)
        if token.installation_id in state.removed_installations:
            raise ApiError(401, "Bad credentials")
        if "owner" in request.parameters:
            repo = state.repository(f"{request.parameters['owner']}/{request.parameters['repo']}")
            if not token.opens(repo.full_name, repo.installation_id):
                raise ApiError(404, "Not Found")
        if not permitted(route, token.permissions):
            raise ApiError(403, "Resource not accessible by integration")
    if route.limit and not state.limits[route.limit].take():
        message = primary_limit(installation_of(state, request))
        if route.limit == "graphql":
            return graphql_limit(message, "RATE_LIMITED")
        raise ApiError(403, message, documentation_url=LIMITS_URL)
    return route.endpoint(state, request)
