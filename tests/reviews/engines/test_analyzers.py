"""Each analyzer finds its kind of fault, ignores the pull request's configuration, and counts lines as git does."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from reviews import engines
from reviews.engines.analyzer import Analyzer, AnalyzerFailed, run_analyzer
from reviews.engines.analyzers import ANALYZERS
from reviews.findings import Finding, Severity, Suggestion, fingerprinted

BY_NAME = {analyzer.name: analyzer for analyzer in ANALYZERS}
TOKEN = "glpat-" + "Zk3vQ8xW1nB7tY5rL2cD"
WORKFLOW = """\
on: issues
permissions: {}
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - run: echo "${{ github.event.issue.title }}"
"""
WRONG: Mapping[str, tuple[str, str, str, int]] = {
    # analyzer: a name of a file it reads, what is wrong there, by which rule, on which line
    "ruff": ("wrong.py", "import os\n", "F401", 1),
    "oxlint": ("wrong.js", "debugger;\n", "eslint(no-debugger)", 1),
    "shellcheck": ("wrong.sh", "#!/bin/sh\nrm $1\n", "SC2086", 2),
    "hadolint": ("wrong.Dockerfile", "FROM debian:12\nCMD true\nCMD false\n", "DL4003", 3),
    "zizmor": (".github/workflows/wrong.yml", WORKFLOW, "zizmor/template-injection", 7),
    "secrets": ("wrong.env", f"A=1\nTOKEN={TOKEN}\n", "gitlab-token", 2),
    "typos": ("wrong.md", "We recieve it.\n", "typo", 1),
}

every = pytest.mark.parametrize("name", BY_NAME)


def rules(findings: list[Finding]) -> set[tuple[str, str, int]]:
    return {(finding.path, finding.rule, finding.start_line) for finding in findings}


def test_every_analyzer_has_its_licence_and_a_test() -> None:
    assert set(WRONG) == set(BY_NAME)
    assert all(analyzer.licence and analyzer.url for analyzer in ANALYZERS)


@every
def test_a_path_may_hold_whatever_a_path_may_hold(name: str) -> None:
    path, text, rule, line = WRONG[name]
    directory, _, last = path.rpartition("/")
    odd = ["-rf ", "a b%41#?", "[id]", "é😀", "new\nline", "'\"$(x)`&;", "@x", "wrong.min.", "-min.", "y_min."]
    paths = [f"{directory}/{start}{last}".lstrip("/") for start in odd]
    if "/" not in path:
        paths += [f"{above}/{path}" for above in ("node_modules", ".hidden", "vendor", "-C", "a b/c")]
    found = rules(run_analyzer(BY_NAME[name], dict.fromkeys(paths, text)))
    reported = {path for path, reported, at in found if (reported, at) == (rule, line)}
    assert reported == set(paths)


# Everything that would silence the analyzers, if they obeyed it.
SILENCE = {
    ".oxlintrc.json": '{"rules": {"no-debugger": "off"}, "ignorePatterns": ["**"]}',
    "oxlint.config.ts": 'export default { rules: { "no-debugger": "off" }, ignorePatterns: ["**"] };',
    ".eslintrc.json": '{"rules": {"no-debugger": "off"}}',
    "eslint.config.js": 'export default [{ rules: { "no-debugger": "off" } }];',
    "package.json": '{"eslintConfig": {"rules": {"no-debugger": "off"}}, "oxlint": {"ignorePatterns": ["**"]}}',
    "tsconfig.json": '{"extends": "/etc/passwd", "exclude": ["**"], "files": []}',
    ".shellcheckrc": "disable=all\n",
    "shellcheckrc": "disable=all\n",
    ".hadolint.yaml": "ignored: [DL4003]\n",
    ".hadolint.yml": "ignored: [DL4003]\n",
    ".config/hadolint.yaml": "ignored: [DL4003]\n",
    "zizmor.yml": "rules:\n  template-injection:\n    disable: true\n",
    ".github/zizmor.yml": "rules:\n  template-injection:\n    disable: true\n",
    ".github/workflows/zizmor.yml": "rules:\n  template-injection:\n    disable: true\n",
    "typos.toml": '[default.extend-words]\nrecieve = "recieve"\n[files]\nextend-exclude = ["*"]\n',
    ".typos.toml": '[default.extend-words]\nrecieve = "recieve"\n[files]\nextend-exclude = ["*"]\n',
    "_typos.toml": '[files]\nextend-exclude = ["*"]\n',
    "Cargo.toml": '[workspace.metadata.typos.files]\nextend-exclude = ["*"]\n',
    "pyproject.toml": '[tool.typos.files]\nextend-exclude = ["*"]\n[tool.ruff]\nexclude = ["*"]\n',
    "ruff.toml": 'exclude = ["*"]\n',
    ".secrets.baseline": "{}",
    ".gitleaks.toml": "[allowlist]\npaths = ['.*']\n",
    ".gitignore": "*\n",
    ".ignore": "*\n",
    ".eslintignore": "**\n",
    ".oxlintignore": "**\n",
    ".prettierignore": "**\n",
}


@every
def test_no_configuration_among_the_files_is_used(name: str) -> None:
    path, text, rule, line = WRONG[name]
    files = {path: text, **SILENCE}
    mine = {each: files[each] for each in files if BY_NAME[name].reads(each)}
    assert (path, rule, line) in rules(run_analyzer(BY_NAME[name], mine))


@every
def test_no_configuration_beside_or_above_the_files_is_used(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, text, rule, line = WRONG[name]
    # Anybody may write to /tmp; and an analyzer may come to read one more kind of file.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for silence, words in SILENCE.items():
        target = tmp_path / silence
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(words)
    written = {silence: words for silence, words in SILENCE.items() if "workflows" not in silence}

    def write_more(files: Mapping[str, str], root: str) -> None:
        write(dict(files) | written, root)

    write = engines.analyzer._write
    monkeypatch.setattr(engines.analyzer, "_write", write_more)
    assert (path, rule, line) in rules(run_analyzer(BY_NAME[name], {path: text}))


HOOK = "export function A(p) {\n  if (p.x) {\n    useState(1);\n  }\n}\n"


@pytest.mark.parametrize(
    ("name", "path", "text", "rule"),
    [
        *((name, path, text, rule) for name, (path, text, rule, _) in WRONG.items() if BY_NAME[name].suppression),
        ("oxlint", "a.jsx", HOOK, "react-hooks(rules-of-hooks)"),
        ("hadolint", "Dockerfile", "FROM debian\n", "DL3006"),
        ("ruff", "a.py", "f'{x}'\n", "F821"),
    ],
)
def test_a_finding_says_how_to_suppress_it_and_that_works(name: str, path: str, text: str, rule: str) -> None:
    found = run_analyzer(BY_NAME[name], {path: text})
    (finding,) = (finding for finding in found if finding.rule == rule)
    (comment,) = re.findall("`(.+)`", finding.suppression)
    lines = text.split("\n")
    if finding.suppression.endswith("on the line before"):
        lines.insert(finding.start_line - 1, comment)
    else:
        lines[finding.start_line - 1] += f"  # {comment.removeprefix('# ')}"
    assert rule not in {left.rule for left in run_analyzer(BY_NAME[name], {path: "\n".join(lines)})}


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("ruff", "x = 1\ry = 2\r\nimport os\n", 2),
        ("oxlint", "var x = 1;\rvar y = 2;\r\ndebugger;\n", 2),
        ("oxlint", "var x = '\u2028';\ndebugger;\n", 2),
        ("shellcheck", "#!/bin/sh\n: ' \x0c\x85\u2028 '\nrm $1\r\n", 3),
        ("hadolint", "FROM debian:12\nRUN a \r b\nCMD true\nCMD false\n", 4),
        ("zizmor", WORKFLOW.replace("runs-on", "name: 'a\u2028b'\n    runs-on"), 8),
        ("secrets", f"A=1\rB=2\r\n\x0c\x85\u2028TOKEN={TOKEN}\n", 2),
        ("typos", "One\rtwo\r\n\x0c\x85\u2028We recieve it.\n", 2),
    ],
)
def test_lines_are_counted_as_git_counts_them(name: str, text: str, line: int) -> None:
    path, _, rule, _ = WRONG[name]
    assert (path, rule, line) in rules(run_analyzer(BY_NAME[name], {path: text}))


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("ruff", "def f(:\n", "invalid-syntax"),
        ("oxlint", "const a = ;\n", "syntax-error"),
        ("shellcheck", "#!/bin/sh\nif then\n", "SC1072"),
        ("hadolint", "FRO debian\n", "DL1000"),
    ],
)
def test_what_cannot_be_parsed_is_critical(name: str, text: str, rule: str) -> None:
    found = run_analyzer(BY_NAME[name], {WRONG[name][0]: text})
    reported = [(finding.severity, finding.suppression) for finding in found if finding.rule == rule]
    assert set(reported) == {(Severity.CRITICAL, "")}, "no comment silences it"


@pytest.mark.sampled(2)
@every
def test_files_in_which_nothing_can_be_read_are_no_harm(name: str) -> None:
    path = WRONG[name][0]
    for text in ("", "\0", "\ufeff", "\n" * 1000, "{" * 200, "é" * 100_000, "\x1b[31m\r"):
        try:
            found = run_analyzer(BY_NAME[name], {path: text})
        except AnalyzerFailed as failure:
            # zizmor says of a workflow that is none that there is nothing to read.
            assert (name, "no inputs collected" in str(failure)) == ("zizmor", True), (text[:9], failure)  # noqa: PT017
        else:
            assert all(finding.path == path for finding in found)


def test_a_secret_is_reported_and_not_repeated() -> None:
    [finding] = run_analyzer(BY_NAME["secrets"], {"a.py": f"\nname, key = 'x', '{TOKEN}'\n"})
    assert (finding.start_line, finding.severity) == (2, Severity.CRITICAL)
    assert TOKEN[6:] not in repr(finding)
    [same] = run_analyzer(BY_NAME["secrets"], {"a.py": f'key = "{TOKEN}"  # reformatted\n'})
    [other] = run_analyzer(BY_NAME["secrets"], {"a.py": f"key = '{TOKEN[:6]}{TOKEN[:5:-1]}'\n"})
    assert fingerprinted(same, "a.py").fingerprint == fingerprinted(finding, "a.py").fingerprint
    assert fingerprinted(other, "a.py").fingerprint != fingerprinted(finding, "a.py").fingerprint


def test_typos_are_suggestions_in_prose_and_only_named_in_source() -> None:
    text = "😀 Teh adress we recieve is seperate.\n"
    files = {"a.md": text, "b.py": f"# {text}", "c.md": "It depends on wether.\n"}
    found = run_analyzer(BY_NAME["typos"], files)
    prose, source, ambiguous = sorted(found, key=lambda finding: finding.path)
    assert prose.suggestion == Suggestion(1, 1, "😀 The address we receive is separate.")
    assert source.suggestion is None
    assert "`recieve` should be `receive`" in source.message
    assert (ambiguous.suggestion, "`weather` or `whether`" in ambiguous.message) == (None, True)


def test_windows_line_ends_are_reported_once() -> None:
    found = run_analyzer(BY_NAME["shellcheck"], {"a.sh": "#!/bin/sh\r\necho a\r\necho b\r\n", "b.sh": "\r\n"})
    reported = [(finding.path, finding.start_line) for finding in found if finding.rule == "SC1017"]
    assert sorted(reported) == [("a.sh", 1), ("b.sh", 1)]


def test_the_fix_of_shellcheck_is_a_suggestion() -> None:
    [finding] = run_analyzer(BY_NAME["shellcheck"], {"a.sh": "#!/bin/sh\nrm é/$1 # é\n"})
    assert finding.suggestion == Suggestion(2, 2, 'rm é/"$1" # é')
    assert finding.rule_url == "https://www.shellcheck.net/wiki/SC2086"


@pytest.mark.parametrize(
    ("path", "reading"),
    [
        ("a/b.py", "ruff typos"),
        ("a/b.tsx", "oxlint typos"),
        ("ci/build.sh", "shellcheck typos"),
        ("Dockerfile", "hadolint typos"),
        ("docker/Dockerfile.dev", "hadolint"),
        (".github/workflows/ci.yml", "zizmor"),
        ("x/.github/workflows/ci.yml", ""),
        (".github/workflows/sub/ci.yml", ""),
        ("tools/action.yaml", "zizmor"),
        ("README.md", "typos"),
        ("logo.png", ""),
        ("a.py/b", ""),
        ("uv.lock", ""),
    ],
)
def test_an_analyzer_reads_files_by_their_names(path: str, reading: str) -> None:
    """The search for secrets reads the patch of every file."""
    readers = [analyzer.name for analyzer in ANALYZERS if analyzer.reads(path)]
    assert sorted(readers) == sorted(["secrets", *reading.split()])
    assert engines.readable(path) == bool(reading)


def test_a_rule_that_is_not_selected_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    dockerfile = "FROM debian\nRUN apt-get update && apt-get install -y curl\n"
    every_rule = replace(BY_NAME["hadolint"], rules=None)
    assert {finding.rule for finding in run_analyzer(every_rule, {"Dockerfile": dockerfile})} > {"DL3008", "DL3009"}
    [reported] = run_analyzer(BY_NAME["hadolint"], {"Dockerfile": dockerfile})
    assert (reported.rule, reported.severity) == ("DL3006", Severity.INFO)
    assert reported.rule_url == "https://github.com/hadolint/hadolint/wiki/DL3006"


PLACE = {"physicalLocation": {"artifactLocation": {"uri": "./a.yml"}, "region": {"startLine": 2}}}


def test_the_example_of_the_guide_is_a_declaration_that_works() -> None:
    page = (Path(__file__).parents[3] / "docs" / "analyzers.md").read_text()
    example = page.partition("```python\n")[2].partition("```")[0]
    assert example.count("\n") < 40
    namespace: dict[str, object] = {}
    exec(example, namespace)  # noqa: S102
    analyzer = namespace["ANALYZER"]
    assert isinstance(analyzer, Analyzer)
    assert analyzer.reads("deploy/values.yaml")
    reported = {"ruleId": "key-duplicates", "message": {"text": "twice"}, "locations": [PLACE]}
    left_out = reported | {"ruleId": "indentation"}
    printed = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [reported, left_out]}]}
    speaking = replace(analyzer, command=("sh", "-c", 'printf %s "$0"', json.dumps(printed)))
    [finding] = run_analyzer(speaking, {"a.yml": "a: 1\na: 2\n"})
    assert (finding.severity, finding.start_line) == (Severity.MAJOR, 2)
