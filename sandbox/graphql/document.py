"""Parse GraphQL documents: the part of the language that clients of GitHub's API use.

Source: the GraphQL specification.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'(?:[\s,\ufeff]|#[^\n]*)*(\.\.\.|[!$():=@\[\]{|}]|"(?:[^"\\\n]|\\.)*"|-?\d+|[_A-Za-z]\w*|\Z)')
_NAME = re.compile(r"[_A-Za-z]\w*")
_ENUM = re.compile(r"[A-Z][A-Z_]*")
"""A value of a GitHub enumeration, as THUMBS_DOWN."""


class DocumentError(Exception):
    """An invalid document, or variables of wrong types."""


@dataclass(frozen=True)
class Field:
    """A requested field. `on` is the type of the inline fragment around it, "" if there is none."""

    alias: str
    name: str
    arguments: Mapping[str, Any]
    fields: tuple["Field", ...]
    on: str = ""


@dataclass(frozen=True)
class Operation:
    """A query or mutation, with the values of its variables filled in."""

    kind: str
    fields: tuple[Field, ...]


def parse(text: str, variables: Mapping[str, Any]) -> Operation:
    """Parse a document of one operation. Raises DocumentError."""
    return _Parser(text, variables).operation()


class _Parser:
    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0
        self._variables = variables
        self._declared: dict[str, Any] = {}
        self._used: set[str] = set()

    def operation(self) -> Operation:
        kind = "query"
        if self._next() != "{":
            kind = self._take()
            if kind not in ("query", "mutation"):
                raise self._unexpected(kind)
            if _NAME.fullmatch(self._next()):
                self._take()
            if self._next() == "(":
                self._declarations()
        fields = self._fields("")
        if self._next():
            raise self._unexpected(self._next())
        if unused := self._declared.keys() - self._used:
            raise DocumentError(f"Variable ${min(unused)} is declared by anonymous {kind} but not used")
        return Operation(kind, fields)

    def _declarations(self) -> None:
        self._take("(")
        while self._next() != ")":
            self._take("$")
            name = self._name()
            self._take(":")
            declared = self._name()
            required = self._next() == "!"
            if required:
                self._take()
            value = self._variables.get(name)
            if not _fits(value, declared, required):
                raise DocumentError(f"Variable ${name} of type {declared}{'!' * required} was provided invalid value")
            self._declared[name] = value
        self._take(")")

    def _fields(self, on: str) -> tuple[Field, ...]:
        self._take("{")
        fields: list[Field] = []
        while self._next() != "}":
            if self._next() == "...":
                self._take()
                self._take("on")
                fields += self._fields(self._name())
                continue
            name = alias = self._name()
            if self._next() == ":":
                self._take()
                name = self._name()
            arguments = self._arguments() if self._next() == "(" else {}
            fields.append(Field(alias, name, arguments, self._fields("") if self._next() == "{" else (), on))
        self._take("}")
        if not fields:
            raise self._unexpected("}")
        return tuple(fields)

    def _arguments(self, start: str = "(", end: str = ")") -> dict[str, Any]:
        self._take(start)
        arguments = {}
        while self._next() != end:
            name = self._name()
            self._take(":")
            arguments[name] = self._value()
        self._take(end)
        return arguments

    def _value(self) -> Any:
        if self._next() == "{":
            return self._arguments("{", "}")
        token = self._take()
        if token == "$":
            name = self._name()
            if name not in self._declared:
                raise DocumentError(f"Variable ${name} is used but not declared")
            self._used.add(name)
            return self._declared[name]
        if token.startswith('"'):
            return json.loads(token)
        if re.fullmatch(r"-?\d+", token):
            return int(token)
        words = {"true": True, "false": False, "null": None}
        if token in words:
            return words[token]
        if not _ENUM.fullmatch(token):
            raise self._unexpected(token)
        return token

    def _next(self) -> str:
        return self._tokens[self._position]

    def _take(self, expected: str | None = None) -> str:
        token = self._next()
        if not token or (expected is not None and token != expected):
            raise self._unexpected(token)
        self._position += 1
        return token

    def _name(self) -> str:
        if not _NAME.fullmatch(self._next()):
            raise self._unexpected(self._next())
        return self._take()

    def _unexpected(self, token: str) -> DocumentError:
        return DocumentError(f'Parse error on "{token}"' if token else "Parse error on end of file")


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while True:
        found = _TOKEN.match(text, position)
        if found is None:
            raise DocumentError(f'Parse error on "{text[position : position + 10].strip()}"')
        yield found[1]
        if not found[1]:
            return
        position = found.end()


def _fits(value: Any, declared: str, required: bool) -> bool:
    if value is None:
        return not required
    if declared == "Int":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
    return isinstance(value, str) and declared in ("String", "ID")
