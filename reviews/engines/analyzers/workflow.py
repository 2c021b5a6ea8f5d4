"""Detect what GitHub refuses in a workflow or an action: it runs nothing of it, and zizmor is silent or gives up.

Only what is sure. GitHub may add events and keys: an unknown one counts only if it is like a known one. Source: GitHub
docs, "Workflow syntax", "Events that trigger workflows" and "Metadata syntax".
"""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

import yaml

_EVENTS = (
    *("branch_protection_rule", "check_run", "check_suite", "create", "delete", "deployment", "deployment_status"),
    *("discussion", "discussion_comment", "fork", "gollum", "image_version", "issue_comment", "issues", "label"),
    *("merge_group", "milestone", "page_build", "project", "project_card", "project_column", "public"),
    *("pull_request", "pull_request_comment", "pull_request_review", "pull_request_review_comment"),
    *("pull_request_target", "push", "registry_package", "release", "repository_dispatch", "schedule", "status"),
    *("watch", "workflow_call", "workflow_dispatch", "workflow_run"),
)
_KEYS = ("concurrency", "defaults", "env", "jobs", "name", "on", "permissions", "run-name")
_OF_CALLS = ("concurrency", "if", "name", "needs", "permissions", "secrets", "strategy", "uses", "with")
_OF_JOBS = (
    *("container", "continue-on-error", "defaults", "env", "environment", "outputs", "runs-on", "services", "snapshot"),
    *("steps", "timeout-minutes"),
)
_OF_STEPS = (
    *("continue-on-error", "env", "id", "if", "name", "run", "shell", "timeout-minutes", "uses", "with"),
    "working-directory",
)
_PERMISSIONS = (
    *("actions", "attestations", "checks", "contents", "deployments", "discussions", "id-token", "issues", "models"),
    *("packages", "pages", "pull-requests", "repository-projects", "security-events", "statuses"),
)

LIKENESS = 0.8
MAX_NAME = 40
"""Characters of a name that is compared with the known ones."""
_ACTION = re.compile(r"\w[\w.-]*/[\w./-]+")

Refusal = tuple[yaml.Node, str]
"""Where, and the reason."""
_Entries = Mapping[str, tuple[yaml.Node, yaml.Node]]


def refusal(document: yaml.Node) -> Refusal | None:
    """Return where and why GitHub refuses a workflow, if that is sure."""
    keys = {key.value for key, _ in _pairs(document) if isinstance(key, yaml.ScalarNode)}
    if keys.isdisjoint(("on", "jobs")):
        return None
    return _refused_anywhere(document) or _refused(document)


def refusal_of_action(document: yaml.Node) -> Refusal | None:
    """Return where and why GitHub refuses the file of an action, if that is sure."""
    action = _entries(document)
    if action and "runs" not in action:
        return None
    runs = _entries(action["runs"][1]) if action else {}
    is_composite = "using" in runs and runs["using"][1].value == "composite"
    steps = runs["steps"][1] if is_composite and "steps" in runs else None
    return _refused_anywhere(document) or _refused_steps(steps, needs_shell=True)


def _refused_anywhere(document: yaml.Node) -> Refusal | None:
    return next((error for node in _nodes(document) if (error := _refused_node(node))), None)


def _nodes(document: yaml.Node) -> Iterator[yaml.Node]:
    """Yield all nodes of a document, in its order; each once, however many aliases refer to it."""
    waiting, seen = [document], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, yaml.SequenceNode):
            waiting += reversed(node.value)
        waiting += (part for pair in reversed(_pairs(node)) for part in reversed(pair))


