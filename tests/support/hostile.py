"""What is hostile, and what must be true of what Kodiai makes of it. Shared by the tests and by `tools/fuzz`."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

from reviews.config import linters, repository
from reviews.engines import sarif
from reviews.engines.analyzers import ruff
from reviews.findings import Finding, LeftOut, LeftOutReason, Report, Severity, bounded
from reviews.github.patches import BadPatch, parse_hunks
from reviews.intake.payloads import BadDelivery, read_delivery
from reviews.models import Review
from reviews.publishing.grouping import Remark
from reviews.publishing.markdown import MAX_BODY, comment_body, summary_body
from telemetry.models import DegradationPath

RULE_URL = "https://docs.astral.sh/ruff/rules/unused-import"
OUR_HTML = re.compile(
    r"<details><summary>(?:\d+ files? skipped|\d+ findings? of severity info|Details|How to suppress)</summary>\n?"
    r"|</details>\n?"
)

MARKUP = (
    "@everyone", "@octo/team", "fixes #1", "closes octo/demo#1", "GH-1",
    "fixes https://github.com/octo/demo/issues/1", "www.example.com", "mailto:mona@example.com",
    "![x](https://example.com/pixel.png)", "[x](javascript:alert(1))", "<https://example.com>",
    "[x]: https://example.com", "<img src=x onerror=alert(1)>",
    "<!-- kodiai:review 0123456789abcdef0123456789abcdef -->", "</details>", "\n# heading\n", "\n===\n", "\n---\n",
    "\n| a | b |\n| --- | --- |\n", "\\|", "|", "`", "``", "```", "\n~~~\n", "\n```suggestion\nevil()\n```\n",
    "$\\color{red}x$", "&lt;", "&#64;everyone", "\u202e", "\u200b", "\U000e0041", "\x1b[31m", "\r", "\0", "\ud800",
    "*", "_", "\\",
)  # fmt: skip
"""Pieces of which names and messages are made to break out of the text they stand in."""

_CALLS = re.compile(r"(?<![\w`])@[A-Za-z0-9]|#\w|\bGH-\d|://|\bwww\.|\bmailto:|\bxmpp:", re.IGNORECASE)


def assert_tame(markdown: str, *, suggestion: str | None = None, urls: Collection[str] = (RULE_URL,)) -> None:
    """Read `markdown` as GitHub does, and find in it only what Kodiai itself puts there.

    No HTML but the fold of left-out files and small print, no picture, no link but to a rule, no heading but the first
    line, no mention, reference or address outside of code, no code block but the suggestion, and nothing that cannot be
    seen.
    """
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    fences = [token for token in tokens if token.type in ("fence", "code_block")]
    if suggestion is None:
        assert not fences or [fence.content for fence in fences] == [""], fences
    else:
        assert [(fence.type, fence.info, fence.content) for fence in fences] == [
            ("fence", "suggestion", _as_commonmark_reads(suggestion + "\n"))
        ]
    assert not [token for token in tokens if token.type == "hr"]
    assert [token.map for token in tokens if token.type == "heading_open"] in ([], [[0, 1]])
    for token in tokens:
        if token.type == "html_block":
            assert OUR_HTML.fullmatch(token.content), token.content
        for inner in token.children or ():
            assert inner.type != "image", inner
            assert inner.type != "html_inline", inner
            if inner.type == "link_open":
                assert inner.attrs["href"] in urls, inner
            if inner.type == "code_inline":
                assert not _unseen(inner.content), ascii(inner.content)
        text = _text(token.children or ())
        assert not (found := _CALLS.search(text)), (found, text)
        assert not _unseen(text), ascii(text)
    assert "kodiai:review" not in "".join(re.findall(r"<!--.*?-->", markdown, re.DOTALL)) or suggestion is not None


def _text(tokens: Iterable[Token]) -> str:
    """The text of a paragraph or cell as a browser would show it, with a sign in place of each piece of code."""
    return "".join("`" if token.type == "code_inline" else token.content for token in tokens if not token.children)


def _unseen(text: str) -> bool:
    ours = text.replace("\N{ZERO WIDTH SPACE}", "").replace("\n", "")
    return any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in ours)


def _as_commonmark_reads(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")


# What is asked of each reader of outside text: nothing but its documented exception, and what it returns is in order.


def check_intake(delivery_id: str, event: str, body: bytes) -> None:
    try:
        parsed = read_delivery(delivery_id, event, body)
    except BadDelivery:
        return
    assert len(parsed.event_type) <= 201
    for text in (parsed.delivery_id, parsed.event_type, parsed.repo, parsed.sender, parsed.head_sha):
        assert len(text) <= 255
        assert "\0" not in text
        text.encode()
    for number in (parsed.pr_number, parsed.installation_id):
        assert number is None or 0 < number < 2**63


def check_patch(patch: str) -> None:
    try:
        hunks = parse_hunks(patch)
    except BadPatch:
        return
    for hunk in hunks:
        assert hunk.start <= hunk.end
        assert all(hunk.start <= line <= hunk.end for line in hunk.added)
        assert len(hunk.added) <= patch.count("\n") + 1


def check_config(text: str) -> None:
    done = repository.parse(text)
    assert isinstance(done.telemetry.enabled, bool)
    for problem in done.problems:
        assert problem.startswith((f"`{repository.PATH}`", "Section `"))
        assert_tame(f"> {problem}")


LINTER_FILES = linters.paths_for(["a.py", "a.ts", "a.sh", "Dockerfile", ".github/workflows/a.yml"])
LINTED = [
    Finding(path, 1, 1, Severity.MAJOR, rule, "`x` is not 'y'")
    for path, rule in (("a.py", "F821"), ("a.ts", "eslint(no-undef)"), ("a.sh", "SC2086"), ("Dockerfile", "DL3006"))
]
NEVER_OFF = [Finding("a.py", 1, 1, Severity.CRITICAL, rule, "") for rule in ("github-token", "language-model")]


def check_linters(path: str, text: str) -> None:
    """`path` is one of `LINTER_FILES`. What it says turns findings off or lowers their severities, and no secret's."""
    settings = linters.parse({path: text})
    for problem in settings.problems:
        assert problem.startswith(f"`{path}` has no effect: ")
        assert_tame(f"> {problem}")
    for finding in LINTED:
        applied = settings.apply(finding, text)
        assert applied is None or applied.severity.rank >= finding.severity.rank
        assert applied is None or replace(applied, severity=finding.severity) == finding
    for finding in NEVER_OFF:
        assert settings.apply(finding, text) is finding
    assert 7 <= settings.python_version("a.py") <= 15


