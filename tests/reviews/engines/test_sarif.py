"""The SARIF reader: rules, messages and places as real tools print them, and what is refused."""

import json

import pytest

from reviews.engines import sarif
from reviews.engines.sarif import read
from reviews.findings import Finding, Severity, Suggestion
from tests.support.sarif import FILES, Json, document, fix, one, result, span

# As the tools print it


def test_codeql_rules_in_extensions_are_read() -> None:
    rule = {
        "id": "py/code-injection",
        "shortDescription": {"text": "Code injection"},
        "defaultConfiguration": {"enabled": True, "level": "error"},
        "properties": {"tags": ["security"], "precision": "high", "security-severity": "9.3"},
    }
    file = {"uri": "src/app.py", "uriBaseId": "%SRCROOT%", "index": 0}
    place = {"artifactLocation": file, "region": {"startLine": 5, "startColumn": 17, "endColumn": 21}}
    said = {
        "ruleId": rule["id"],
        "rule": {"id": rule["id"], "index": 1, "toolComponent": {"index": 0}},
        "message": {"text": "This code execution depends on a [user-provided value](1)."},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"primaryLocationLineHash": "39fa2ee980eb94b0:1"},
        "codeFlows": [{"threadFlows": [{"locations": [{"location": {}}]}]}],
        "relatedLocations": [{"id": 1, "physicalLocation": {"artifactLocation": {"uri": "src/app.py"}}}],
    }
    extension = {"name": "codeql/python-queries", "rules": [{"id": "py/other"}, rule]}
    tool = {"driver": {"name": "CodeQL", "semanticVersion": "2.20.0", "rules": []}, "extensions": [extension]}
    more = {"columnKind": "utf16CodeUnits", "newlineSequences": ["\r\n", "\n", "\u2028", "\u2029"]}
    assert one(document(said, tool=tool, artifacts=[{"location": file}], **more)) == Finding(
        path="src/app.py",
        start_line=5,
        end_line=5,
        severity=Severity.CRITICAL,
        rule="py/code-injection",
        message="This code execution depends on a user-provided value.",
        snippet="    return eval(name)",
    )


def test_suppressed_results_are_left_out_unless_rejected() -> None:
    """As Semgrep prints them."""
    silenced = result() | {"suppressions": [{"kind": "inSource"}]}
    refused = result() | {"suppressions": [{"kind": "external", "status": "rejected"}]}
    invocation = {"executionSuccessful": True, "toolExecutionNotifications": [{"message": {"text": "no"}}]}
    assert len(read(document(result(), silenced, refused, invocations=[invocation]), FILES)) == 2


def test_absolute_paths_are_read() -> None:
    """As Bandit prints them."""
    region = {
        "startLine": 5,
        "endLine": 5,
        "startColumn": 12,
        "endColumn": 22,
        "snippet": {"text": "    return eval(…"},
    }
    place = {"artifactLocation": {"uri": "file:///scratch/src/app.py"}, "region": region}
    place["contextRegion"] = {"startLine": 4, "endLine": 5}
    found = one(document(result(locations=[{"physicalLocation": place}])))
    assert (found.path, found.start_line, found.end_line) == ("src/app.py", 5, 5)


def test_hadolint_has_no_rules_and_empty_regions() -> None:
    place = {"artifactLocation": {"uri": "./src/app.py"}}
    region = {"startLine": 5, "startColumn": 1, "endLine": 5, "endColumn": 1, "sourceLanguage": "sh"}
    empty = [{"physicalLocation": place | {"region": region}}]
    found = one(document(result(level="note", locations=empty)))
    assert (found.start_line, found.end_line, found.severity) == (5, 5, Severity.INFO)


def test_typos_has_no_rule_ids_markdown_for_text_and_fixes() -> None:
    region = {"startLine": 2, "startColumn": 3, "endLine": 2, "endColumn": 6}
    said = {
        "level": "error",
        "message": {"markdown": "`teh` should be `the`"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "./ä.md"}, "region": region}}],
        "fixes": [fix((region, "the"), uri="./ä.md")],
    }
    found = one(document(said, columnKind="unicodeCodePoints", tool={"driver": {"name": "typos"}}))
    assert (found.rule, found.message) == ("typos", "`teh` should be `the`")
    assert found.suggestion == Suggestion(2, 2, "😀 the é teh")
    assert found.fix == "put it right"


def test_names_stand_as_they_are_or_escaped() -> None:
    as_it_is, escaped = read(document(result("b c%41.js", 1), result("b%20c%2541.js", 1)), FILES)
    assert as_it_is.path == escaped.path == "b c%41.js"
    assert one(document(result("%C3%A4.md", 1))).path == "ä.md"


# Rules


