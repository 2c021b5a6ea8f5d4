"""Endpoints of check runs, with GitHub's own checks. A check run is stored as a whole, or not at all.

Source of the fields and their bounds: GitHub REST docs, "Check runs", and GitHub's OpenAPI description.
"""

import re
from datetime import datetime
from typing import Any

from sandbox.app import WEB_URL, Json, app_json, node_id, timestamp
from sandbox.http import ApiError, Request, Response, paginate
from sandbox.rest import lookups
from sandbox.state.repository import PullRequest, Repository
from sandbox.state.state import State

MAX_ANNOTATIONS = 50
"""Annotations of one request. Those of later requests are appended."""
MAX_CHARACTERS = 65_535
"""Length of a summary or a text."""
MAX_ANNOTATION_TITLE = 255
MAX_ANNOTATION_MESSAGE = 64 * 1024

DOCUMENTATION_URL = "https://docs.github.com/rest/checks/runs#create-a-check-run"

_STATUSES = ("queued", "in_progress", "completed")
_CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out")
_LEVELS = ("notice", "warning", "failure")
_SHA = re.compile("[0-9a-f]{40}")


def list_check_runs(state: State, request: Request) -> Response:
    """List the check runs of a commit, newest first."""
    repo, ref = lookups.repository(state, request), request.parameters["ref"]
    sha = repo.resolve(ref)
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {ref}")
    found = _selected(repo, sha, request)
    page, headers = paginate(request, state.app.api_url, found)
    return Response(body={"total_count": len(found), "check_runs": [public(run) for run in page]}, headers=headers)


def create_check_run(state: State, request: Request) -> Response:
    """Check and store a check run of the App."""
    return Response(201, public(_create(lookups.repository(state, request), request.json_object())))


def update_check_run(state: State, request: Request) -> Response:
    """Check and change a check run of the App itself."""
    run = lookups.with_id(lookups.repository(state, request).check_runs, request)
    if run["app"]["id"] != state.app.id:
        raise ApiError(403, f"Invalid app_id `{state.app.id}` - check run can only be modified by its own App.")
    body = request.json_object()
    _validate(body, title_needed=False)
    _write(run, body)
    return Response(body=public(run))


def add_check_run(repo: Repository, app: str, head_sha: str, **fields: Any) -> Json:
    """Store a check run of another App, with GitHub's checks, and return it. Raises ApiError 422."""
    other = app_json(repo.app, 1) | {"id": repo.app.id + 1_000_000, "slug": app, "name": app.capitalize()}
    with repo.lock:
        return _create(repo, {"name": app, "head_sha": head_sha, "conclusion": "success"} | fields, other)


def public(stored: Json) -> Json:
    """Return a stored check run as GitHub shows it."""
    return {name: value for name, value in stored.items() if name != "annotations"}


def in_webhook(repo: Repository, stored: Json) -> Json:
    """Return a stored check run as webhooks show it, with its whole check suite."""
    return public(stored) | {"check_suite": suite(repo, stored["head_sha"], app=stored["app"])}


def suite(repo: Repository, sha: str, app: Json | None = None) -> Json:
    """Return the check suite of a commit and an App, by default the sandbox's own."""
    app = app or app_json(repo.app, 1)
    number = repo.check_suite_id(sha, app["id"])
    url = f"{repo.app.api_url}/repos/{repo.full_name}/check-suites/{number}"
    runs = [run for run in repo.check_runs if run["check_suite"]["id"] == number]
    pulls = [pull for pull in repo.pulls.values() if pull.head_sha == sha and not pull.fork]
    return {
        "id": number,
        "node_id": node_id("CS", number),
        "head_branch": next((name for name, at in repo.branches.items() if at == sha), None),
        "head_sha": sha,
        "status": "completed" if runs else "queued",
        "conclusion": runs[-1]["conclusion"] if runs else None,
        "url": url,
        "before": pulls[0].before_sha if pulls else None,
        "after": sha,
        "pull_requests": _pull_requests(repo, sha),
        "app": app,
        "created_at": timestamp(),
        "updated_at": timestamp(),
        "rerequestable": True,
        "runs_rerequestable": True,
        "latest_check_runs_count": len(runs),
        "check_runs_url": f"{url}/check-runs",
        "head_commit": head_commit(repo, sha),
    }


