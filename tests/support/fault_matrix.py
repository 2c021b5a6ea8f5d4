"""The fault matrix: the calls of a run, the faults that each meets, and the page with their outcomes."""

from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from django.conf import settings as project
from django.utils import timezone

from sandbox import Fault, FaultKind

TABLE = Path(project.BASE_DIR) / "docs" / "verification" / "fault-matrix.md"

# Faults


def _wrong_types() -> dict[str, object]:
    names = "id token expires_at head base filename total_count type content data body user state"
    names += " external_id app check_runs"
    return {name: [{}] for name in names.split()}


LIMITS = {
    "primary limit, 403": Fault(FaultKind.PRIMARY_LIMIT, reset_in=600),
    "primary limit, 429": Fault(FaultKind.PRIMARY_LIMIT, status=429, reset_in=600),
    "secondary limit with `retry-after`, 403": Fault(FaultKind.SECONDARY_LIMIT, retry_after=300),
    "secondary limit with `retry-after`, 429": Fault(FaultKind.SECONDARY_LIMIT, status=429, retry_after=300),
    "secondary limit without a hint, 403": Fault(FaultKind.SECONDARY_LIMIT),
    "secondary limit without a hint, 429": Fault(FaultKind.SECONDARY_LIMIT, status=429),
}
FAILURES = {
    "500": Fault(FaultKind.STATUS, status=500),
    "502": Fault(FaultKind.STATUS, status=502),
    "time-out": Fault(FaultKind.TIMEOUT),
    "reset": Fault(FaultKind.RESET),
}
SHAPES = {
    "truncated JSON": Fault(FaultKind.BROKEN_JSON),
    "`null`": Fault(FaultKind.WRONG_JSON, body=None),
    "a list of numbers": Fault(FaultKind.WRONG_JSON, body=[1, 2, 3]),
    "a string": Fault(FaultKind.WRONG_JSON, body="fine"),
    "`{}`": Fault(FaultKind.WRONG_JSON, body={}),
    "`[{}]`": Fault(FaultKind.WRONG_JSON, body=[{}]),
    "wrong types": Fault(FaultKind.WRONG_JSON, body=_wrong_types()),
    "wrong types in a list": Fault(FaultKind.WRONG_JSON, body=[_wrong_types()]),
}
REFUSALS = {str(status): Fault(FaultKind.STATUS, status=status) for status in (401, 403, 404, 409, 422, 451)}
EVERY_FAULT = {**LIMITS, **FAILURES, **SHAPES, **REFUSALS}
OF_GRAPHQL = {"RATE_LIMITED, 200": Fault(FaultKind.GRAPHQL_RATE_LIMITED, reset_in=600)}


def taken(name: str, fault: Fault) -> Fault:
    """The fault in the answer of a request that GitHub has acted on."""
    if name == "reset":
        return Fault(FaultKind.APPLIED_THEN_RESET)
    if name == "time-out":
        return Fault(FaultKind.APPLIED_THEN_DELAYED)
    body: object = fault.body
    headers = {}
    if name in LIMITS or fault.kind is FaultKind.STATUS:
        body = {"message": "You have exceeded a secondary rate limit" if name in LIMITS else "No"}
    if fault.kind is FaultKind.PRIMARY_LIMIT:
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(ceil(timezone.now().timestamp()) + 600)}
    if fault.retry_after:
        headers = {"retry-after": str(fault.retry_after)}
    if fault.kind is FaultKind.BROKEN_JSON:
        body = b'{"id": 1, "node_id": "MDEx'
    status = fault.status or (403 if name in LIMITS else 200)
    return Fault(FaultKind.APPLIED_THEN_REPLACED, status=status, body=body, headers=headers)


# Calls


@dataclass(frozen=True)
class Call:
    """A call of a run. `after` calls of its route come first and are answered well."""

    name: str
    route: str
    faults: dict[str, Fault] = field(default_factory=lambda: EVERY_FAULT)
    after: int = 0
    taken: bool = False
    """GitHub acts on the call; the answer is at fault."""
    follow_up: bool = False
    """It is a call of a later review of a pull request, in which a finding is gone and nothing is new."""
    merge_group: bool = False
    """It is a call of a run about a commit of a merge queue."""
    usual: int = 1
    """Calls of its route where there is no fault, those before it included."""