def test_a_rule_is_found_by_index_id_or_id_prefix() -> None:
    rules = [{"id": "A", "helpUri": "https://a"}, {"id": "B", "helpUri": "https://b"}]
    ways = [
        {"ruleId": "B", "ruleIndex": 1},
        {"ruleId": "B"},
        {"ruleId": None, "ruleIndex": 1},
        {"ruleId": None, "rule": {"id": "B"}},
        {"ruleId": None, "rule": {"index": 1}},
        {"ruleId": "B/fine", "ruleIndex": 1},
        {"ruleId": "B/fine"},
        # Of two that disagree the name is the one that people read.
        {"ruleId": "B", "ruleIndex": 0},
        {"ruleId": "B", "ruleIndex": 99},
    ]
    found = read(document(*(result(**way) for way in ways), rules=rules), FILES)
    assert [finding.rule_url for finding in found] == ["https://b"] * len(ways)
    assert [finding.rule for finding in found] == ["B"] * 5 + ["B/fine"] * 2 + ["B"] * 2


def test_an_extension_is_found_by_its_index_or_its_name() -> None:
    tool = {"driver": {"name": "tool"}, "extensions": [{"name": "x"}, {"name": "y", "rules": [{"id": "Y"}]}]}
    by_index, by_name, by_nothing = (
        result(ruleId=None, rule={"index": 0, "toolComponent": component})
        for component in ({"index": 1}, {"name": "y"}, {"index": 2})
    )
    found = read(document(by_index, by_name, by_nothing, tool=tool), FILES)
    assert [finding.rule for finding in found] == ["Y", "Y", "tool"]


@pytest.mark.parametrize(
    ("level", "rule", "severity"),
    [
        ("error", {}, Severity.MAJOR),
        (None, {}, Severity.MINOR),
        ("note", {"defaultConfiguration": {"level": "error"}}, Severity.INFO),
        (None, {"defaultConfiguration": {"level": "error"}}, Severity.MAJOR),
        (None, {"defaultConfiguration": {}}, Severity.MINOR),
        ("note", {"properties": {"security-severity": "9.8"}}, Severity.CRITICAL),
        ("note", {"properties": {"security-severity": 7.0}}, Severity.MAJOR),
        ("error", {"properties": {"security-severity": "4"}}, Severity.MINOR),
        ("error", {"properties": {"security-severity": "0.0"}}, Severity.INFO),
        ("error", {"properties": {"security-severity": "high"}}, Severity.MAJOR),
    ],
)
def test_security_severity_comes_before_result_and_rule_levels(
    level: str | None, rule: Json, severity: Severity
) -> None:
    said = result() | ({} if level is None else {"level": level})
    assert one(document(said, rules=[{"id": "R1"} | rule])).severity == severity


# Messages


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"text": "{0} and {1}, {{0}}", "arguments": ["a", "b"]}, "a and b, {0}"),
        ({"text": "{0} and {1}", "arguments": ["{1}"]}, "{1} and {1}"),
        ({"text": "a {0} of no arguments, {{}}"}, "a {0} of no arguments, {{}}"),
        ({"id": "mine", "arguments": ["x"]}, "x of the rule"),
        ({"id": "shared"}, "of all rules"),
        ({"id": "unknown"}, "in short"),
        ({}, "in short"),
        ({"text": "see [here](2) and [there](https://example.com) and \\[this](1)"}, None),
    ],
)
def test_a_message_is_filled_in_or_looked_up(message: Json, words: str | None) -> None:
    rule = {
        "id": "R1",
        "messageStrings": {"mine": {"text": "{0} of the rule"}},
        "shortDescription": {"text": "in short"},
    }
    tool = {"driver": {"name": "t", "rules": [rule], "globalMessageStrings": {"shared": {"text": "of all rules"}}}}
    found = one(document(result(message=message), tool=tool))
    assert found.message == (words or "see here and [there](https://example.com) and \\[this](1)")


# Places


@pytest.mark.parametrize(
    ("region", "lines"),
    [
        ({"startLine": 4}, (4, 4)),
        ({"startLine": 4, "endLine": 5}, (4, 5)),
        ({"startLine": 4, "endLine": 5, "endColumn": 1}, (4, 4)),
        ({"startLine": 4, "endLine": 2}, (4, 4)),
        ({"startLine": 4, "startColumn": 1, "endColumn": 1}, (4, 4)),
        (None, (1, 1)),
    ],
)
def test_a_region_is_lines(region: Json | None, lines: tuple[int, int]) -> None:
    place = {"artifactLocation": {"uri": "src/app.py"}} | ({} if region is None else {"region": region})
    found = one(document(result(locations=[{"physicalLocation": place}])))
    assert (found.start_line, found.end_line) == lines


