"""Parsers of untrusted input read it or refuse it. `make fuzz` searches further."""

import json
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reviews.findings import Finding, Severity, Suggestion, bounded
from reviews.github.patches import BadPatch, parse_hunks
from tests.reviews.spoiling import json_values, spoilt
from tests.support import hostile

ROOT = "/scratch"
FILES = {"a.py": "import os\nx = f'a'\n\n", "cr.py": "x = 1\rimport os\r\n\ty = 2", "b/c.py": ""}

fuzzed = settings(deadline=None)


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """A reader that never comes back is an error, and not a run of the suite without end."""

    def hung(number: int, frame: FrameType | None) -> None:
        raise AssertionError("it hangs")

    signal.signal(signal.SIGALRM, hung)
    signal.alarm(120)
    yield
    signal.alarm(0)


markup = st.lists(st.sampled_from(hostile.MARKUP) | st.text(max_size=8), max_size=8).map("".join)

# The patch parser

hunk_lines = st.lists(
    st.sampled_from([" ", "+", "-", "\\ No newline at end of file", "+++ b/x", "--- a/x", "@@ -1 +1 @@", "\r", "\x0c"])
    | st.text(max_size=5),
    max_size=8,
)
numbers = st.integers(0, 9).map(str) | st.integers(0, 10**30).map(str) | st.just("9" * 5000)


@fuzzed
@given(st.lists(st.tuples(numbers, numbers, numbers, numbers, hunk_lines), max_size=4))
def test_the_patch_parser_reads_or_refuses(hunks: list[tuple[str, str, str, str, list[str]]]) -> None:
    lines: list[str] = []
    for old, old_length, new, new_length, body in hunks:
        lines += [f"@@ -{old},{old_length} +{new},{new_length} @@ x", *body]
    hostile.check_patch("\n".join(lines))


@fuzzed
@given(st.text())
def test_no_text_is_more_than_a_bad_patch(text: str) -> None:
    hostile.check_patch(text)
    hostile.check_patch(f"@@ -1 +1 @@\n{text}")


@fuzzed
@given(st.lists(st.sampled_from([" a", "+b", "-c"]), min_size=1, max_size=30), st.integers(1, 10**6))
def test_the_patch_parser_reads_every_patch_that_is_in_order(lines: list[str], start: int) -> None:
    new = [line for line in lines if line[0] != "-"]
    old = [line for line in lines if line[0] != "+"]
    patch = "\n".join([f"@@ -{start},{len(old)} +{start},{len(new)} @@", *lines])
    expected = {start + number for number, line in enumerate(new) if line[0] == "+"}
    assert {line for hunk in parse_hunks(patch) for line in hunk.added} == expected


def test_a_patch_larger_than_any_of_githubs_is_refused() -> None:
    for patch in ("@@ -0,0 +1,60000 @@" + "\n+" * 60_000, "@@ -0,0 +1 @@\n+" + "x" * 3_000_000):
        with pytest.raises(BadPatch, match="exceeds GitHub's limits"):
            parse_hunks(patch)


# .kodiai.yml, and the settings of other linters in each format

yaml_words = (
    "telemetry: enabled: - ? : { } [ ] , &a *a !!int !x true ~ 1:30 2001-01-01 0x 1e5 .inf ' \" | > # % @ ` <<: ---"
)
yaml_pieces = st.sampled_from([*yaml_words.split(), " ", "  ", "\n", "\t", ": ", "- "])


@fuzzed
@given(st.lists(yaml_pieces | st.text(max_size=3), max_size=30).map("".join))
@example("telemetry: " + ":".join(["59"] * 2000) + ".5")
@example("telemetry: !!bool x")
def test_a_configuration_is_read_or_named(text: str) -> None:
    hostile.check_config(text)


linter_names = (
    "tool ruff lint ignore per-file-ignores select F ALL F821 rules off overrides files * ** !a {a,b} globals x linter "
    "level ignored override info DL3006 disable SC2086-SC2090 all flake8 project requires-python >=3.9 default extend "
    "extend-words builtins exclude"
)
linter_words = st.sampled_from(linter_names.split())
documents = st.recursive(
    linter_words | json_values,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(linter_words, inner, max_size=4),
    max_leaves=12,
)
ini = st.lists(linter_words | st.sampled_from(["[flake8]", "=", "\n", "\n  ", ",", ":", "#"]), max_size=30)
toml = st.lists(
    st.sampled_from(["[tool.ruff]\n", "lint.ignore = ", "['F']\n", "builtins", " = ", "[", "]", "'x'", "\n", "."])
    | st.text(max_size=3),
    max_size=20,
)


