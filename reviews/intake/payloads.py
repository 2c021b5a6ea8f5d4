"""Parse webhook bodies: the fields that Kodiai keeps of a delivery, and whether it acts on it.

githubkit's models are not used: they are slow to import and reject bodies of GitHub Enterprise versions. Only the
needed fields are read, and each is validated.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from reviews.github.facts import INSTALLATION_EVENTS
from reviews.github.identity import app_login, is_allowed_bot, is_app_login, is_own_app
from reviews.intake.mentions import command_in
from reviews.models import IgnoreReason

PULL_REQUEST_ACTIONS = frozenset(
    {"opened", "reopened", "ready_for_review", "converted_to_draft", "synchronize", "review_requested"}
)
"""Also `edited`, if the base branch was changed."""
COMMENT_EVENTS = frozenset({"issue_comment", "pull_request_review_comment"})
CHECK_EVENTS = frozenset({"check_run", "check_suite"})
MAX_ID = 255
MAX_NAME = 100
MAX_NUMBER = 2**63 - 1
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_EXTERNAL_ID = re.compile(r"(0|[1-9][0-9]{0,18}):[0-9a-f]{32}(?::[0-9]{1,12})?", re.ASCII)
"""Source: `reviews.publishing.check_runs.external_id`."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")


class BadDelivery(ValueError):
    """The delivery is invalid; the text says why, for its sender."""


@dataclass(frozen=True)
class ParsedDelivery:
    """The fields that Kodiai keeps of a delivery. `ignore` is None if it is acted on."""

    delivery_id: str
    event: str
    action: str = ""
    repo: str = ""
    repo_id: int | None = None
    pr_number: int | None = None
    installation_id: int | None = None
    head_sha: str = ""
    base_ref: str = ""
    base_sha: str = ""
    """Base branch and parent commit of a merge group."""
    repositories: tuple[str, ...] = ()
    """Repositories that were removed from the installation."""
    sender: str = ""
    author: str = ""
    """Author of the pull request; the sender, where the body does not name the author."""
    addressed: bool = False
    """Somebody asked for Kodiai by name: a mention, or a review requested of the App itself."""
    command: str = ""
    """The word after the mention in a comment, in lower case, whether it is a command or not."""
    comment_id: int | None = None
    thread_id: int | None = None
    """The comment that began the thread, where the comment stands on lines."""
    ignore: IgnoreReason | None = None

    @property
    def event_type(self) -> str:
        """`<event>.<action>`, or the event alone if it has no action."""
        return f"{self.event}.{self.action}" if self.action else self.event

    @property
    def identity(self) -> tuple[str, str]:
        """The key of exactly-once: delivery id and event type."""
        return self.delivery_id, self.event_type


def read_delivery(delivery_id: str | None, event: str | None, body: bytes) -> ParsedDelivery:
    """Parse a delivery from its headers (None if absent) and its body. Raises `BadDelivery`."""
    if not delivery_id:
        raise BadDelivery("the header X-GitHub-Delivery is missing")
    if not event:
        raise BadDelivery("the header X-GitHub-Event is missing")
    parsed = ParsedDelivery(
        delivery_id=_text(delivery_id, "X-GitHub-Delivery", MAX_ID),
        event=_text(event, "X-GitHub-Event", MAX_NAME),
    )
    payload = _json_object(body)
    if event in INSTALLATION_EVENTS:
        return _read_installation(parsed, payload)
    if event == "pull_request":
        return _read_pull_request(parsed, payload)
    if event in COMMENT_EVENTS:
        return _read_comment(parsed, payload)
    if event in CHECK_EVENTS:
        return _read_check(parsed, payload)
    if event == "merge_group":
        return _read_merge_group(parsed, payload)
    if event == "ping":
        return parsed
    action = payload.get("action")
    known = _text(action, "action", MAX_NAME) if isinstance(action, str) else ""
    return replace(parsed, action=known, ignore=IgnoreReason.EVENT)


def _read_pull_request(parsed: ParsedDelivery, payload: dict[str, Any]) -> ParsedDelivery:
    parsed = _read_common(parsed, payload)
    retargeted = parsed.action == "edited" and isinstance(_object(payload, "changes", needed=False).get("base"), dict)
    # `closed` starts no run, but its pull request is kept: it ends the runs there.
    if parsed.action not in PULL_REQUEST_ACTIONS | {"closed"} and not retargeted:
        return replace(parsed, ignore=IgnoreReason.ACTION)
    pull = _object(payload, "pull_request")
    parsed = replace(
        parsed,
        repo=_repository(payload),
        pr_number=_number(pull, "number", "pull_request.number"),
        author=_login(pull.get("user"), "pull_request.user") or parsed.sender,
        head_sha=_head_sha(pull),
    )
    if parsed.action == "closed":
        return replace(parsed, ignore=IgnoreReason.ACTION)
    ignored = _ignored_sender(payload, parsed)
    # Who wrote the pull request decides whether it is reviewed, and not who sent the event: see `service.load`.
    requested = parsed.action == "review_requested" and _names_app(payload.get("requested_reviewer"))
    return replace(
        parsed, addressed=requested and ignored is None, ignore=None if ignored == IgnoreReason.BOT_SENDER else ignored
    )