def _refused_node(node: yaml.Node) -> Refusal | None:
    """What GitHub refuses wherever it stands."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag.startswith("!") and node.tag != "!":
            return (
                node,
                f"`{node.tag[:40]}` is a tag of YAML: put the value into quotes, an expression into `${{{{ }}}}`",
            )
        _, opened, expression = node.value.rpartition("${{")
        return (node, "an expression has no `}}`") if opened and "}}" not in expression else None
    seen = set()
    for key, _ in _pairs(node):
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            if key.value in seen:
                return key, f"`{key.value[:40]}` is already defined"
            seen.add(key.value)
    return None


def _refused(document: yaml.Node) -> Refusal | None:
    workflow = _entries(document)
    if not workflow:
        return None
    for key in ("on", "jobs"):
        if key == "on" and isinstance(workflow.get(key, (None, None))[1], yaml.CollectionNode):
            continue  # `on: []` turns it off.
        if key not in workflow or _is_empty(workflow[key][1]):
            return workflow.get(key, (document,))[0], f"`{key}` is {'empty' if key in workflow else 'missing'}"
    jobs = _entries(workflow["jobs"][1])
    return (
        _misspelled(document, _KEYS, "key")
        or _misspelled(workflow["on"][1], _EVENTS, "event")
        or _refused_permissions(workflow)
        or next((error for name, job in jobs.values() if (error := _refused_job(name, job, jobs))), None)
    )


def _refused_job(name: yaml.Node, node: yaml.Node, jobs: Collection[str]) -> Refusal | None:
    job = _entries(node)
    if "uses" not in job and (job or _is_empty(node)):
        for key in ("runs-on", "steps"):
            if key not in job or _is_empty(job[key][1]):
                return name, f"the job has no `{key}`"
    if "uses" in job and (other := next((job[key][0] for key in ("runs-on", "steps") if key in job), None)):
        return other, f"a job that calls a workflow has no `{other.value}`"
    needs = job.get("needs", (None, None))[1]
    for needed in needs.value if isinstance(needs, yaml.SequenceNode) else [needs]:
        if isinstance(needed, yaml.ScalarNode) and needed.value and needed.value.lower() not in map(str.lower, jobs):
            return needed, f"there is no job `{needed.value[:40]}`"
    return (
        _misspelled(node, (*_OF_CALLS, *_OF_JOBS), "key")
        or _refused_permissions(job)
        or _refused_steps(job["steps"][1] if "steps" in job else None)
    )


def _refused_permissions(entries: _Entries) -> Refusal | None:
    return _misspelled(entries["permissions"][1], _PERMISSIONS, "permission") if "permissions" in entries else None


def _refused_steps(steps: yaml.Node | None, *, needs_shell: bool = False) -> Refusal | None:
    ids: set[str] = set()
    for step in steps.value if isinstance(steps, yaml.SequenceNode) else ():
        keys = _entries(step)
        if keys and ("run" in keys) == ("uses" in keys):
            return step, f"a step has {'both `run` and' if 'run' in keys else 'neither `run` nor'} `uses`"
        if error := _misspelled(step, _OF_STEPS, "key"):
            return error
        if needs_shell and "run" in keys and "shell" not in keys:
            return keys["run"][0], "a step with `run` of a composite action needs a `shell`"
        action = keys["uses"][1] if "uses" in keys else None
        if isinstance(action, yaml.ScalarNode) and "@" not in action.value and _ACTION.fullmatch(action.value):
            return action, f"`{action.value[:80]}` names no version: `owner/name@version`"
        name = keys["id"][1] if "id" in keys else None
        if isinstance(name, yaml.ScalarNode) and name.value:
            if name.value in ids:
                return name, f"another step has the id `{name.value[:40]}`"
            ids.add(name.value)
    return None


def _misspelled(node: yaml.Node, known: Collection[str], noun: str) -> Refusal | None:
    """The first of a node's keys or items that is unknown and like a known one. Upper and lower case are the same."""
    parts = [key for key, _ in _pairs(node)] or (node.value if isinstance(node, yaml.SequenceNode) else [node])
    for part in parts:
        name = part.value.lower() if isinstance(part, yaml.ScalarNode) else ""
        if 0 < len(name) <= MAX_NAME and name not in known and (like := get_close_matches(name, known, 1, LIKENESS)):
            return part, f"there is no {noun} `{name}`; did you mean `{like[0]}`"
    return None


def _entries(node: yaml.Node) -> _Entries:
    """The keys of a mapping, with key and value; none if it is not sure what counts: with repeated or merged keys."""
    pairs = _pairs(node)
    entries = {key.value: (key, value) for key, value in pairs if isinstance(key, yaml.ScalarNode)}
    return entries if len(entries) == len(pairs) and "<<" not in entries else {}


def _pairs(node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def _is_empty(node: yaml.Node) -> bool:
    return not node.value or node.tag == "tag:yaml.org,2002:null"
