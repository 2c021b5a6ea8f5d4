"""Find the resource that a request names. Every function raises ApiError 404 where there is none."""

from sandbox.app import Json
from sandbox.http import ApiError, Request, not_found
from sandbox.state.repository import PullRequest, Repository
from sandbox.state.state import State


def repository(state: State, request: Request) -> Repository:
    """Return the repository in the path."""
    return state.repository(f"{request.parameters['owner']}/{request.parameters['repo']}")


def pull_request(state: State, request: Request) -> PullRequest:
    """Return the pull request in the path."""
    pull = repository(state, request).pulls.get(int(request.parameters["number"]))
    if pull is None:
        raise not_found()
    return pull


def unlocked_pull_request(state: State, request: Request) -> PullRequest:
    """Return the pull request in the path, to post there. Raises ApiError 403 if its conversation is locked."""
    pull = pull_request(state, request)
    if pull.locked:
        raise ApiError(403, "Unable to create comment because issue is locked.")
    return pull


def with_id(items: list[Json], request: Request) -> Json:
    """Return the one of `items` whose id is in the path."""
    found = [item for item in items if item["id"] == int(request.parameters["id"])]
    if not found:
        raise not_found()
    return found[0]
