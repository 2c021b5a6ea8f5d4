"""Comments that switch linters off: what the base has counts, what a pull request adds where findings fail does not."""

import pytest

from reviews.analysis.suppressions import OF_ALL, without_new

NEXT = "// eslint-disable-next-line no-debugger"


def read(base: str, head: str) -> str:
    """The head as the analyzers read it. Lines that begin with `+` are added; the sign is taken off."""
    lines = head.split("\n")
    added = {number for number, line in enumerate(lines, 1) if line.startswith("+")}
    return without_new("\n".join(line.removeprefix("+") for line in lines), base, added, OF_ALL)


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ("a();", "a();\n+/* eslint\n+  no-debugger: off */\n+debugger;"),
        (f"{NEXT}\ndebugger;", f"{NEXT}\ndebugger;\n+{NEXT}\n+debugger;"),
        (f"{NEXT}\ndebugger;", f"{NEXT}\n+debugger; more();"),
        (f"{NEXT}\nold();", f"+{NEXT}\n+debugger;"),
        ("x = 1  # noqa\n", "x = 1  # noqa\n+x = 1  # noqa\n"),
        ("rm $1", "# a\n+# shellcheck source=/dev/null disable=SC2086\n+rm $1"),
        ("rm $1", "+#shellcheck source=/" + "x" * 1000 + " disable=SC2086\n+rm $1"),
        ("/* eslint-disable */\na();\n/* eslint-enable */", "/* eslint-disable */\na();\n+debugger;"),
        ("/* eslint\n  no-debugger: error */", "/* eslint\n+  no-debugger: off */\n+debugger;"),
        ("/* eslint-disable\n  no-eval */", "/* eslint-disable\n  no-eval,\n+  no-debugger */\n+debugger;"),
        ("<A />", "+{/* eslint-disable-next-line */}\n+<A />"),
        ("x()", "+x(  # type: ignore[name-defined]\n+    y)"),
        ("x()", "+# ruff : file-ignore[F821]\n+y"),
        ("x()", "+y  # ruff\u00a0:ignore[F821]"),
        ("# ruff:disable[F821]\nx\n# ruff : enable[F821]\n", "# ruff:disable[F821]\nx\n+y"),
        ("rm $1", "+#\u00a0shellcheck disable=all\n+rm $1"),
    ],
    ids=[
        "two lines",
        "a copy",
        "new code below",
        "moved to other code",
        "a copied line",
        "shellcheck",
        "long",
        "no end",
        "an option",
        "another rule",
        "JSX",
        "a type",
        "a blank",
        "a wide blank",
        "no end after a blank",
        "a wide blank before shellcheck",
    ],
)
def test_a_new_comment_switches_nothing_off(base: str, head: str) -> None:
    kept = head.replace("+", "").count("xx")
    assert read(base, head).count("xx") > kept


@pytest.mark.parametrize(
    ("base", "head"),
    [
        (f"f();\n{NEXT}\ndebugger;", f"+{NEXT}\n+debugger;\nf();"),
        (f"{NEXT}\ndebugger;", f"+  {NEXT}\n+\n+  debugger;"),
        ("/* eslint-disable */\na();", "/* eslint-disable */\n+b();"),
        ("/* eslint\n  no-debugger: off */\na();", "+b();\n/* eslint\n  no-debugger: off */\na();"),
        ("# ruff: noqa\nimport os", "+#!/usr/bin/python\n+# ruff: noqa\nimport os"),
        ("x = 1  # noqa\ny", "+if z:\n+    x = 1  # noqa\n+    w = y"),
        ("", "+# shellcheck shell=bash\n+a"),
    ],
    ids=["moved", "indented", "of the whole file", "options", "a line above", "moved with its code", "which shell"],
)
def test_a_comment_that_the_base_has_stays(base: str, head: str) -> None:
    assert read(base, head) == head.replace("+", "")


def test_a_hostile_line_is_read() -> None:
    for start in ("#shellcheck ", "/* eslint "):
        assert without_new(start * 80_000 + "# noqa", "", {1}, OF_ALL).endswith("# xxxx")
