"""Write the mutants of a target as JSON: `python -m tools.mutation.mutants TARGET FILE`.

The operators are mutmut's; its runner, which puts every function behind a switch, was not tried with Django. Three
operators are added for what it leaves alone: a condition is turned around, a statement is left out, and nothing is
returned. What only changes a text for people, an annotation or a decorator is left out, and so are all but one of the
ways to change a string.
"""

import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from tools.mutation.targets import TARGETS, Target

TEXTS = (cst.SimpleString, cst.FormattedString, cst.ConcatenatedString)
TOLD_TO_PEOPLE = {"logger", "_refuse", "_text"}
NO_CODE_OF_OURS = {"TypeVar", "getLogger", "isinstance"}
NOT_CODE = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom, cst.Global)


def negated(node: cst.If) -> Iterator[cst.If]:
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def left_out(node: cst.SimpleStatementLine) -> Iterator[cst.SimpleStatementLine]:
    statement = node.body[0]
    if isinstance(statement, cst.Raise) or (isinstance(statement, cst.Expr) and isinstance(statement.value, cst.Call)):
        yield node.with_changes(body=[cst.Pass()])


def nothing_returned(node: cst.Return) -> Iterator[cst.Return]:
    if node.value is not None and not (
        isinstance(node.value, cst.Name) and node.value.value in ("None", "True", "False")
    ):
        yield node.with_changes(value=cst.Name("None"), whitespace_after_return=cst.SimpleWhitespace(" "))


OPERATORS: list[tuple[Any, Any]] = [
    *mutation_operators,
    (cst.If, negated),
    (cst.SimpleStatementLine, left_out),
    (cst.Return, nothing_returned),
]


def mutants(target: Target) -> list[dict[str, Any]]:
    """Each mutant: its number, the lines of its statement, the changed lines, and the whole file as it then is."""
    source = Path(target.path).read_text()
    wrapper = MetadataWrapper(cst.parse_module(source))
    positions = wrapper.resolve(PositionProvider)
    found: dict[str, dict[str, Any]] = {}

    def visit(node: cst.CSTNode, inside: tuple[cst.CSTNode, ...], wanted: bool) -> None:
        if isinstance(node, NOT_CODE):
            return
        wanted = wanted or (isinstance(node, cst.FunctionDef) and node.name.value in target.functions)
        if wanted:
            for kind, operator in OPERATORS:
                for changed in operator(node) if isinstance(node, kind) else ():
                    if matters(node, changed, inside):
                        keep(node, changed, inside)
        for child in node.children:
            visit(child, (*inside, node), wanted)

    def keep(node: cst.CSTNode, changed: cst.CSTNode, inside: tuple[cst.CSTNode, ...]) -> None:
        code = wrapper.module.deep_replace(node, changed).code  # type: ignore[arg-type]
        try:
            compile(code, target.path, "exec")
        except SyntaxError:
            return
        first, last = statement_lines(node, inside)
        lines = difflib.unified_diff(source.splitlines(), code.splitlines(), lineterm="", n=0)
        diff = [line for line in list(lines)[2:] if not line.startswith("@@")]
        if diff and code not in found:
            found[code] = {"id": len(found) + 1, "first": first, "last": last, "diff": diff, "code": code}

    def statement_lines(node: cst.CSTNode, inside: tuple[cst.CSTNode, ...]) -> tuple[int, int]:
        """The lines whose execution shows that a test comes by: of a compound statement only the head."""
        for each in (node, *reversed(inside)):
            if isinstance(each, cst.SimpleStatementLine):
                return positions[each].start.line, positions[each].end.line
            if isinstance(
                each, cst.If | cst.While | cst.For | cst.With | cst.Try | cst.ExceptHandler | cst.FunctionDef
            ):
                last = positions[each.body].start.line - 1 if isinstance(each, cst.FunctionDef) else None
                return positions[each].start.line, last or max(
                    positions[each].start.line, positions[each.body].start.line - 1
                )
        return positions[node].start.line, positions[node].end.line

    visit(wrapper.module, (), not target.functions)
    return list(found.values())


def matters(node: cst.CSTNode, changed: cst.CSTNode, inside: tuple[cst.CSTNode, ...]) -> bool:
    """Leave out texts for people, and what no test could miss: a call without an argument that it needs."""
    around = (*inside, node)
    statement = next((each for each in around if isinstance(each, cst.Assign)), None)
    if any(_called(each) in NO_CODE_OF_OURS for each in (*around, getattr(statement, "value", node))):
        return False
    if isinstance(node, cst.SimpleString) and (
        "XX" not in getattr(changed, "value", "") or isinstance(inside[-1], cst.Expr)
    ):
        return False
    told = any(isinstance(each, cst.Raise) or _called(each) in TOLD_TO_PEOPLE for each in around)
    if told and isinstance(node, TEXTS):
        return False
    if isinstance(node, cst.Call) and isinstance(changed, cst.Call):
        gone = [argument for argument in node.args if argument not in changed.args]
        if told and any(isinstance(argument.value, TEXTS) for argument in gone):
            return False
        if len(changed.args) < len(node.args):
            return all(argument.keyword is not None or argument is node.args[-1] for argument in gone)
    return True


def _called(node: cst.CSTNode) -> str:
    """The name of what is called: of `logger.info` that of the object, else that of the attribute."""
    called = node.func if isinstance(node, cst.Call) else None
    if isinstance(called, cst.Attribute):
        called = called.value if isinstance(called.value, cst.Name) and called.value.value == "logger" else called.attr
    return called.value if isinstance(called, cst.Name) else ""


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(mutants(TARGETS[sys.argv[1]])))
