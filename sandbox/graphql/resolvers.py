"""The part of GitHub's GraphQL API that Kodiai asks: files, the conversation on a pull request, resolving threads.

Source of the fields: GitHub GraphQL docs, objects `Blob`, `PullRequest`, `PullRequestReviewThread`,
`PullRequestReview`, mutations `resolveReviewThread` and `unresolveReviewThread`.
"""

from collections.abc import Callable, Mapping, Sequence

from sandbox.app import Json
from sandbox.graphql.document import DocumentError, Field, Operation, read
from sandbox.http import ApiError, Request, not_found
from sandbox.state import threads
from sandbox.state.git import SUBMODULE_MODE
from sandbox.state.repository import PullRequest, Repository
from sandbox.state.state import State

MAX_TEXT_BYTES = 512 * 1024
"""Longer texts are cut and `isTruncated` is true. GitHub does not document the size."""
MAX_FIRST = 100
"""Source: GitHub GraphQL docs, "Rate limits and query limits", node limit."""

_MUTATIONS = {"resolveReviewThread": True, "unresolveReviewThread": False}


class GraphQLError(Exception):
    """A query that is answered with `errors`; `kind` is GitHub's own name for the kind of error, where it has one."""

    def __init__(self, message: str, *, kind: str | None = None, path: list[str] | None = None) -> None:
        super().__init__(message)
        details: Json = {"type": kind, "path": path, "message": message}
        self.error = {name: value for name, value in details.items() if value is not None}


def answer(state: State, request: Request, may: Callable[[str], bool]) -> Json:
    """The body of the answer to a request. `may` tells whether its token has a permission, as "contents:read"."""
    try:
        operation = _operation(request)
        if operation.kind == "mutation":
            return _mutate(state, request, operation, may)
        return _query(state, request, operation, may)
    except GraphQLError as error:
        return {"errors": [error.error]}


def _operation(request: Request) -> Operation:
    body = request.object()
    query, variables = body.get("query"), body.get("variables") or {}
    if not isinstance(query, str) or not query.strip():
        raise GraphQLError("A query attribute must be specified and must be a string.")
    if not isinstance(variables, dict):
        raise GraphQLError("Variables must be an object.")
    try:
        return read(query, variables)
    except DocumentError as error:
        raise GraphQLError(str(error)) from error


def _query(state: State, request: Request, operation: Operation, may: Callable[[str], bool]) -> Json:
    data: Json = {}
    errors = []
    for field in operation.fields:
        if field.name != "repository":
            raise _undefined(field, "Query")
        owner, name = (_text(field, argument) for argument in ("owner", "name"))
        try:
            repo = state.repository(f"{owner}/{name}")
            if not state.tokens.authenticate(request).opens(repo.full_name, repo.installation_id):
                raise not_found()
        except ApiError:
            missing = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            errors.append(GraphQLError(missing, kind="NOT_FOUND", path=[field.alias]).error)
            data[field.alias] = None
            continue
        data[field.alias] = _repository(repo, field, may)
    return {"data": data, "errors": errors} if errors else {"data": data}


def _repository(repo: Repository, field: Field, may: Callable[[str], bool]) -> Json:
    if not field.fields:
        raise GraphQLError("Field must have selections (field 'repository' returns Repository)", kind=None)
    blobs = _blobs(repo, [asked for asked in field.fields if asked.name == "object"])
    found: Json = {}
    for asked in field.fields:
        if asked.name == "object":
            found[asked.alias] = blobs[asked.alias]
        elif asked.name == "pullRequest":
            found[asked.alias] = _pull_request(repo, asked, may)
        else:
            raise _undefined(asked, "Repository")
    return found


# Files


def _blobs(repo: Repository, asked: Sequence[Field]) -> Json:
    oids = {field.alias: _find(repo, _text(field, "expression")) for field in asked}
    contents = repo.store.blobs([oid for oid in oids.values() if oid])
    found: Json = {}
    for field in asked:
        oid = oids[field.alias]
        if oid is None:
            found[field.alias] = None
        else:
            known = _blob(oid, contents[oid]) if oid else {"__typename": "Tree", "oid": "", "abbreviatedOid": ""}
            found[field.alias] = _selected(known, field.fields, "GitObject")
    return found