def head_commit(repo: Repository, sha: str) -> Json:
    """Return a commit as check suites and merge groups show it."""
    return {
        "id": sha,
        "tree_id": sha,
        "message": "Change files",
        "timestamp": timestamp(),
        "author": {"name": repo.owner, "email": f"{repo.owner}@users.noreply.github.com"},
        "committer": {"name": "GitHub", "email": "noreply@github.com"},
    }


def _create(repo: Repository, body: Json, app: Json | None = None) -> Json:
    """Check and store a check run of `app`, by default the sandbox's own, and return it."""
    name, sha = body.get("name"), body.get("head_sha")
    if not isinstance(name, str) or not name.strip():
        raise _invalid('"name" wasn\'t supplied.')
    if not isinstance(sha, str) or not _SHA.fullmatch(sha) or repo.store.find_commit(sha) is None:
        raise ApiError(422, f"No commit found for SHA: {sha}", documentation_url=DOCUMENTATION_URL)
    _validate(body, title_needed=True)
    number = repo.app.next_id()
    url = f"{repo.app.api_url}/repos/{repo.full_name}/check-runs/{number}"
    stored: Json = {
        "id": number,
        "node_id": node_id("CR", number),
        "name": name,
        "head_sha": sha,
        "external_id": "",
        "url": url,
        "html_url": f"{WEB_URL}/{repo.full_name}/runs/{number}",
        "details_url": f"{WEB_URL}/apps/{repo.app.slug}",
        "status": "queued",
        "conclusion": None,
        "started_at": timestamp(),
        "completed_at": None,
        "output": {
            "title": None,
            "summary": None,
            "text": None,
            "annotations_count": 0,
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": repo.check_suite_id(sha, (app or {}).get("id", repo.app.id))},
        "app": app or app_json(repo.app, 1),
        "pull_requests": _pull_requests(repo, sha),
        "annotations": [],
    }
    _write(stored, body)
    repo.check_runs.append(stored)
    return stored


def _selected(repo: Repository, sha: str, request: Request) -> list[Json]:
    """Filter by `check_name`, `app_id` and `filter`: "latest" of each name and App (the default), or "all"."""
    found = [run for run in reversed(repo.check_runs) if run["head_sha"] == sha]
    if name := request.query.get("check_name"):
        found = [run for run in found if run["name"] == name]
    if (app_id := request.query.get("app_id", "")).isdecimal():
        found = [run for run in found if run["app"]["id"] == int(app_id)]
    if request.query.get("filter", "latest") != "all":
        latest: dict[tuple[str, int], Json] = {}
        for run in found:
            latest.setdefault((run["name"], run["app"]["id"]), run)
        found = list(latest.values())
    return found


def _pull_requests(repo: Repository, sha: str) -> list[Json]:
    """Pull requests with this head that are open and not of forks. Source: GitHub REST docs, note at each endpoint."""
    pulls = [pull for pull in repo.pulls.values() if pull.head_sha == sha and pull.state == "open" and not pull.fork]
    return [_pull_request(pull) for pull in pulls]


def _pull_request(pull: PullRequest) -> Json:
    repo = pull.repository
    short_repo = {"id": repo.id, "url": f"{repo.app.api_url}/repos/{repo.full_name}", "name": repo.name}
    return {
        "id": pull.id,
        "number": pull.number,
        "url": pull.api_url,
        "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": short_repo},
        "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": short_repo},
    }


def _write(stored: Json, body: Json) -> None:
    """Write checked fields. A conclusion completes the check run; annotations are appended."""
    stored |= {
        name: body[name]
        for name in ("name", "external_id", "details_url", "status", "conclusion", "started_at", "completed_at")
        if body.get(name) is not None
    }
    if body.get("conclusion") or body.get("completed_at"):
        stored["status"] = "completed"
    if stored["status"] == "completed":
        stored["completed_at"] = stored["completed_at"] or timestamp()
    output = body.get("output") or {}
    stored["output"] |= {name: output[name] for name in ("title", "summary", "text") if name in output}
    stored["annotations"] = stored["annotations"] + output.get("annotations", [])
    stored["output"]["annotations_count"] = len(stored["annotations"])


