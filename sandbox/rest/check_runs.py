"""Check runs with GitHub's own checks: all of one is stored, or nothing.

Source of the fields and their bounds: GitHub REST docs, "Check runs", and GitHub's OpenAPI description.
"""

import re
from datetime import datetime
from typing import Any

from sandbox.app import WEB_URL, Json, app_json, node_id, timestamp
from sandbox.http import ApiError, Request, not_found
from sandbox.state.repository import PullRequest, Repository

MAX_ANNOTATIONS = 50
"""Annotations of one call. Those of later calls are added to them."""
MAX_CHARACTERS = 65_535
"""Length of a summary or a text."""
MAX_ANNOTATION_TITLE = 255
MAX_ANNOTATION_MESSAGE = 64 * 1024

DOCUMENTATION_URL = "https://docs.github.com/rest/checks/runs#create-a-check-run"

_STATUSES = ("queued", "in_progress", "completed")
_CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out")
_LEVELS = ("notice", "warning", "failure")
_SHA = re.compile("[0-9a-f]{40}")


def create_check_run(repo: Repository, body: Json, app: Json | None = None) -> Json:
    """Check and store a check run of `app` (GitHub's JSON of one; the sandbox's own if none is given).

    The kept check run is returned: GitHub's fields, and `annotations` as they were posted. Raises ApiError 422.
    """
    name, sha = body.get("name"), body.get("head_sha")
    if not isinstance(name, str) or not name.strip():
        raise _invalid('"name" wasn\'t supplied.')
    if not isinstance(sha, str) or not _SHA.fullmatch(sha) or repo.store.find_commit(sha) is None:
        raise ApiError(422, f"No commit found for SHA: {sha}", documentation_url=DOCUMENTATION_URL)
    _validate(body, title_needed=True)
    number = repo.app.next_id()
    url = f"{repo.app.api_url}/repos/{repo.full_name}/check-runs/{number}"
    kept: Json = {
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
    _write(kept, body)
    repo.check_runs.append(kept)
    return kept


def add_check_run(repo: Repository, app: str, head_sha: str, **fields: Any) -> Json:
    """Store a check run of another App, with GitHub's checks, and return it. Raises ApiError 422."""
    other = app_json(repo.app, 1) | {"id": repo.app.id + 1_000_000, "slug": app, "name": app.capitalize()}
    with repo.lock:
        return create_check_run(repo, {"name": app, "head_sha": head_sha, "conclusion": "success"} | fields, other)


def update_check_run(repo: Repository, number: int, body: Json, app_id: int) -> Json:
    """Check and change a check run; only the App that made it may. Raises ApiError 403, 404, 422."""
    kept = next((kept for kept in repo.check_runs if kept["id"] == number), None)
    if kept is None:
        raise not_found()
    if kept["app"]["id"] != app_id:
        raise ApiError(403, "Invalid app_id `" + str(app_id) + "` - check run can only be modified by its own App.")
    _validate(body, title_needed=False)
    _write(kept, body)
    return kept


def listed(repo: Repository, sha: str, request: Request) -> list[Json]:
    """The check runs of a commit, newest first. `filter` is "latest" (of each name and App, the default) or "all"."""
    found = [kept for kept in reversed(repo.check_runs) if kept["head_sha"] == sha]
    if name := request.query.get("check_name"):
        found = [kept for kept in found if kept["name"] == name]
    if (app_id := request.query.get("app_id", "")).isdecimal():
        found = [kept for kept in found if kept["app"]["id"] == int(app_id)]
    if request.query.get("filter", "latest") != "all":
        latest: dict[tuple[str, int], Json] = {}
        for kept in found:
            latest.setdefault((kept["name"], kept["app"]["id"]), kept)
        found = list(latest.values())
    return found


def public(kept: Json) -> Json:
    """A check run as GitHub answers it."""
    return {name: value for name, value in kept.items() if name != "annotations"}


def in_webhook(repo: Repository, kept: Json) -> Json:
    """A check run as webhooks carry it, with more of its suite."""
    return public(kept) | {"check_suite": suite(repo, kept["head_sha"], app=kept["app"])}


def suite(repo: Repository, sha: str, app: Json | None = None) -> Json:
    """The check suite of a commit and an App: one check run for all."""
    app = app or app_json(repo.app, 1)
    number = repo.check_suite_id(sha, app["id"])
    url = f"{repo.app.api_url}/repos/{repo.full_name}/check-suites/{number}"
    runs = [kept for kept in repo.check_runs if kept["check_suite"]["id"] == number]
    pulls = [pull for pull in repo.pulls.values() if pull.head_sha == sha and not pull.fork]
    return {
        "id": number,
        "node_id": node_id("CS", number),
        "head_branch": pulls[0].head_ref if pulls else None,
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
        "head_commit": {
            "id": sha,
            "tree_id": sha,
            "message": "Change files",
            "timestamp": timestamp(),
            "author": {"name": repo.owner, "email": f"{repo.owner}@users.noreply.github.com"},
            "committer": {"name": "GitHub", "email": "noreply@github.com"},
        },
    }


def _pull_requests(repo: Repository, sha: str) -> list[Json]:
    """The open pull requests of a commit; none of forks. Source: GitHub REST docs, the note at each endpoint."""
    pulls = [pull for pull in repo.pulls.values() if pull.head_sha == sha and pull.state == "open" and not pull.fork]
    return [_pull_request(pull) for pull in pulls]


def _pull_request(pull: PullRequest) -> Json:
    repo = pull.repository
    where = {"id": repo.id, "url": f"{repo.app.api_url}/repos/{repo.full_name}", "name": repo.name}
    return {
        "id": pull.id,
        "number": pull.number,
        "url": pull.api_url,
        "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": where},
        "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": where},
    }


def _write(kept: Json, body: Json) -> None:
    """Put checked fields into a check run. A conclusion completes it; annotations are added to those it has."""
    kept |= {
        name: body[name]
        for name in ("name", "external_id", "details_url", "status", "conclusion", "started_at", "completed_at")
        if body.get(name) is not None
    }
    if body.get("conclusion") or body.get("completed_at"):
        kept["status"] = "completed"
    if kept["status"] == "completed":
        kept["completed_at"] = kept["completed_at"] or timestamp()
    output = body.get("output") or {}
    kept["output"] |= {name: output[name] for name in ("title", "summary", "text") if name in output}
    kept["annotations"] = kept["annotations"] + output.get("annotations", [])
    kept["output"]["annotations_count"] = len(kept["annotations"])


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
    output = body.get("output")
    if output is None:
        return
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


def _check_length(text: Any, longest: int) -> None:
    if text is not None and not isinstance(text, str):
        raise _invalid(f"{text!r} is not a string.")
    if text is not None and len(text) > longest:
        raise _invalid(f"Only {longest} characters are allowed; {len(text)} were supplied.")


def _check_time(value: Any) -> None:
    if value is None:
        return
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError) as error:
        raise _invalid(f"{value!r} is not a date-time.") from error
    if moment.tzinfo is None:
        raise _invalid(f"{value!r} is not a date-time with a zone.")


def _invalid(what: str) -> ApiError:
    return ApiError(422, f"Invalid request.\n\n{what}", documentation_url=DOCUMENTATION_URL)
