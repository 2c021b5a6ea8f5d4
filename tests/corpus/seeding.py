"""Change a source file so that an engine's error appears elsewhere in it, or so that nothing is wrong with it.

Each function takes the file's lines and a random generator and returns the changed lines, or None where the file
offers no place for this change. What breaks is not checked here: tests.corpus.seeded asks the engines.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from random import Random

Lines = list[str]
Change = Callable[[Sequence[str], Random], Lines | None]

KINDS: Mapping[str, str] = {
    "python": r".*\.py",
    "javascript": r".*\.[cm]?jsx?",
    "typescript": r".*\.[cm]?tsx?",
    "shell": r".*\.(sh|bash)",
    "dockerfile": r"(.*/)?Dockerfile(\..*)?",
    "workflow": r"\.github/workflows/[^/]*\.ya?ml",
}
"""Kinds of files by path."""

_CLOSING = re.compile(r"\s*[\])}]+[;,)\]}]*\s*")
_FUNCTION = re.compile(r"\s*(?:async )?def (\w+)\(|\s*class (\w+)\b")
_IMPORT = re.compile(r"import (\w+)$|from [\w.]+ import (\w+)$")
_LET = re.compile(r"\s*let (\w+)\b[^,]*;?$")


def delete_closing_line(lines: Sequence[str], random: Random) -> Lines | None:
    """Delete a line that only closes brackets."""
    return _without(lines, random, _CLOSING)


def delete_shell_end(lines: Sequence[str], random: Random) -> Lines | None:
    """Delete `fi`, `done`, `esac` or `}`."""
    return _without(lines, random, re.compile(r"\s*(fi|done|esac|\})\s*"))


def delete_shell_quote(lines: Sequence[str], random: Random) -> Lines | None:
    """Delete the last quote of a line that has two."""
    places = [index for index, line in enumerate(lines) if re.fullmatch(r"[^'\"#`\\]*\"[^'\"`\\]*\"[^'\"#`\\]*", line)]
    return _edited(lines, random, places, lambda line: "".join(line.rpartition('"')[::2]))


def rename_definition(lines: Sequence[str], random: Random) -> Lines | None:
    """Rename a function or class of a Python module that the module itself uses."""
    places = []
    for index, line in enumerate(lines):
        found = _FUNCTION.match(line)
        name = found and (found[1] or found[2])
        if name and not line.startswith(" ") and _uses(lines, name, index):
            places.append(index)
    return _edited(lines, random, places, lambda line: re.sub(r"(def|class) (\w+)", r"\1 \2_renamed", line, count=1))


def remove_import(lines: Sequence[str], random: Random) -> Lines | None:
    """Remove an import at the top level of a Python module that the module uses."""
    places = _used_imports(lines)
    return None if not places else [*lines[: (at := random.choice(places))], *lines[at + 1 :]]


def rename_import(lines: Sequence[str], random: Random) -> Lines | None:
    """Import a name under another name; its uses stay."""
    return _edited(lines, random, _used_imports(lines), lambda line: f"{line} as renamed_import")


def rename_parameter(lines: Sequence[str], random: Random) -> Lines | None:
    """Rename a parameter of a Python function that stands on another line than its uses."""
    places: list[tuple[int, int, int]] = []
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = [each for statement in node.body for each in ast.walk(statement)]
            used = {each.id: each.lineno for each in body if isinstance(each, ast.Name)}
            for parameter in node.args.args:
                line = lines[parameter.lineno - 1]
                if used.get(parameter.arg, parameter.lineno) != parameter.lineno and line.isascii():
                    places.append((parameter.lineno - 1, parameter.col_offset, len(parameter.arg)))
    if not places:
        return None
    index, column, length = random.choice(places)
    changed = list(lines)
    changed[index] = f"{lines[index][: column + length]}_renamed{lines[index][column + length :]}"
    return changed


def make_constant(lines: Sequence[str], random: Random) -> Lines | None:
    """Declare a variable of JavaScript that is assigned again as a constant."""
    places = []
    for index, line in enumerate(lines):
        found = _LET.fullmatch(line)
        if found and "=" in line:
            assigned = re.compile(rf"\s+{found[1]} (=|\+=) .*")
            indent = len(line) - len(line.lstrip())
            for after in lines[index + 1 :]:
                if after.strip() and len(after) - len(after.lstrip()) < indent:
                    break
                if assigned.fullmatch(after):
                    places.append(index)
                    break
    return _edited(lines, random, places, lambda line: line.replace("let ", "const ", 1))


def drop_async(lines: Sequence[str], random: Random) -> Lines | None:
    """Make a function that awaits synchronous."""
    places = [
        index
        for index, line in enumerate(lines)
        if re.search(r"\basync \(?\w*|\basync function\b", line)
        and line.rstrip().endswith("{")
        and any(re.search(r"\bawait ", after) for after in lines[index + 1 : index + 4])
    ]
    return _edited(lines, random, places, lambda line: re.sub(r"\basync ", "", line, count=1))


def drop_continuation(lines: Sequence[str], random: Random) -> Lines | None:
    """Remove the backslash at the end of a line of a Dockerfile whose next line is no instruction."""
    places = [
        index
        for index, line in enumerate(lines[:-1])
        if re.fullmatch(r"[^#]*\S\s*\\", line) and re.match(r"\s+[a-z&-]", lines[index + 1])
    ]
    return _edited(lines, random, places, lambda line: line.rstrip("\\").rstrip())


def remove_from(lines: Sequence[str], random: Random) -> Lines | None:
    """Remove the first `FROM` of a Dockerfile."""
    first = [index for index, line in enumerate(lines) if line.startswith("FROM ")][:1]
    return None if not first else [*lines[: first[0]], *lines[first[0] + 1 :]]


def break_indentation(lines: Sequence[str], random: Random) -> Lines | None:
    """Indent a key of a workflow one blank deeper than its neighbours."""
    places = [
        index
        for index, line in enumerate(lines[1:], start=1)
        if re.fullmatch(r" +[\w-]+: \S.*", line)
        and _indent(line) == _indent(lines[index - 1])
        and ": " in lines[index - 1]
    ]
    return _edited(lines, random, places, lambda line: f" {line}")


def tab_indentation(lines: Sequence[str], random: Random) -> Lines | None:
    """Indent a key of a workflow by a tab."""
    places = [index for index, line in enumerate(lines) if re.fullmatch(r" +[\w-]+: [\w\"'].*", line)]
    return _edited(lines, random, places, lambda line: f"\t{line.lstrip()}")


def add_comment(lines: Sequence[str], random: Random) -> Lines | None:
    """Add a comment between a blank line and a line without indentation."""
    return _inserted(lines, random, "# A remark.")


def add_script_comment(lines: Sequence[str], random: Random) -> Lines | None:
    """As `add_comment`, for JavaScript."""
    return _inserted(lines, random, "// A remark.")


def add_blank_line(lines: Sequence[str], random: Random) -> Lines | None:
    """Add a blank line beside another."""
    return _inserted(lines, random, "")


def swap_imports(lines: Sequence[str], random: Random) -> Lines | None:
    """Swap two imports that follow each other."""
    whole = re.compile(r"import \w+|from [\w.]+ import \w+|import .* from ['\"].*['\"];?")
    places = [
        index
        for index, pair in enumerate(pairwise(lines))
        if all(whole.fullmatch(line) and "__future__" not in line for line in pair) and pair[0] != pair[1]
    ]
    if not places:
        return None
    at = random.choice(places)
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]


def change_text(lines: Sequence[str], random: Random) -> Lines | None:
    """Change a word in a comment, or in a text between double quotes, of at least three words."""
    text = re.compile(r"(\s*(?:#|//) |[^#'\"`$\\]*\")[A-Za-z]+ [a-z]+ [a-z]+[ .]?[a-z]*\"?[),;]*")
    places = [index for index, line in enumerate(lines) if text.fullmatch(line)]
    return _edited(
        lines, random, places, lambda line: re.sub(r"([A-Za-z]+) ([a-z]+) ", r"\1 really \2 ", line, count=1)
    )


_SCRIPT: tuple[Change, ...] = (delete_closing_line, make_constant, drop_async)
BREAKING: Mapping[str, tuple[Change, ...]] = {
    "python": (delete_closing_line, rename_definition, remove_import, rename_import, rename_parameter),
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "shell": (delete_shell_end, delete_shell_quote),
    "dockerfile": (drop_continuation, remove_from),
    "workflow": (break_indentation, tab_indentation),
}
"""Changes that break a file of each kind."""
HARMLESS: Mapping[str, tuple[Change, ...]] = {
    kind: (
        add_script_comment if kind in ("javascript", "typescript") else add_comment,
        add_blank_line,
        swap_imports,
        change_text,
    )
    for kind in KINDS
}
"""Changes that break no file of a kind."""


def _without(lines: Sequence[str], random: Random, pattern: re.Pattern[str]) -> Lines | None:
    places = [index for index, line in enumerate(lines) if pattern.fullmatch(line)]
    return None if not places else [*lines[: (at := random.choice(places))], *lines[at + 1 :]]


def _edited(lines: Sequence[str], random: Random, places: Sequence[int], edit: Callable[[str], str]) -> Lines | None:
    if not places:
        return None
    at = random.choice(places)
    return [*lines[:at], edit(lines[at]), *lines[at + 1 :]]


def _inserted(lines: Sequence[str], random: Random, text: str) -> Lines | None:
    places = [
        index for index in range(2, len(lines)) if not lines[index - 1].strip() and re.match(r"[A-Za-z@]", lines[index])
    ]
    return None if not places else [*lines[: (at := random.choice(places))], text, *lines[at:]]


def _used_imports(lines: Sequence[str]) -> list[int]:
    found = ((index, _IMPORT.fullmatch(line)) for index, line in enumerate(lines))
    return [index for index, match in found if match and _uses(lines, match[1] or match[2], index)]


def _uses(lines: Sequence[str], name: str, but: int) -> bool:
    """Whether a name is used, as `name.x`, `name(…)` or alone, in a line of code other than its definition."""
    uses = re.compile(rf"(?<![\w.'\"]){name}\b(?!['\"])(\(|\.\w)")
    return any(uses.search(line.partition("#")[0]) for index, line in enumerate(lines) if index != but)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
