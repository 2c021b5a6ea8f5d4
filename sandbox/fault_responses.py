"""Responses that faults send instead of an endpoint's."""

import math
import time
import uuid
from dataclasses import replace

from sandbox import dispatch
from sandbox.faults import ECHO, Fault, FaultKind
from sandbox.http import ApiError, Request, Response
from sandbox.routes import Route
from sandbox.state.state import State

SECONDARY_LIMIT_URL = "https://docs.github.com/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"

_MESSAGES = {
    401: "Bad credentials",
    403: "Resource not accessible by integration",
    404: "Not Found",
    409: "Git Repository is empty.",
    410: "This resource is gone.",
    422: "Validation Failed",
    451: "Repository access blocked",
    500: "Server Error",
    502: "Bad Gateway",
    503: "No server is currently available to service your request.",
    504: "We couldn't respond to your request in time.",
}


def request_id() -> str:
    """Make a value of X-GitHub-Request-Id."""
    digits = uuid.uuid4().hex.upper()
    return f"{digits[:4]}:{digits[4:10]}:{digits[10:16]}:{digits[16:22]}:{digits[22:30]}"


def fault_response(state: State, route: Route, request: Request, fault: Fault) -> Response:
    """Return the response that a fault sends instead of the endpoint's, with the fault's own headers."""
    if fault.message:
        fault = replace(fault, message=fault.message.replace(ECHO, request.headers.get("authorization", "")))
    response = _fault_response(state, route, request, fault)
    replaced = {name.lower() for name in fault.headers}
    headers = {name: value for name, value in response.headers.items() if name.lower() not in replaced}
    return replace(response, headers={**headers, **fault.headers})


def _fault_response(state: State, route: Route, request: Request, fault: Fault) -> Response:
    limit = dispatch.limit_of(state, route)
    if fault.kind in (FaultKind.PRIMARY_LIMIT, FaultKind.GRAPHQL_RATE_LIMITED):
        headers = limit.headers(remaining=0, resets_at=math.ceil(time.time() + fault.reset_in))
        installation_id = dispatch.installation_of(state, request)
        message = fault.message or dispatch.primary_limit_message(installation_id, request_id())
        if fault.kind is FaultKind.GRAPHQL_RATE_LIMITED:
            return dispatch.graphql_limit_response(message, fault.error_type).with_headers(headers)
        return ApiError(fault.status or 403, message, documentation_url=dispatch.LIMITS_URL, headers=headers).response
    headers = limit.headers()
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    if fault.kind is FaultKind.SECONDARY_LIMIT:
        message = fault.message or (
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach "
            f"out to GitHub Support for help, please include the request ID {request_id()}."
        )
        return ApiError(fault.status or 403, message, documentation_url=SECONDARY_LIMIT_URL, headers=headers).response
    if fault.kind is FaultKind.BROKEN_JSON:
        return Response(200, b'{"id": 1, "node_id": "MDExOlB1bGxSZX', headers)
    if fault.kind in (FaultKind.WRONG_JSON, FaultKind.APPLIED_THEN_REPLACED):
        # Encoded here: `Response` would send a str without quotes.
        body = fault.body if isinstance(fault.body, bytes) else Response(body=[fault.body]).content[1:-1]
        return Response(fault.status or 200, body, headers)
    status = fault.status or 500
    message = fault.message or _MESSAGES.get(status, "Server Error")
    if status in (502, 503, 504):
        page = f"<html><head><title>{status}</title></head><body><h1>{message}</h1></body></html>\n"
        return Response(status, page, headers, "text/html; charset=utf-8")
    return ApiError(status, message, headers=headers).response