CALLS = [
    Call("The installation, where the webhook has none", "repository_installation"),
    Call("A token", "installation_token"),
    Call("The pull request", "pull"),
    Call("Its files", "files"),
    Call("`.kodiai.yml`", "contents"),
    Call("Search", "search"),
    Call("The files' contents, by GraphQL", "graphql", {**OF_GRAPHQL, **EVERY_FAULT}),
    Call("A file's content by REST, where GraphQL is unavailable", "contents", after=1, usual=3),
    Call("The review", "create_review"),
    Call("The review, when GitHub has taken it and the answer is at fault", "create_review", taken=True),
    Call("The list of reviews, after a post of unknown outcome", "list_reviews"),
    Call(
        "The conversation, before a later review",
        "graphql",
        {**OF_GRAPHQL, **EVERY_FAULT},
        after=1,
        follow_up=True,
        usual=3,
    ),
    Call("The summary, brought up to date by a later review", "update_review", follow_up=True),
    Call(
        "The summary, when GitHub has taken it and the answer is at fault", "update_review", taken=True, follow_up=True
    ),
    Call("A thread that is to be resolved", "graphql", {**OF_GRAPHQL, **EVERY_FAULT}, after=2, follow_up=True, usual=3),
    Call("A comment on a finding that is gone", "update_comment", follow_up=True),
    Call("The files of a merge group", "compare", merge_group=True),
    Call("The files' modes by REST, where GraphQL is unavailable", "tree"),
    Call("The check run", "create_check_run"),
    Call("The check run, when GitHub has taken it and the answer is at fault", "create_check_run", taken=True),
    Call("The list of check runs, after a post of unknown outcome", "list_check_runs"),
]
OF_CHECK_RUNS = ("create_check_run", "list_check_runs")
CELLS = [(call, name) for call in CALLS for name in call.faults]


# The table

HEAD = """# What Kodiai does when GitHub fails

Written by `make fault-matrix` from what a run of every cell saw (`tests/reviews/test_fault_matrix.py`). `make test-all`
runs a tenth of the cells, in which each call meets some faults and each fault some calls, and `make test` ten of them;
they fail where this page says something else. A call meets a fault once, or each time that it is made. In
these runs `KODIAI_MAX_ATTEMPTS` is 2 and `KODIAI_MAX_DEFERRAL` 15 minutes; primary limits reset after 10 minutes, and
`retry-after` says 5. *Deferred until GitHub is back*: for 5 seconds, then as long again as it has been away, up to 5
minutes; that is no attempt. A deferred check run is retried for a day.

In every cell: at most one review on the pull request, one check run, no comment outside of the review, and none twice;
one row in `executions`; one row in `rate_limit_events` if the author was looked up, with or without an answer, else
none; at most two calls to Search, and none once its outcome is stored; no lease left behind; the delivery `done`, or
`failed` where it says error.
"""

SAME = "the same"
Cells = dict[tuple[str, str], tuple[str, ...]]


def rendered(cells: Cells) -> str:
    """The page: a table for each call, in which faults of the same consequence share a row."""
    parts = [HEAD]
    for call in CALLS:
        rows: dict[tuple[str, ...], list[str]] = {}
        for name in call.faults:
            rows.setdefault(cells[call.name, name], []).append(name)
        lines = [f"## {call.name}", "", "| fault | once | each time |", "| --- | --- | --- |"]
        for (once, ever), names in rows.items():
            lines.append(f"| {'; '.join(names)} | {once} | {SAME if ever == once else ever} |")
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def committed() -> Cells:
    cells: Cells = {}
    call = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else ():
        if line.startswith("## "):
            call = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith(("| fault", "| ---")):
            names, once, ever = line.removeprefix("| ").removesuffix(" |").split(" | ")
            cells.update({(call, name): (once, once if ever == SAME else ever) for name in names.split("; ")})
    order = [(call.name, name) for call, name in CELLS]
    return {key: cells[key] for key in sorted(cells, key=lambda key: order.index(key) if key in order else -1)}