def _read_comment(parsed: ParsedDelivery, payload: dict[str, Any]) -> ParsedDelivery:
    """Read a comment in the conversation of a pull request, or on its lines."""
    parsed = _read_common(parsed, payload)
    if parsed.action != "created":
        return replace(parsed, ignore=IgnoreReason.ACTION)
    on_lines = parsed.event == "pull_request_review_comment"
    subject = "pull_request" if on_lines else "issue"
    about, comment = _object(payload, subject), _object(payload, "comment")
    text = comment.get("body")
    command = command_in(text) if isinstance(text, str) else None
    parsed = replace(
        parsed,
        repo=_repository(payload),
        pr_number=_number(about, "number", f"{subject}.number"),
        author=_login(about.get("user"), f"{subject}.user") or parsed.sender,
        addressed=command is not None,
        command=command or "",
        comment_id=_number(comment, "id", "comment.id"),
    )
    if on_lines:
        # A comment that is no reply starts a thread.
        begun_by = "id" if comment.get("in_reply_to_id") is None else "in_reply_to_id"
        parsed = replace(parsed, thread_id=_number(comment, begun_by, f"comment.{begun_by}"))
    ignore = _ignored_sender(payload, parsed)
    if ignore is None and not on_lines and not isinstance(about.get("pull_request"), dict):
        ignore = IgnoreReason.NOT_A_PULL_REQUEST
    if ignore is None and not parsed.addressed:
        ignore = IgnoreReason.NO_MENTION
    return replace(parsed, ignore=ignore)


def _read_check(parsed: ParsedDelivery, payload: dict[str, Any]) -> ParsedDelivery:
    """Parse a re-run request for a check run or a check suite."""
    parsed = _read_common(parsed, payload)
    if parsed.action != "rerequested":
        return replace(parsed, ignore=IgnoreReason.ACTION)
    check = _object(payload, parsed.event)
    parsed = replace(parsed, repo=_repository(payload), head_sha=_commit(check))
    app = check.get("app")
    if not isinstance(app, dict) or not is_own_app(app.get("id"), app.get("slug")):
        return replace(parsed, ignore=IgnoreReason.CHECK_OF_ANOTHER_APP)
    parsed = replace(parsed, pr_number=_pull_request_of(check, parsed))
    ignore = None if is_allowed_bot(parsed.sender) else _ignored_sender(payload, parsed)
    if ignore is None and parsed.pr_number is None:
        ignore = IgnoreReason.NO_PULL_REQUEST
    return replace(parsed, ignore=ignore)


def _pull_request_of(check: dict[str, Any], parsed: ParsedDelivery) -> int | None:
    """Return the pull request of a check: from the external id of the App's check run, or else from GitHub.

    None for a commit of a merge queue. GitHub lists none for commits of forks either; to a fork itself it may list
    pull requests of the repository that it was forked from, whose numbers mean nothing there.
    """
    named = _EXTERNAL_ID.fullmatch(str(check.get("external_id")))
    if named is not None and int(named[1]) <= MAX_NUMBER:
        return int(named[1]) or None
    pulls = check.get("pull_requests")
    if not isinstance(pulls, list):
        raise BadDelivery(f"{parsed.event}.pull_requests is missing or not a list")
    for index, pull in enumerate(pulls):
        name = f"{parsed.event}.pull_requests[{index}]"
        if not isinstance(pull, dict):
            raise BadDelivery(f"{name} is not an object")
        if parsed.repo_id is None or _base_repository(pull) in (None, parsed.repo_id):
            return _number(pull, "number", f"{name}.number")
    return None


def _base_repository(pull: dict[str, Any]) -> object:
    """The id of the repository that a pull request is in; None if it is not named."""
    base = pull.get("base")
    repository = base.get("repo") if isinstance(base, dict) else None
    return repository.get("id") if isinstance(repository, dict) else None


def _read_merge_group(parsed: ParsedDelivery, payload: dict[str, Any]) -> ParsedDelivery:
    """Parse a merge queue's request for checks on its commit."""
    parsed = _read_common(parsed, payload)
    if parsed.action != "checks_requested":
        return replace(parsed, ignore=IgnoreReason.ACTION)
    group = _object(payload, "merge_group")
    ref = group.get("base_ref")
    parsed = replace(
        parsed,
        repo=_repository(payload),
        head_sha=_commit(group),
        base_sha=_commit(group, "base_sha"),
        base_ref=_text(ref, "merge_group.base_ref", MAX_ID).removeprefix("refs/heads/") if isinstance(ref, str) else "",
    )
    for name, value in (("head_sha", parsed.head_sha), ("base_sha", parsed.base_sha), ("base_ref", parsed.base_ref)):
        if not value:
            raise BadDelivery(f"merge_group.{name} is missing or invalid")
    return parsed


