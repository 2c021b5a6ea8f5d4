"""Select the requested fields of an object, and pages of its connections."""

from collections.abc import Sequence

from sandbox.app import Json
from sandbox.graphql.document import Field

MAX_FIRST = 100
"""Source: GitHub GraphQL docs, "Rate limits and query limits", node limit."""

_TYPENAME = (Field("__typename", "__typename", {}, ()),)


class GraphQLError(Exception):
    """An entry of `errors` in a response. `kind` is GitHub's `type` of the error, if it has one."""

    def __init__(self, message: str, *, kind: str | None = None, path: list[str] | None = None) -> None:
        super().__init__(message)
        details: Json = {"type": kind, "path": path, "message": message}
        self.json = {name: value for name, value in details.items() if value is not None}


def select(node: Json, fields: Sequence[Field], kind: str) -> Json:
    """Return the requested fields of an object; a list in it is a connection. Raises GraphQLError for unknown fields.

    `kind` names the object's type in errors.
    """
    if not fields:
        raise GraphQLError(f"Field must have selections (an object of {kind})")
    result: Json = {}
    for field in fields:
        if field.on and field.on != node["__typename"]:
            continue
        if field.name not in node:
            raise undefined_field(field, node.get("__typename", kind))
        value = node[field.name]
        if isinstance(value, list):
            content = field.arguments.get("content")
            result[field.alias] = _page([item for item in value if content in (None, item.get("content"))], field)
        elif isinstance(value, dict):
            result[field.alias] = select(value, field.fields, field.name)
        elif field.fields and value is not None:
            raise GraphQLError(f"Selections can't be made on scalars (field '{field.name}')")
        else:
            result[field.alias] = value
    return result


def undefined_field(field: Field, kind: str) -> GraphQLError:
    """The error for a field that a type does not have."""
    return GraphQLError(f"Field '{field.name}' doesn't exist on type '{kind}'")


def _page(items: list[Json], field: Field) -> Json:
    """Return a page of a connection, of at most MAX_FIRST nodes."""
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
    connection: Json = {
        "__typename": "Connection",
        "totalCount": len(items),
        "pageInfo": {
            "__typename": "PageInfo",
            "hasNextPage": end < len(items),
            "endCursor": f"cursor:{end}" if end > start else None,
        },
    }
    others = [child for child in field.fields if child.name != "nodes"]
    result = select(connection, others or _TYPENAME, "Connection")
    for child in field.fields:
        if child.name == "nodes":
            result[child.alias] = [select(item, child.fields, "nodes") for item in items[start:end]]
    return {child.alias: result[child.alias] for child in field.fields}
