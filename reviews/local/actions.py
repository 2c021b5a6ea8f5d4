"""The base of the event that started a workflow of GitHub Actions, from its environment."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BRANCHES = "refs/heads/"
_SHA = re.compile(r"[0-9a-f]{40,64}")


@dataclass(frozen=True)
class EventBase:
    """What the event compares with: a branch, a commit, or both; empty if unknown.

    `is_named`: the event says so itself. Else the branch is the default branch, which may be what is checked out.
    """

    ref: str = ""
    sha: str = ""
    head_sha: str = ""
    """The head of the pull request. The default checkout is its merge with the base."""
    is_push: bool = False
    is_named: bool = True


def event_base(environment: Mapping[str, str]) -> EventBase | None:
    """Return the base of the event; None outside GitHub Actions.

    Source: GitHub docs, "Variables" (GITHUB_BASE_REF, GITHUB_EVENT_PATH) and "Webhook events and payloads".
    """
    event = _event(environment.get("GITHUB_EVENT_PATH", ""))
    if pull_request := _part(event, "pull_request"):
        base, head = _part(pull_request, "base"), _part(pull_request, "head")
        ref = environment.get("GITHUB_BASE_REF") or _text(base, "ref")
        return EventBase(ref, _sha(base, "sha"), _sha(head, "sha"))
    if queue := _part(event, "merge_group"):
        return EventBase(_branch(_text(queue, "base_ref")), _sha(queue, "base_sha"))
    if environment.get("GITHUB_BASE_REF"):
        return EventBase(environment["GITHUB_BASE_REF"])
    default = _text(_part(event, "repository"), "default_branch")
    ref, before = _text(event, "ref"), _sha(event, "before")
    if "before" in event and default and ref.startswith(_BRANCHES):
        # A push to the default branch is compared with the commit before it, one to another branch with the default.
        if _branch(ref) != default:
            return EventBase(default)
        if before.strip("0"):
            return EventBase(default, before, is_push=True)
    if event or environment.get("GITHUB_ACTIONS") == "true":
        return EventBase(default, is_named=False)
    return None


def _event(path: str) -> dict[str, Any]:
    try:
        event = json.loads(Path(path).read_bytes()) if path else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _part(event: dict[str, Any], name: str) -> dict[str, Any]:
    part = event.get(name)
    return part if isinstance(part, dict) else {}


def _text(event: dict[str, Any], name: str) -> str:
    text = event.get(name)
    return text if isinstance(text, str) else ""


def _sha(event: dict[str, Any], name: str) -> str:
    sha = _text(event, name)
    return sha if _SHA.fullmatch(sha) else ""


def _branch(ref: str) -> str:
    return ref.removeprefix(_BRANCHES)
