"""Endpoints of the App: itself, its installations and their tokens, its webhook deliveries, its rate limits."""

from urllib.parse import urlencode

from sandbox.app import Json, app_json, installation_json, timestamp
from sandbox.http import DEFAULT_PER_PAGE, MAX_PER_PAGE, ApiError, Request, Response, not_found
from sandbox.rest import lookups, resources
from sandbox.state.state import State
from sandbox.state.tokens import allows


def app(state: State, request: Request) -> Response:
    """Answer GET /app."""
    return Response(body=app_json(state.app, len(state.installations())))


def repository_installation(state: State, request: Request) -> Response:
    """Answer GET /repos/{owner}/{repo}/installation."""
    repo = lookups.repository(state, request)
    return Response(body=installation_json(state.app, repo.owner, state.permissions_of(repo.installation_id)))


def installation_token(state: State, request: Request) -> Response:
    """Issue an installation token, limited to the requested repositories and permissions."""
    number = int(request.parameters["id"])
    if number not in state.installations():
        raise not_found()
    body = request.json_object()
    granted = state.permissions_of(number)
    permissions = body.get("permissions") or granted
    names = _repository_names(state, number, body)
    for name, level in permissions.items():
        if not allows(granted, f"{name}:{level}"):
            raise ApiError(422, "The permissions requested are not granted to this installation.")
    token = state.tokens.issue(number, {"metadata": "read"} | permissions, names)
    answer: Json = {
        "token": token.value,
        "expires_at": timestamp(token.expires_at),
        "permissions": token.permissions,
        "repository_selection": "all" if names is None else "selected",
    }
    if names is not None:
        answer["repositories"] = [resources.repository(state.repositories[name]) for name in sorted(names)]
    return Response(201, answer)


def hook_deliveries(state: State, request: Request) -> Response:
    """List webhook deliveries, newest first, by pages of a cursor."""
    per_page = request.positive_int("per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE)
    cursor = request.query.get("cursor", "").removeprefix("v1_")
    before = int(cursor) if cursor.isdecimal() else None
    older = [delivery for delivery in state.hook.deliveries if before is None or delivery.id < before]
    page = older[:per_page]
    headers = {}
    if len(older) > per_page:
        query = urlencode({**request.query, "per_page": per_page, "cursor": f"v1_{page[-1].id}"})
        headers["Link"] = f'<{state.app.api_url}{request.path}?{query}>; rel="next"'
    return Response(body=[delivery.json() for delivery in page], headers=headers)


def redeliver(state: State, request: Request) -> Response:
    """Send a webhook delivery again, in the background."""
    if not state.hook.redeliver(int(request.parameters["id"])):
        raise not_found()
    return Response(202, {})


def rate_limit(state: State, request: Request) -> Response:
    """Answer GET /rate_limit."""
    limits: Json = {
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
    return Response(body={"resources": limits, "rate": limits["core"]})


def _repository_names(state: State, installation_id: int, body: Json) -> frozenset[str] | None:
    """The full names of the repositories that a request for a token selects; None: all of the installation."""
    if not body.get("repositories") and not body.get("repository_ids"):
        return None
    names = {str(name).lower() for name in body.get("repositories") or ()}
    ids = set(body.get("repository_ids") or ())
    installed = state.repositories_of(installation_id)
    selected = {name for name, repo in installed.items() if repo.name.lower() in names or repo.id in ids}
    if len(selected) < len(names) + len(ids):
        raise ApiError(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    return frozenset(selected)