def _read_installation(parsed: ParsedDelivery, payload: dict[str, Any]) -> ParsedDelivery:
    parsed = _read_common(parsed, payload)
    if parsed.installation_id is None:
        raise BadDelivery("installation.id is missing")
    removed = payload.get("repositories_removed")
    names = (
        [entry.get("full_name") for entry in removed if isinstance(entry, dict)] if isinstance(removed, list) else []
    )
    return replace(
        parsed, repositories=tuple(name for name in names if isinstance(name, str) and _REPOSITORY.fullmatch(name))
    )


def _read_common(parsed: ParsedDelivery, payload: dict[str, Any]) -> ParsedDelivery:
    """Parse the action, the sender and the installation (absent in webhooks of a repository)."""
    action = payload.get("action")
    if not isinstance(action, str) or not action:
        raise BadDelivery("action is missing")
    installation = payload.get("installation")
    sender = _login(payload.get("sender"), "sender")
    return replace(
        parsed,
        action=_text(action, "action", MAX_NAME),
        sender=sender,
        author=sender,
        repo_id=_repository_id(payload.get("repository")),
        installation_id=None
        if installation is None
        else _number(_object(payload, "installation"), "id", "installation.id"),
    )


def _ignored_sender(payload: dict[str, Any], parsed: ParsedDelivery) -> IgnoreReason | None:
    """Ignore bots, and Kodiai itself: two bots can answer each other for ever."""
    if is_app_login(parsed.sender):
        return IgnoreReason.OWN_EVENT
    if _object(payload, "sender", needed=False).get("type") == "Bot":
        return IgnoreReason.BOT_SENDER
    return None


def _names_app(reviewer: Any) -> bool:
    login = reviewer.get("login") if isinstance(reviewer, dict) else None
    return isinstance(login, str) and login.lower() in (app_login(), settings.KODIAI_GITHUB_APP_SLUG.lower())


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body.decode())
    except UnicodeDecodeError as error:
        raise BadDelivery("the body is not UTF-8") from error
    except RecursionError as error:
        raise BadDelivery("the body is nested too deep") from error
    except ValueError as error:
        raise BadDelivery("the body is not JSON") from error
    if not isinstance(payload, dict):
        raise BadDelivery("the body is not a JSON object")
    return payload


def _object(payload: dict[str, Any], name: str, *, needed: bool = True) -> dict[str, Any]:
    value = payload.get(name)
    if isinstance(value, dict):
        return value
    if needed or value is not None:
        raise BadDelivery(f"{name} is missing or not an object")
    return {}


def _repository(payload: dict[str, Any]) -> str:
    name = _object(payload, "repository").get("full_name")
    # The name becomes part of URLs, where "." and ".." would lead elsewhere.
    if not isinstance(name, str) or not _REPOSITORY.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise BadDelivery("repository.full_name is missing or not owner/name")
    return name


def _repository_id(repository: Any) -> int | None:
    """Return GitHub's id of the repository; None if the body has no valid one."""
    number = repository.get("id") if isinstance(repository, dict) else None
    return number if type(number) is int and 0 < number <= MAX_NUMBER else None


def _number(payload: dict[str, Any], key: str, name: str) -> int:
    value = payload.get(key)
    if type(value) is not int or not 0 < value <= MAX_NUMBER:  # bool is an int to isinstance
        raise BadDelivery(f"{name} is missing or not a positive whole number")
    return value


def _head_sha(pull: dict[str, Any]) -> str:
    """Return the head commit; empty if the body has no valid one."""
    head = pull.get("head")
    return _commit({"head_sha": head.get("sha")}) if isinstance(head, dict) else ""


def _commit(check: dict[str, Any], key: str = "head_sha") -> str:
    sha = check.get(key)
    return sha if isinstance(sha, str) and _COMMIT.fullmatch(sha) else ""


def _login(person: Any, name: str) -> str:
    login = person.get("login") if isinstance(person, dict) else None
    return _text(login, f"{name}.login", MAX_ID) if isinstance(login, str) else ""


def _text(value: str, name: str, longest: int) -> str:
    """Return a text that every database can store; raise `BadDelivery` for any other."""
    if len(value) > longest:
        raise BadDelivery(f"{name} is longer than {longest} characters")
    if "\0" in value:
        raise BadDelivery(f"{name} contains a NUL byte")
    if _SURROGATE.search(value):
        raise BadDelivery(f"{name} is not valid Unicode")
    return value