def _validate(body: Json, *, title_needed: bool) -> None:
    status, conclusion = body.get("status"), body.get("conclusion")
    if status not in (*_STATUSES, None):
        raise _invalid(f"{status} is not a member of {list(_STATUSES)}.")
    if conclusion not in (*_CONCLUSIONS, None):
        raise _invalid(f"{conclusion} is not a member of {list(_CONCLUSIONS)}.")
    if conclusion is None and (status == "completed" or body.get("completed_at")):
        raise _invalid('"conclusion" wasn\'t supplied.')
    for name in ("started_at", "completed_at"):
        _check_time(body.get(name))
    for name in ("external_id", "details_url"):
        if not isinstance(body.get(name, ""), str):
            raise _invalid(f"For '{name}', a string is expected.")
    if not body.get("details_url", "https://").startswith(("https://", "http://")):
        raise _invalid("details_url must use http or https scheme")
    if body.get("output") is not None:
        _validate_output(body["output"], title_needed=title_needed)


def _validate_output(output: Any, *, title_needed: bool) -> None:
    if not isinstance(output, dict):
        raise _invalid("For 'output', an object is expected.")
    for name in ("title", "summary") if title_needed else ("summary",):
        if not isinstance(output.get(name), str) or not output[name].strip():
            raise _invalid(f'"{name}" wasn\'t supplied.')
    for name in ("title", "summary", "text"):
        _check_length(output.get(name), MAX_CHARACTERS)
    annotations = output.get("annotations", [])
    if not isinstance(annotations, list):
        raise _invalid("For 'annotations', an array is expected.")
    if len(annotations) > MAX_ANNOTATIONS:
        raise _invalid(f"No more than {MAX_ANNOTATIONS} items are allowed; {len(annotations)} were supplied.")
    for annotation in annotations:
        _check_annotation(annotation)


def _check_annotation(annotation: Any) -> None:
    if not isinstance(annotation, dict):
        raise _invalid("For 'annotations', an array of objects is expected.")
    for name in ("path", "message"):
        if not isinstance(annotation.get(name), str) or not annotation[name].strip():
            raise _invalid(f'"{name}" wasn\'t supplied.')
    if annotation.get("annotation_level") not in _LEVELS:
        raise _invalid(f"{annotation.get('annotation_level')} is not a member of {list(_LEVELS)}.")
    start, end = annotation.get("start_line"), annotation.get("end_line")
    if type(start) is not int or type(end) is not int:
        raise _invalid('"start_line" and "end_line" have to be integers.')
    if not 0 < start <= end:
        raise _invalid("end_line has to be at or after start_line, which begins with 1.")
    if start != end and {"start_column", "end_column"} & annotation.keys():
        raise _invalid("Columns are only for annotations of one line.")
    _check_length(annotation.get("title"), MAX_ANNOTATION_TITLE)
    if len(annotation["message"].encode()) > MAX_ANNOTATION_MESSAGE:
        raise _invalid(f"Only {MAX_ANNOTATION_MESSAGE} bytes are allowed.")


def _check_length(text: Any, maximum: int) -> None:
    if text is not None and not isinstance(text, str):
        raise _invalid(f"{text!r} is not a string.")
    if text is not None and len(text) > maximum:
        raise _invalid(f"Only {maximum} characters are allowed; {len(text)} were supplied.")


def _check_time(value: Any) -> None:
    if value is None:
        return
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError) as error:
        raise _invalid(f"{value!r} is not a date-time.") from error
    if moment.tzinfo is None:
        raise _invalid(f"{value!r} is not a date-time with a zone.")


def _invalid(detail: str) -> ApiError:
    return ApiError(422, f"Invalid request.\n\n{detail}", documentation_url=DOCUMENTATION_URL)
