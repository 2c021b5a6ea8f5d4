"""Parsers of untrusted input read it or refuse it. `make fuzz` searches further."""

import json
import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reviews.findings import Finding, Severity, Suggestion, bounded
from reviews.github.patches import BadPatch, parse_hunks
from tests.support import hostile
from tests.support.webhooks import check_payload, comment_payload, pull_request_payload, reply_payload

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


# The intake, without its database; tests/reviews/intake/test_webhook_fuzz.py has it whole

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@fuzzed
@given(
    event=st.sampled_from(
        ["pull_request", "issue_comment", "pull_request_review_comment", "check_run", "installation", "ping", "push"]
    ),
    part=st.sampled_from(
        ["action", "pull_request", "issue", "comment", "check_run", "repository", "installation", "sender"]
    ),
    value=json_values,
    broken=st.binary(max_size=6),
    at=st.integers(0, 400),
)
def test_the_intake_reads_or_refuses(event: str, part: str, value: object, broken: bytes, at: int) -> None:
    payloads = {
        "issue_comment": comment_payload,
        "pull_request_review_comment": reply_payload,
        "check_run": check_payload,
    }
    base = payloads.get(event, pull_request_payload)()
    body = json.dumps(base | {part: value}).encode()
    hostile.check_intake("d-1", event, body)
    hostile.check_intake("d-1", event, body[:at] + broken + body[at:])


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
@given(st.lists(st.sampled_from([" a", "+b", "-c"]), min_size=1, max_size=30), st.integers(1, 10**6))
def test_the_patch_parser_reads_every_patch_that_is_in_order(lines: list[str], start: int) -> None:
    new = [line for line in lines if line[0] != "-"]
    old = [line for line in lines if line[0] != "+"]
    patch = "\n".join([f"@@ -{start},{len(old)} +{start},{len(new)} @@", *lines])
    expected = {start + number for number, line in enumerate(new) if line[0] == "+"}
    assert {line for hunk in parse_hunks(patch) for line in hunk.added} == expected


# .kodiai.yml

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


# Settings of other linters, in each format

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
ini = st.lists(linter_words | st.sampled_from(["[flake8]", "=", "\n", "\n  ", ",", ":", "#"]), max_size=30).map(
    " ".join
)
toml_pieces = st.sampled_from(
    ["[tool.ruff]\n", "lint.ignore = ", "['F']\n", "builtins", " = ", "[", "]", "'x'", "\n", "."]
)


@fuzzed
@given(
    st.sampled_from(hostile.LINTER_FILES),
    documents.map(json.dumps) | ini | st.lists(toml_pieces | st.text(max_size=3), max_size=20).map("".join),
)
@example(".python-version", "3." + "9" * 5000)
def test_settings_of_linters_are_read_or_named(path: str, text: str) -> None:
    hostile.check_linters(path, text)


# The output of an engine

locations = st.fixed_dictionaries({"row": st.integers(-1, 6) | json_values, "column": st.integers(0, 9)})
good_locations = st.fixed_dictionaries({"row": st.integers(1, 6), "column": st.integers(1, 9)})
edits = st.fixed_dictionaries({"content": markup, "location": good_locations, "end_location": good_locations})
entries = st.fixed_dictionaries(
    {
        "filename": st.sampled_from([f"{ROOT}/{name}" for name in FILES] * 3 + [f"{ROOT}/../etc/passwd", "", "a.py"]),
        "location": good_locations | locations,
        "end_location": good_locations,
        "code": st.sampled_from(["F401", "E999", None]) | markup,
        "message": markup,
        "url": st.sampled_from([hostile.RULE_URL, None]) | markup,
        "fix": st.none()
        | st.fixed_dictionaries(
            {
                "applicability": st.sampled_from(["safe", "unsafe"]),
                "message": markup,
                "edits": st.lists(edits, max_size=3),
            }
        ),
    }
)


@fuzzed
@given(st.lists(entries, max_size=3))
def test_the_output_of_an_engine_is_read_or_refused(output: list[object]) -> None:
    hostile.check_engine_output(json.dumps(output).encode(), FILES, ROOT)


@fuzzed
@given(json_values, st.binary(max_size=40))
@example(None, b"[" * 100_000)
def test_nonsense_from_an_engine_is_refused(output: object, raw: bytes) -> None:
    for check in (hostile.check_engine_output, hostile.check_sarif):
        check(json.dumps(output).encode(), FILES, ROOT)
        check(raw, FILES, ROOT)


# SARIF: each part is in order, a variation of it, absent, or anything at all

