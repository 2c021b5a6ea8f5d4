"""Errors of the API: each is a problem of RFC 9457, whether the API or Django raises it."""

import logging
from http import HTTPStatus
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions, views
from rest_framework.response import Response

logger = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
PROBLEMS = [HTTPStatus(status) for status in (400, 401, 403, 404, 405, 406, 429, 500, 503)]
"""Errors that each operation may return."""


class Conflict(exceptions.APIException):
    """The row is not in the state that the request needs."""

    status_code = 409


class StoreUnavailable(exceptions.APIException):
    """The database cannot be read, or not in time."""

    status_code = 503
    default_detail = "The database cannot be read at the moment."


def problem(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Return an error's body. Source: RFC 9457."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer with a problem; leave to Django's handlers what the API does not expect, so that it is logged."""
    if isinstance(error, OperationalError | InterfaceError):
        logger.warning("database not readable", exc_info=error)
        error = StoreUnavailable()
    response = views.exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        errors = [
            {"parameter": parameter, "detail": detail}
            for parameter, details in response.data.items()
            for detail in details
        ]
        response.data = problem(response.status_code, "The query is not valid.", errors=errors)
    else:
        response.data = problem(response.status_code, response.data["detail"])
    response.content_type = PROBLEM
    return response


def describe_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the errors to each operation of an OpenAPI description. Called by drf-spectacular."""
    fields = {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Parameters that are not valid, if status is 400.",
            "items": {
                "type": "object",
                "properties": {"parameter": {"type": "string"}, "detail": {"type": "string"}},
                "required": ["parameter", "detail"],
            },
        },
    }
    required = [name for name in fields if name != "errors"]
    result["components"]["schemas"]["Problem"] = {"type": "object", "properties": fields, "required": required}
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in result["paths"].values():
        for method, operation in operations.items():
            if method == "get":
                operation["responses"]["304"] = {"description": "The answer has the ETag that If-None-Match names."}
            for status in [*PROBLEMS, HTTPStatus.CONFLICT] if method == "post" else PROBLEMS:
                operation["responses"][str(status.value)] = {"description": status.phrase, "content": content}
    return result


# Django's handlers, for errors outside the API's views: no such path, malformed requests, bugs.


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400; in the API as a problem."""
    return _api_problem(request, 400, "The request is malformed.") or defaults.bad_request(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404; in the API as a problem."""
    return _api_problem(request, 404, "No such resource.") or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500; in the API as a problem."""
    return _api_problem(request, 500, "Internal error; see Kodiai's log.") or defaults.server_error(request)


def _api_problem(request: HttpRequest, status: int, detail: str) -> HttpResponse | None:
    """Return a problem for a path of the API, None for any other."""
    if not request.path.startswith("/api/"):
        return None
    return JsonResponse(problem(status, detail), status=status, content_type=PROBLEM)
