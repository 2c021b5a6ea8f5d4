"""Endpoints of the App: itself, its installations and their tokens, its webhook deliveries, its rate limits."""

from urllib.parse import urlencode

from sandbox.app import Json, account, app_json, installation_id, installation_json, timestamp
from sandbox.http import DEFAULT_PER_PAGE, MAX_PER_PAGE, ApiError, Request, Response, not_found
from sandbox.rest import lookups, resources
from sandbox.state.state import SUSPENDED, State
from sandbox.state.tokens import allows


def app(state: State, request: Request) -> Response:
    """Answer GET /app."""
    return Response(body=app_json(state.app, len(state.installations())))


def installations(state: State, request: Request) -> Response:
    """List the App's installations, by pages."""
    per_page = request.positive_int("per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE)
    first = (request.positive_int("page", 1) - 1) * per_page
    owners = [owner for _, owner in sorted(state.installations().items())]
    return Response(body=[_installation(state, owner) for owner in owners[first : first + per_page]])


def repository_installation(state: State, request: Request) -> Response:
    """Answer GET /repos/{owner}/{repo}/installation."""
    return Response(body=_installation(state, lookups.repository(state, request).owner))


def hook_config(state: State, request: Request) -> Response:
    """Answer GET /app/hook/config: the address of the last webhook, since the sandbox learns it when it sends one."""
    deliveries = state.hook.deliveries
    url = deliveries[0].url if deliveries else state.webhook_url
    return Response(body={"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": url})


def installation_token(state: State, request: Request) -> Response:
    """Issue an installation token, limited to the requested repositories and permissions."""
    number = int(request.parameters["id"])
    if number not in state.installations():
        raise not_found()
    if number in state.suspended_installations:
        raise ApiError(403, SUSPENDED)
    body = request.json_object()
    granted = state.permissions_of(number)
    permissions = body.get("permissions") or granted
    names = _repository_names(state, number, body)
    for name, level in permissions.items():
        if not allows(granted, f"{name}:{level}"):
            raise ApiError(422, "The permissions requested are not granted to this installation.")
    ids = None if names is None else frozenset(state.repositories[name].id for name in names)
    token = state.tokens.issue(number, {"metadata": "read"} | permissions, ids)
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


def _installation(state: State, owner: str) -> Json:
    number = installation_id(owner)
    body = installation_json(state.app, owner, state.permissions_of(number))
    if number in state.suspended_installations:
        body |= {"suspended_at": timestamp(), "suspended_by": account(owner, state.app.api_url)}
    return body


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
