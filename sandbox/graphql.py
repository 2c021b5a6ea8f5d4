"""The part of GitHub's GraphQL API that reads many files with one query.

Understood are queries of `repository(owner:, name:)` with any number of `alias: object(expression:)` in it, arguments
given as variables or as strings. Source of the fields: GitHub GraphQL docs, object `Blob`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.app import Json
from sandbox.http import Request
from sandbox.repository import Repository

MAX_TEXT_BYTES = 512 * 1024
"""Longer texts are cut and `isTruncated` is true. GitHub does not document the size."""

_VALUE = r'(?:\$(?P<{0}_variable>\w+)|(?P<{0}_string>"(?:[^"\\]|\\.)*"))'
_REPOSITORY = re.compile(r"\brepository\s*\(\s*(?P<arguments>[^)]*)\)")
_OWNER = re.compile(r"\bowner\s*:\s*" + _VALUE.format("owner"))
_NAME = re.compile(r"\bname\s*:\s*" + _VALUE.format("name"))
_OBJECT = re.compile(
    r"(?:(?P<alias>\w+)\s*:\s*)?\bobject\s*\(\s*expression\s*:\s*" + _VALUE.format("expression") + r"\s*,?\s*\)"
)
_FIELDS = ("text", "isBinary", "isTruncated", "byteSize", "oid", "abbreviatedOid", "__typename")


class GraphQLError(Exception):
    """A query that is answered with `errors`; `kind` is GitHub's own name for the kind of error, where it has one."""

    def __init__(self, message: str, *, kind: str | None = None, path: list[str] | None = None) -> None:
        super().__init__(message)
        details: Json = {"type": kind, "path": path, "message": message}
        self.error = {name: value for name, value in details.items() if value is not None}


def parse(request: Request) -> tuple[str, Mapping[str, Any]]:
    """Query and variables of a request. Raises GraphQLError when there is no query."""
    body = request.object()
    query, variables = body.get("query"), body.get("variables") or {}
    if not isinstance(query, str) or not query.strip():
        raise GraphQLError("A query attribute must be specified and must be a string.")
    if not isinstance(variables, dict):
        raise GraphQLError("Variables must be an object.")
    if query.count("{") != query.count("}"):
        raise GraphQLError("Parse error on end of file")
    return query, variables


def repository_name(query: str, variables: Mapping[str, Any]) -> str:
    """The owner/name that a query asks about. Raises GraphQLError when it asks about something else."""
    found = _REPOSITORY.search(query)
    owner = _OWNER.search(found["arguments"]) if found else None
    name = _NAME.search(found["arguments"]) if found else None
    if owner is None or name is None:
        raise GraphQLError("The sandbox answers queries of repository(owner:, name:) and nothing else")
    return f"{_argument(owner, 'owner', variables)}/{_argument(name, 'name', variables)}"


def objects(repo: Repository, query: str, variables: Mapping[str, Any]) -> Json:
    """Alias to blob (null where the expression leads nowhere) for every `object` that a query asks for."""
    asked = {found["alias"] or "object": _argument(found, "expression", variables) for found in _OBJECT.finditer(query)}
    if not asked:
        raise GraphQLError("The sandbox answers object(expression:) of a repository and nothing else")
    fields = [name for name in _FIELDS if re.search(rf"\b{name}\b", query)]
    oids = {alias: _find(repo, expression) for alias, expression in asked.items()}
    blobs = repo.store.blobs([oid for oid in oids.values() if oid])
    answer: Json = {}
    for alias, oid in oids.items():
        if oid is None:
            answer[alias] = None
        elif not oid:
            # `... on Blob` of a directory: an object without any field.
            answer[alias] = {"__typename": "Tree"} if "__typename" in fields else {}
        else:
            answer[alias] = {name: value for name, value in _blob(oid, blobs[oid]).items() if name in fields}
    return answer


def _argument(found: re.Match[str], name: str, variables: Mapping[str, Any]) -> str:
    if found[f"{name}_string"] is not None:
        return str(json.loads(found[f"{name}_string"]))
    variable = found[f"{name}_variable"]
    value = variables.get(variable)
    if not isinstance(value, str):
        raise GraphQLError(f"Variable ${variable} of type String! was provided invalid value")
    return value


def _find(repo: Repository, expression: str) -> str | None:
    """The blob of `rev:path`: its id, "" for a directory, None for nothing."""
    revision, colon, path = expression.partition(":")
    sha = repo.resolve(revision)
    if sha is None or not colon:
        return None
    tree = repo.store.tree(sha)
    if path in tree:
        return tree[path].oid
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