indexes = st.integers(-1, 3)
uris = st.sampled_from([*FILES, f"file://{ROOT}/a.py", "%61.py", "./a.py", "../a.py", "b/", "file://[", "//x:y", ""])
texts = st.fixed_dictionaries({}, optional={"text": markup | st.just("{0}{1}{{[x](1)"), "markdown": markup})
messages = texts.flatmap(
    lambda text: st.fixed_dictionaries(
        {}, optional={"id": st.just("m"), "arguments": st.lists(markup, max_size=2)}
    ).map(lambda more: text | more)
)
artifacts = st.fixed_dictionaries({}, optional={"uri": uris, "uriBaseId": st.sampled_from("AB"), "index": indexes})
regions = st.fixed_dictionaries(
    {},
    optional={
        "startLine": st.integers(1, 6),
        "startColumn": st.integers(1, 9),
        "endLine": st.integers(1, 6),
        "endColumn": st.integers(1, 9),
        "charOffset": indexes,
    },
)
changes = st.fixed_dictionaries(
    {
        "artifactLocation": artifacts,
        "replacements": st.lists(
            st.fixed_dictionaries({"deletedRegion": regions}, optional={"insertedContent": texts}), max_size=3
        ),
    }
)
references = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["R", "R/1", ""]),
        "index": indexes,
        "toolComponent": st.fixed_dictionaries({}, optional={"index": indexes, "name": st.just("x")}),
    },
)
results = st.fixed_dictionaries(
    {},
    optional={
        "ruleId": st.sampled_from(["R", "R/1"]) | markup,
        "ruleIndex": indexes,
        "rule": references,
        "kind": st.sampled_from(["fail", "pass"]),
        "level": st.sampled_from(["error", "note", "none"]),
        "message": messages,
        "locations": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "physicalLocation": st.fixed_dictionaries(
                        {"artifactLocation": artifacts}, optional={"region": regions}
                    )
                },
            ),
            max_size=3,
        ),
        "fixes": st.lists(
            st.fixed_dictionaries({"artifactChanges": st.lists(changes, max_size=2)}, optional={"description": texts}),
            max_size=2,
        ),
    },
)
rules = st.fixed_dictionaries(
    {"id": st.sampled_from(["R", ""])},
    optional={
        "helpUri": st.just(hostile.RULE_URL) | markup,
        "messageStrings": st.dictionaries(st.just("m"), texts),
        "properties": st.fixed_dictionaries({"security-severity": st.sampled_from(["nan", "9", 1e308, ""]) | markup}),
    },
)
components = st.fixed_dictionaries({"rules": st.lists(rules, max_size=2)}, optional={"name": st.just("x") | markup})
runs = st.fixed_dictionaries(
    {
        "tool": st.fixed_dictionaries(
            {"driver": components}, optional={"extensions": st.lists(components, max_size=2)}
        ),
        "results": st.lists(results, max_size=4),
    },
    optional={
        "artifacts": st.lists(st.fixed_dictionaries({"location": artifacts}), max_size=3),
        "originalUriBaseIds": st.dictionaries(st.sampled_from("AB"), artifacts),
        "columnKind": st.sampled_from(["utf16CodeUnits", "unicodeCodePoints"]),
    },
)


@fuzzed
@given(st.lists(runs, max_size=2))
def test_sarif_of_every_shape_is_read_or_refused(runs: list[object]) -> None:
    hostile.check_sarif(json.dumps({"version": "2.1.0", "runs": runs}).encode(), FILES, ROOT)


@fuzzed
@given(runs, st.sampled_from(["tool", "results", "artifacts", "originalUriBaseIds", "columnKind"]), json_values)
def test_sarif_with_anything_in_one_place_is_read_or_refused(
    run: dict[str, object], part: str, anything: object
) -> None:
    hostile.check_sarif(json.dumps({"version": "2.1.0", "runs": [run | {part: anything}]}).encode(), FILES, ROOT)


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
@given(findings)
def test_a_comment_holds_no_markup_but_our_own(finding: Finding) -> None:
    hostile.check_comment(finding)


@fuzzed
@given(st.lists(findings, max_size=3), st.lists(markup, max_size=3), markup)
def test_a_summary_holds_no_markup_but_our_own(found: list[Finding], names: list[str], words: str) -> None:
    hostile.check_summary(found, names, words)


def test_a_patch_larger_than_any_of_githubs_is_refused() -> None:
    for patch in ("@@ -0,0 +1,60000 @@" + "\n+" * 60_000, "@@ -0,0 +1 @@\n+" + "x" * 3_000_000):
        with pytest.raises(BadPatch, match="exceeds GitHub's limits"):
            parse_hunks(patch)
