"""Endpoint of GitHub's GraphQL API, and its resolvers: files, review threads, reviews, resolving threads.

Source of the fields: GitHub GraphQL docs, objects `Commit`, `TreeEntry`, `Blob`, `PullRequest`,
`PullRequestReviewThread`, `PullRequestReview`, mutations `resolveReviewThread` and `unresolveReviewThread`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.app import Json, account_id
from sandbox.graphql.document import DocumentError, Field, Operation, parse
from sandbox.graphql.selection import GraphQLError, select, undefined_field
from sandbox.http import ApiError, Request, Response, not_found
from sandbox.state.git import SUBMODULE_MODE, TreeEntry
from sandbox.state.repository import PullRequest, Repository
from sandbox.state.state import State
from sandbox.state.threads import Thread
from sandbox.state.tokens import Token

MAX_TEXT_BYTES = 512 * 1024
"""Longer texts are truncated, and `isTruncated` is true. GitHub does not document the size."""

_MUTATIONS = {"resolveReviewThread": True, "unresolveReviewThread": False}

_FORBIDDEN = "Resource not accessible by integration"

_REACTIONS = {"+1": "THUMBS_UP", "-1": "THUMBS_DOWN"}
"""Reactions whose GraphQL name is not their REST name in capitals."""


def graphql(state: State, request: Request) -> Response:
    """Answer POST /graphql. Raises ApiError 404 if the sandbox is set to have no GraphQL."""
    if not state.graphql_available:
        raise not_found()
    token = state.tokens.authenticate(request)
    try:
        operation = _operation(request)
        data, errors = (_mutate if operation.kind == "mutation" else _query)(state, token, operation)
    except GraphQLError as error:
        return Response(body={"errors": [error.json]})
    return Response(body={"data": data, "errors": errors} if errors else {"data": data})


def _operation(request: Request) -> Operation:
    body = request.json_object()
    query, variables = body.get("query"), body.get("variables") or {}
    if not isinstance(query, str) or not query.strip():
        raise GraphQLError("A query attribute must be specified and must be a string.")
    if not isinstance(variables, dict):
        raise GraphQLError("Variables must be an object.")
    try:
        return parse(query, variables)
    except DocumentError as error:
        raise GraphQLError(str(error)) from error


def _query(state: State, token: Token, operation: Operation) -> tuple[Json, list[Json]]:
    data: Json = {}
    errors = []
    for field in operation.fields:
        if field.name == "viewer":
            # A User, even for an App, whose login here ends with `[bot]`. Source: fullsend-ai/fullsend, pull 1953.
            viewer = {"__typename": "User", "login": state.app.bot_login, "databaseId": account_id(state.app.bot_login)}
            data[field.alias] = select(viewer, field.fields, "User")
            continue
        if field.name != "repository":
            raise undefined_field(field, "Query")
        owner, name = (_text(field, argument) for argument in ("owner", "name"))
        try:
            # Renames are followed: the argument `followRenames` is true by default.
            repo = state.renamed_to(f"{owner}/{name}") or state.repository(f"{owner}/{name}")
            if not token.reaches(repo.id, repo.installation_id):
                raise not_found()
        except ApiError:
            message = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            errors.append(GraphQLError(message, kind="NOT_FOUND", path=[field.alias]).json)
            data[field.alias] = None
            continue
        data[field.alias] = _repository(repo, field, token)
    return data, errors


def _repository(repo: Repository, field: Field, token: Token) -> Json:
    if not field.fields:
        raise GraphQLError("Field must have selections (field 'repository' returns Repository)")
    objects = _objects(repo, [child for child in field.fields if child.name == "object"])
    result: Json = {}
    for child in field.fields:
        if child.name == "object":
            result[child.alias] = objects[child.alias]
        elif child.name == "pullRequest":
            result[child.alias] = _pull_request(repo, child, token)
        else:
            raise undefined_field(child, "Repository")
    return result


# Files


def _objects(repo: Repository, fields: Sequence[Field]) -> Json:
    """Resolve objects by expression: commits by `rev`, blobs by `rev:path`."""
    found = {field.alias: _find(repo, _text(field, "expression")) for field in fields}
    wanted = [entry for one in found.values() for entry in ([one] if isinstance(one, TreeEntry) else ())]
    in_commits = {
        (field.alias, child.alias): repo.store.tree(sha).get(_text(child, "path"))
        for field in fields
        if isinstance(sha := found[field.alias], str)
        for child in field.fields
        if child.on == "Commit" and child.name == "file"
    }
    wanted += [entry for entry in in_commits.values() if entry is not None]
    contents = repo.store.blobs([entry.oid for entry in wanted if entry.mode != SUBMODULE_MODE])
    result: Json = {}
    for field in fields:
        one = found[field.alias]
        if one is None or one is _DIRECTORY:
            result[field.alias] = None if one is None else select(_TREE, field.fields, "GitObject")
        elif isinstance(one, TreeEntry):
            result[field.alias] = select(_blob(one.oid, contents[one.oid]), field.fields, "GitObject")
        else:
            result[field.alias] = {
                child.alias: _entry_in_commit(child, in_commits.get((field.alias, child.alias)), contents, one)
                for child in field.fields
                if child.on in ("", "Commit")
            }
    return result


def _entry_in_commit(field: Field, entry: TreeEntry | None, contents: Mapping[str, bytes], sha: str) -> Any:
    """Resolve a field of a commit."""
    if field.name != "file":
        return select({"__typename": "Commit", "oid": sha}, [field], "Commit")[field.alias]
    if entry is None:
        return None
    is_submodule = entry.mode == SUBMODULE_MODE
    # GitHub gives the mode as a decimal number. The commit of a submodule is an object of another repository.
    node = {
        "__typename": "TreeEntry",
        "mode": int(entry.mode, 8),
        "type": "commit" if is_submodule else "blob",
        "oid": entry.oid,
        "size": entry.size,
        "object": None if is_submodule else _blob(entry.oid, contents[entry.oid]),
    }
    return select(node, field.fields, "TreeEntry")


_DIRECTORY = object()
_TREE: Json = {"__typename": "Tree", "oid": "", "abbreviatedOid": ""}


def _find(repo: Repository, expression: str) -> Any:
    """Return the sha of a commit, the entry of a file at `rev:path`, `_DIRECTORY`, or None if there is none."""
    revision, colon, path = expression.partition(":")
    sha = repo.resolve(revision)
    if sha is None or not colon:
        return sha
    tree = repo.store.tree(sha)
    if path in tree:
        # The commit of a submodule is an object of another repository.
        return None if tree[path].mode == SUBMODULE_MODE else tree[path]
    folder = path.rstrip("/")
    return _DIRECTORY if not folder or any(name.startswith(f"{folder}/") for name in tree) else None


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


# Reviews and review threads


def _pull_request(repo: Repository, field: Field, token: Token) -> Json | None:
    number = field.arguments.get("number")
    if not isinstance(number, int):
        raise GraphQLError("Field 'pullRequest' is missing required arguments: number")
    pull = repo.pulls.get(number)
    if pull is None:
        raise GraphQLError(f"Could not resolve to a PullRequest with the number of {number}.", kind="NOT_FOUND")
    if not token.allows("pull_requests:read"):
        raise GraphQLError(_FORBIDDEN, kind="FORBIDDEN", path=["repository", field.alias])
    node: Json = {
        "__typename": "PullRequest",
        "number": pull.number,
        "state": "MERGED" if pull.merged else pull.state.upper(),
        "reviewThreads": [_thread(pull, thread) for thread in pull.threads if thread.is_published],
        "reviews": [_review(review) for review in pull.reviews if review["state"] != "PENDING"],
    }
    return select(node, field.fields, "PullRequest")


def _thread(pull: PullRequest, thread: Thread) -> Json:
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


def _review(review: Json) -> Json:
    return {
        "__typename": "PullRequestReview",
        "id": review["node_id"],
        "fullDatabaseId": str(review["id"]),
        "body": review["body"],
        "state": review["state"],
        "url": review["html_url"],
        "author": _actor(review["user"]["login"]),
    }


def _actor(login: str) -> Json:
    """The account that did something. In GraphQL an App's login has no `[bot]`."""
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {"__typename": kind, "login": login.removesuffix("[bot]")}