def test_what_has_no_line_in_a_changed_file_is_left_out() -> None:
    by_characters = {"artifactLocation": {"uri": "src/app.py"}, "region": {"charOffset": 3, "charLength": 2}}
    elsewhere = (
        "src/other.py",
        "../src/app.py",
        "/src/app.py",
        "https://example.com/src/app.py",
        "file://host/src/app.py",
    )
    nowhere = [
        result(locations=[]),
        result(locations=[{"logicalLocations": [{"name": "load"}]}]),
        result(locations=[{"physicalLocation": by_characters}]),
        result(locations=[{"physicalLocation": {"artifactLocation": {"index": 3}, "region": {"startLine": 1}}}]),
        *(result(uri) for uri in elsewhere),
    ]
    assert read(document(*nowhere), FILES) == []
    # Of several places the first that is one counts.
    places = [*nowhere[2]["locations"], *nowhere[4]["locations"], *result()["locations"]]
    assert one(document(result(locations=places))).start_line == 5


def test_a_base_is_looked_up_and_bases_in_a_circle_end() -> None:
    bases = {
        "ROOT": {"uri": "file:///scratch/"},
        "SRC": {"uri": "src/", "uriBaseId": "ROOT"},
        "A": {"uri": "x/", "uriBaseId": "A"},
        "UNSAID": {"description": {"text": "where it was run"}},
    }

    def at(uri: str, base: str) -> Json:
        place = {"artifactLocation": {"uri": uri, "uriBaseId": base}, "region": {"startLine": 5}}
        return result(locations=[{"physicalLocation": place}])

    right = [at("app.py", "SRC"), at("src/app.py", "ROOT"), at("src/app.py", "UNSAID"), at("src/app.py", "NONE")]
    found = read(document(*right, at("app.py", "A"), originalUriBaseIds=bases), FILES, "/scratch")
    assert [finding.path for finding in found] == ["src/app.py"] * 4


def test_an_artifact_is_found_by_its_index() -> None:
    place = {"artifactLocation": {"index": 1}, "region": {"startLine": 5}}
    artifacts = [{"location": {"uri": "x"}}, {"location": {"uri": "src/app.py"}}]
    assert one(document(result(locations=[{"physicalLocation": place}]), artifacts=artifacts)).path == "src/app.py"


def test_only_what_is_wrong_now_is_a_finding() -> None:
    kinds = [{"kind": kind} for kind in ("pass", "open", "informational", "notApplicable", "review")]
    assert read(document(*(result(**kind) for kind in kinds), result(baselineState="absent")), FILES) == []
    assert len(read(document(result(kind="fail"), result(baselineState="new")), FILES)) == 2


def test_several_runs_are_read_and_one_without_results_is_none() -> None:
    runs = [*json.loads(document(result()))["runs"], *json.loads(document(result(line=1)))["runs"]]
    runs.append({"tool": {"driver": {"name": "broken"}}})
    log = b"\xef\xbb\xbf" + json.dumps({"version": "2.1.0", "runs": runs}).encode()
    assert [finding.start_line for finding in read(log, FILES)] == [5, 1]


def test_a_lone_carriage_return_is_no_line_to_git() -> None:
    files = {"a.js": "x\ry\r\nz\n"}
    said = document(result("a.js", 3))
    assert [finding.start_line for finding in read(said, files, lone_returns=True)] == [2]
    assert [finding.start_line for finding in read(said, files)] == [3]


# What is refused


@pytest.mark.parametrize(
    "refused",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"version": "2.0.0", "runs": []}',
        b'{"version": "2.1.0", "runs": 1}',
        b'{"version": "2.1.0", "runs": [{}]}',
        document(result(line=0)),
        document(result(line=-1)),
        document(result(line=10**30)),
        document(result() | {"locations": [{"physicalLocation": {"region": {"startLine": "1"}}}]}),
        document(result(level="fatal")),
        document(result("ä.md", 2, fixes=[fix((span(7, 4), "x"))]), columnKind="utf16CodeUnits"),
        json.dumps({"version": "2.1.0", "runs": json.loads(document())["runs"] * 21}).encode(),
        b"[" * 100_000,
        b'{"version": "2.1.0", "runs": [{"tool": ' + b'{"driver": ' * 10_000,
        b" " * sarif.MAX_BYTES + document(),
    ],
    ids=range(17),
)
def test_what_is_not_sarif_is_refused(refused: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(refused, FILES)


@pytest.mark.slow
def test_more_results_than_the_limit_are_refused() -> None:
    with pytest.raises(ValueError, match=str(sarif.MAX_RESULTS)):
        read(document(*[result()] * (sarif.MAX_RESULTS + 1)), FILES)