@fuzzed
@given(st.sampled_from(hostile.LINTER_FILES), documents.map(json.dumps) | ini.map(" ".join) | toml.map("".join))
@example(".python-version", "3." + "9" * 5000)
def test_settings_of_linters_are_read_or_named(path: str, text: str) -> None:
    hostile.check_linters(path, text)


# The output of an engine

LOCATION = {"row": 1, "column": 1}
EDIT = {"content": "", "location": LOCATION, "end_location": {"row": 2, "column": 1}}
OUTPUT = [
    {
        "filename": f"{ROOT}/{name}",
        "location": LOCATION,
        "end_location": {"row": 1, "column": 5},
        "code": "F401",
        "message": "`os` imported but unused",
        "url": hostile.RULE_URL,
        "fix": {"applicability": "safe", "message": "Remove it", "edits": [EDIT, EDIT]},
    }
    for name in FILES
]
strings = st.sampled_from([f"{ROOT}/a.py", f"{ROOT}/../etc/passwd", "", "a.py", "E999", "unsafe"])


@fuzzed
@given(spoilt(OUTPUT, strings | markup, most=8))
def test_the_output_of_an_engine_is_read_or_refused(output: object) -> None:
    hostile.check_engine_output(json.dumps(output).encode(), FILES, ROOT)


@fuzzed
@given(json_values, st.binary(max_size=40))
@example(None, b"[" * 100_000)
def test_nonsense_from_an_engine_is_refused(output: object, raw: bytes) -> None:
    for check in (hostile.check_engine_output, hostile.check_sarif):
        check(json.dumps(output).encode(), FILES, ROOT)
        check(raw, FILES, ROOT)


REGION = {"startLine": 1, "startColumn": 1, "endLine": 2, "endColumn": 7, "charOffset": 0}
FILE = {"uri": "a.py", "uriBaseId": "A", "index": 0}
CHANGE = {"deletedRegion": REGION, "insertedContent": {"text": "x"}}
RULES = [
    {"id": "R", "helpUri": hostile.RULE_URL, "messageStrings": {"m": {"text": "{0} of {1}"}}},
    {"id": "S", "properties": {"security-severity": "9.0"}},
]
FIX = {
    "description": {"markdown": "`x`"},
    "artifactChanges": [{"artifactLocation": FILE, "replacements": [CHANGE, CHANGE]}],
}
RESULT = {
    "ruleId": "R/1",
    "ruleIndex": 0,
    "kind": "fail",
    "level": "note",
    "suppressions": [{"status": "rejected"}],
    "rule": {"id": "R", "index": 0, "toolComponent": {"index": 0, "name": "x"}},
    "message": {"id": "m", "arguments": ["a", "b"], "text": "{0}{1}{{[x](1)", "markdown": "`x`"},
    "locations": [{"physicalLocation": {"artifactLocation": FILE, "region": REGION}}],
    "fixes": [FIX],
}
RUN = {
    "tool": {"driver": {"name": "x", "rules": RULES}, "extensions": [{"name": "x", "rules": RULES}]},
    "artifacts": [{"location": {"uri": "b/c.py"}}],
    "originalUriBaseIds": {"A": {"uri": f"file://{ROOT}/", "uriBaseId": "B"}, "B": {"uri": "b/"}},
    "columnKind": "utf16CodeUnits",
    "results": [RESULT, RESULT],
}
uris = st.sampled_from([*FILES, f"file://{ROOT}/a.py", "%61.py", "./a.py", "../a.py", "b/", "file://[", "//x:y", ""])
words = st.sampled_from(["A", "B", "S", "m", "x", "pass", "error", "none", "unicodeCodePoints", "nan", "1e308"])


@fuzzed
@given(spoilt([RUN], uris | words | markup, most=12))
def test_sarif_of_every_shape_is_read_or_refused(runs: Any) -> None:
    hostile.check_sarif(json.dumps({"version": "2.1.0", "runs": runs}).encode(), FILES, ROOT)


# Markdown

findings = st.builds(
    Finding,
    path=markup,
    start_line=st.just(1),
    end_line=st.just(1),
    severity=st.sampled_from(Severity),
    rule=markup.filter(bool),
    message=markup,
    rule_url=st.just(hostile.RULE_URL) | markup,
    suggestion=st.none() | st.builds(Suggestion, st.just(1), st.just(1), st.none() | markup),
    fix=markup,
).map(bounded)


@fuzzed
@given(st.lists(findings, max_size=3), st.lists(markup, max_size=3), markup)
def test_comments_and_summaries_hold_no_markup_but_our_own(found: list[Finding], names: list[str], said: str) -> None:
    for finding in found:
        hostile.check_comment(finding)
    hostile.check_summary(found, names, said)