# Mutations


def _mutate(state: State, token: Token, operation: Operation) -> tuple[Json, list[Json]]:
    data: Json = {}
    errors = []
    for field in operation.fields:
        if field.name not in _MUTATIONS:
            raise undefined_field(field, "Mutation")
        given = field.arguments.get("input")
        thread_id = given.get("threadId") if isinstance(given, Mapping) else None
        if not isinstance(thread_id, str):
            raise GraphQLError("Argument 'threadId' on InputObject is required. Expected type ID!")
        found = _find_thread(state, token, thread_id)
        data[field.alias] = None
        if found is None:
            message = f"Could not resolve to a node with the global id of '{thread_id}'"
            errors.append(GraphQLError(message, kind="NOT_FOUND", path=[field.alias]).json)
        elif not (token.allows("contents:write") and token.allows("pull_requests:write")):
            # An App needs `contents: write`. Source: github/gh-aw issue 35726.
            errors.append(GraphQLError(_FORBIDDEN, kind="FORBIDDEN", path=[field.alias]).json)
        else:
            pull, thread = found
            thread.resolved_by = state.app.bot_login if _MUTATIONS[field.name] else None
            data[field.alias] = select({"thread": _thread(pull, thread)}, field.fields, "Payload")
    return data, errors


def _find_thread(state: State, token: Token, thread_id: str) -> tuple[PullRequest, Thread] | None:
    for repo in state.repositories_reached_by(token).values():
        for pull in repo.pulls.values():
            for thread in pull.threads:
                if thread.id == thread_id:
                    return pull, thread
    return None


def _text(field: Field, name: str) -> str:
    value = field.arguments.get(name)
    if not isinstance(value, str):
        raise GraphQLError(f"Field '{field.name}' is missing required arguments: {name}")
    return value