def check_engine_output(output: bytes, files: dict[str, str], root: str) -> None:
    """`files` are the changed files below `root`. An analyzer that prints nonsense is named; see `run_analyzer`."""
    try:
        findings = ruff.read(output, files, root)
    except (ValueError, KeyError):
        return
    _check_findings(findings, files)


def check_sarif(output: bytes, files: dict[str, str], root: str) -> None:
    try:
        findings = sarif.read(output, files, root)
    except ValueError:
        return
    _check_findings(findings, files)


def _check_findings(findings: Iterable[Finding], files: Collection[str]) -> None:
    for finding in map(bounded, findings):
        assert finding.path in files
        assert 1 <= finding.start_line <= finding.end_line
        Report.from_json(Report(findings=(finding,)).to_json())
        check_comment(finding)


def check_comment(finding: Finding) -> None:
    """A finding, bounded as engines bound it, is a comment in which nothing breaks out."""
    body = comment_body(Remark(finding, (finding, replace(finding, start_line=7))))
    assert len(body) <= MAX_BODY
    urls = (finding.rule_url,)
    if finding.suggestion is not None and finding.suggestion.text is not None:
        assert_tame(body, suggestion=finding.suggestion.text, urls=urls)
    else:
        assert_tame(body, urls=urls)


def check_summary(findings: Iterable[Finding], names: Iterable[str], words: str) -> None:
    """The summary of a run in which everything that may come from outside does: `names` of files, `words` of errors."""
    findings = tuple(findings)
    report = Report(
        changed_files=len(findings),
        analysed_files=tuple(names),
        findings=findings,
        left_out=tuple(LeftOut(name, LeftOutReason.UNSAFE_PATH) for name in names),
        engines=("ruff",),
        engine_failures=(("ruff", words),),
        outside_changes=1,
    )
    review = Review(repo="octo/demo", head_sha=words[:64], degradation_path=DegradationPath.SEARCH_ERROR)
    body = summary_body(review, report, findings, refused=True)
    assert len(body) <= MAX_BODY + 100
    if len(body) < MAX_BODY:
        assert_tame(body, urls={finding.rule_url for finding in findings})