def _find(repo: Repository, expression: str) -> str | None:
    """The blob of `rev:path`: its id, "" for a directory, None for nothing."""
    revision, colon, path = expression.partition(":")
    sha = repo.resolve(revision)
    if sha is None or not colon:
        return None
    tree = repo.store.tree(sha)
    if path in tree:
        # The commit that a submodule names is an object of another repository.
        return None if tree[path].mode == SUBMODULE_MODE else tree[path].oid
    folder = path.rstrip("/")
    return "" if not folder or any(name.startswith(f"{folder}/") for name in tree) else None


def _blob(oid: str, raw: bytes) -> Json:
    text: str | None
    try:
        text = None if b"\0" in raw else raw.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    truncated = text is not None and len(raw) > MAX_TEXT_BYTES
    if truncated:
        text = raw[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    return {
        "__typename": "Blob",
        "oid": oid,
        "abbreviatedOid": oid[:7],
        "text": text,
        "isBinary": text is None,
        "isTruncated": truncated,
        "byteSize": len(raw),
    }


# Conversations


def _pull_request(repo: Repository, field: Field, may: Callable[[str], bool]) -> Json | None:
    number = field.arguments.get("number")
    if not isinstance(number, int):
        raise GraphQLError("Field 'pullRequest' is missing required arguments: number")
    pull = repo.pulls.get(number)
    if pull is None:
        raise GraphQLError(f"Could not resolve to a PullRequest with the number of {number}.", kind="NOT_FOUND")
    if not may("pull_requests:read"):
        raise GraphQLError("Resource not accessible by integration", kind="FORBIDDEN", path=["repository", field.alias])
    known: Json = {
        "__typename": "PullRequest",
        "number": pull.number,
        "state": "MERGED" if pull.merged else pull.state.upper(),
        "reviewThreads": [_thread(pull, thread) for thread in pull.threads if thread.is_published],
        "reviews": [_review(kept) for kept in pull.reviews if kept["state"] != "PENDING"],
    }
    return _selected(known, field.fields, "PullRequest")


def _thread(pull: PullRequest, thread: threads.Thread) -> Json:
    line = pull.line_of(thread)
    return {
        "__typename": "PullRequestReviewThread",
        "id": thread.id,
        "isResolved": thread.resolved_by is not None,
        "isOutdated": line is None,
        "resolvedBy": None if thread.resolved_by is None else _actor(thread.resolved_by),
        "path": thread.first["path"],
        "line": line,
        "originalLine": thread.first["original_line"],
        "comments": [_comment(comment) for comment in thread.comments],
    }


def _comment(comment: Json) -> Json:
    return {
        "__typename": "PullRequestReviewComment",
        "id": comment["node_id"],
        "fullDatabaseId": str(comment["id"]),
        "body": comment["body"],
        "path": comment["path"],
        "url": comment["html_url"],
        "author": _actor(comment["user"]["login"]),
        "reactions": [
            {"__typename": "Reaction", "content": _REACTIONS.get(content, content.upper())}
            for _, content in comment.get("reacted", ())
        ],
    }


_REACTIONS = {"+1": "THUMBS_UP", "-1": "THUMBS_DOWN"}
"""The names of reactions that are others than in REST, in capitals."""


def _review(kept: Json) -> Json:
    return {
        "__typename": "PullRequestReview",
        "id": kept["node_id"],
        "fullDatabaseId": str(kept["id"]),
        "body": kept["body"],
        "state": kept["state"],
        "url": kept["html_url"],
        "author": _actor(kept["user"]["login"]),
    }


def _actor(login: str) -> Json:
    """Who did something. In GraphQL an App's login has no `[bot]`."""
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {"__typename": kind, "login": login.removesuffix("[bot]")}


# Mutations


def _mutate(state: State, request: Request, operation: Operation, may: Callable[[str], bool]) -> Json:
    token = state.tokens.authenticate(request)
    mine = [
        repo
        for name, repo in state.repositories_of(token.installation_id).items()
        if token.opens(repo.full_name, repo.installation_id)
    ]
    data: Json = {}
    errors = []
    for field in operation.fields:
        if field.name not in _MUTATIONS:
            raise _undefined(field, "Mutation")
        given = field.arguments.get("input")
        thread_id = given.get("threadId") if isinstance(given, Mapping) else None
        if not isinstance(thread_id, str):
            raise GraphQLError("Argument 'threadId' on InputObject is required. Expected type ID!")
        found = [
            (pull, thread)
            for repo in mine
            for pull in repo.pulls.values()
            for thread in pull.threads
            if thread.id == thread_id
        ]
        data[field.alias] = None
        if not found:
            missing = f"Could not resolve to a node with the global id of '{thread_id}'"
            errors.append(GraphQLError(missing, kind="NOT_FOUND", path=[field.alias]).error)
        elif not (may("contents:write") and may("pull_requests:write")):
            # Source: github/gh-aw issue 35726: an App needs `contents: write` for it.
            forbidden = "Resource not accessible by integration"
            errors.append(GraphQLError(forbidden, kind="FORBIDDEN", path=[field.alias]).error)
        else:
            [(pull, thread)] = found
            thread.resolved_by = state.app.bot_login if _MUTATIONS[field.name] else None
            data[field.alias] = _selected({"thread": _thread(pull, thread)}, field.fields, "Payload")
    return {"data": data, "errors": errors} if errors else {"data": data}


# What is asked of what is known


def _selected(known: Json, fields: Sequence[Field], kind: str) -> Json:
    """Of an object the fields that are asked for. Raises GraphQLError for one that it does not have."""
    if not fields:
        raise GraphQLError(f"Field must have selections (an object of {kind})")
    found: Json = {}
    for field in fields:
        if field.on and field.on != known["__typename"]:
            continue
        if field.name not in known:
            raise _undefined(field, known.get("__typename", kind))
        value = known[field.name]
        if isinstance(value, list):
            wanted = field.arguments.get("content")
            found[field.alias] = _page([item for item in value if wanted in (None, item.get("content"))], field)
        elif isinstance(value, dict):
            found[field.alias] = _selected(value, field.fields, field.name)
        elif field.fields and value is not None:
            raise GraphQLError(f"Selections can't be made on scalars (field '{field.name}')")
        else:
            found[field.alias] = value
    return found


def _page(items: list[Json], field: Field) -> Json:
    """A connection: a page of at most a hundred."""
    first, after = field.arguments.get("first"), field.arguments.get("after")
    if first is None:
        raise GraphQLError(
            f"You must provide a `first` or `last` value to properly paginate the `{field.name}` connection.",
            kind="MISSING_PAGINATION_BOUNDARIES",
        )
    if not isinstance(first, int) or not 0 < first <= MAX_FIRST:
        raise GraphQLError(
            f"Requesting {first} records on the `{field.name}` connection exceeds the `first` limit of 100 records.",
            kind="EXCESSIVE_PAGINATION",
        )
    start = 0
    if after is not None:
        if not isinstance(after, str) or not after.removeprefix("cursor:").isdecimal():
            raise GraphQLError(f"`{after}` does not appear to be a valid cursor.", kind="INVALID_CURSOR_ARGUMENTS")
        start = int(after.removeprefix("cursor:"))
    end = min(start + first, len(items))
    known: Json = {
        "__typename": "Connection",
        "totalCount": len(items),
        "pageInfo": {
            "__typename": "PageInfo",
            "hasNextPage": end < len(items),
            "endCursor": f"cursor:{end}" if end > start else None,
        },
    }
    found = _selected(known, [asked for asked in field.fields if asked.name != "nodes"] or _ANY, "Connection")
    shown = {asked.alias: asked for asked in field.fields if asked.name == "nodes"}
    nodes = {
        alias: [_selected(item, asked.fields, "nodes") for item in items[start:end]] for alias, asked in shown.items()
    }
    return {alias: found[alias] if alias in found else nodes[alias] for alias in (one.alias for one in field.fields)}


_ANY = (Field("__typename", "__typename", {}, ()),)


def _text(field: Field, name: str) -> str:
    value = field.arguments.get(name)
    if not isinstance(value, str):
        raise GraphQLError(f"Field '{field.name}' is missing required arguments: {name}")
    return value


def _undefined(field: Field, kind: str) -> GraphQLError:
    return GraphQLError(f"Field '{field.name}' doesn't exist on type '{kind}'")
