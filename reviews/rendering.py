"""The words of a review, in GitHub's Markdown. Names and messages from the pull request are data, never markup."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from reviews.findings import Finding, Report, Severity
from reviews.models import AuthorTier, Review
from reviews.redaction import storable
from telemetry.models import DegradationPath

PARTIAL = "Analysis is partial due to API limits."
LONGEST_BODY = 60_000
"""Characters. GitHub refuses bodies over 65,536. Source: GitHub's answer to longer ones, "body is too long"."""
MOST_LEFT_OUT = 20
MOST_TABLED = 100

_WHY_PARTIAL = {
    DegradationPath.SEARCH_RATE_LIMIT: "GitHub's Search limit was exhausted",
    DegradationPath.SEARCH_ERROR: "GitHub's Search could not be reached",
}
LONGEST_PATH = 300
"""Characters of a path that are shown."""

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of what is not seen, or turns round what is: controls, bidirectional and zero-width characters,
tags, surrogates, what has no character."""
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(selector) for selector in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
"""Letters and marks, by their category, that are not seen either."""
_CODE = re.compile(r"(?<!`)`(?!`)([^`]+)(?<!`)`(?!`)")
_MARKUP = re.compile(r"[\\`*_\[\]<>&~|$]")
_CALLS = re.compile(r"[@#](?=\w)|(?i:\bGH-)(?=\d)|://|(?i:\bwww\.)|(?i:\bmailto:|\bxmpp:)")
"""What GitHub makes a mention, a reference or a link of without any markup. Source: GitHub docs, "Autolinked
references and URLs", and GitHub Flavored Markdown, "Autolinks"."""


def visible(text: str) -> str:
    """`text` on one line, with a sign in place of each character that is not seen."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) in _UNSEEN or character in _FILLERS
        else character
        for character in text
    )


def code(text: str) -> str:
    """`text` as a code span, whatever is in it."""
    # "<!--": so that nothing can look like Kodiai's own marker.
    text = visible(text).replace("<!--", "<\N{ZERO WIDTH SPACE}!--")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    # A span that begins or ends with a backtick needs a space there. Source: GitHub Flavored Markdown, code spans.
    padding = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def prose(text: str) -> str:
    """An engine's message as text: it mentions nobody, closes no issue, opens no tag, draws no picture, links nothing.

    What the engine puts between backticks is code, here too.
    """
    pieces = _CODE.split(visible(" ".join(text.split())))
    return "".join(code(piece) if index % 2 else _plain(piece) for index, piece in enumerate(pieces))


def _plain(text: str) -> str:
    text = _CALLS.sub(lambda found: found[0][0] + "\N{ZERO WIDTH SPACE}" + found[0][1:], text)
    # Entities, because within a table a backslash has a second meaning.
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)


def summary_body(review: Review, report: Report, told_here: Sequence[Finding], refused: bool) -> str:
    """The body of the review. `told_here` are the findings that are not inline comments.

    `refused` says that they are told here because GitHub took no comment on their lines.
    """
    parts = [f"### Kodiai: {_headline(report)}"]
    if review.degradation_path != DegradationPath.NONE:
        why = _WHY_PARTIAL[DegradationPath(review.degradation_path)]
        parts.append(f"> **{PARTIAL}** {why}, so the author's history here is unknown. All engines ran as usual.")
    elif review.author_tier == AuthorTier.FIRST_TIME:
        parts.append("Thank you for contributing. Each remark names the rule behind it and links its explanation.")
    if told_here:
        parts.append(_table(told_here, refused))
    parts.append(_looked_at(review, report))
    parts += [f"> {problem}" for problem in report.config_problems]
    return _shortened("\n\n".join(parts))


def comment_body(finding: Finding) -> str:
    """The body of one inline comment."""
    lines = [f"**{finding.severity}** · {_rule(finding)} {prose(finding.message)}"]
    if finding.suggestion is not None:
        text = finding.suggestion.text
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text or "")), default=0))
        lines += ["", f"{fence}suggestion", *([] if text is None else [text]), fence]
    elif finding.fix:
        lines += ["", f"A fix: {prose(finding.fix)}."]
    return "\n".join(lines)


def _headline(report: Report) -> str:
    if report.findings:
        counts = Counter(finding.severity for finding in report.findings)
        by_severity = ", ".join(f"{counts[severity]} {severity}" for severity in Severity if counts[severity])
        return f"{_count(len(report.findings), 'finding')} ({by_severity})"
    if report.looked_at:
        return "no findings"
    return "nothing to analyse"


def _looked_at(review: Review, report: Report) -> str:
    lines = []
    if report.looked_at:
        with_what = ", ".join(report.engines) or "no engine"
        lines.append(
            f"Looked at {len(report.looked_at)} of {_count(report.changed_files, 'changed file')} with {with_what}, "
            f"at commit {prose(review.head_sha[:12])}."
        )
    else:
        lines.append(
            f"None of the {_count(report.changed_files, 'changed file')} could be looked at, "
            f"at commit {prose(review.head_sha[:12])}."
        )
    if report.outside_changes:
        on_unchanged = _count(report.outside_changes, "finding")
        lines.append(f"{on_unchanged} on lines that this pull request does not change: not said.")
    if report.without_engine:
        lines.append(f"{_count(report.without_engine, 'file')} of kinds that no engine reads.")
    if report.truncated:
        lines.append("GitHub lists only the first files of a pull request this large; the others were not seen.")
    lines += [
        f"{engine} failed: {prose(reason)}. Its findings are missing." for engine, reason in report.engine_failures
    ]
    text = "\n".join(f"- {line}" for line in lines)
    if report.left_out:
        rows = [
            f"- {code(storable(left.path, LONGEST_PATH))}: {left.reason}" for left in report.left_out[:MOST_LEFT_OUT]
        ]
        if more := len(report.left_out) - MOST_LEFT_OUT:
            rows += [f"- and {more} more"] if more > 0 else []
        heading = f"{_count(len(report.left_out), 'file')} left out"
        text += f"\n\n<details><summary>{heading}</summary>\n\n" + "\n".join(rows) + "\n\n</details>"
    return text


def _table(findings: Sequence[Finding], refused: bool) -> str:
    why = "GitHub took no comment on these lines:" if refused else "Beyond the inline comments:"
    rows = [
        f"| {finding.severity} | {_cell(code(f'{storable(finding.path, LONGEST_PATH)}:{finding.start_line}'))} | "
        f"{_cell(_rule(finding))} {_cell(prose(finding.message))} |"
        for finding in findings[:MOST_TABLED]
    ]
    if len(findings) > MOST_TABLED:
        rows.append(f"| | | and {len(findings) - MOST_TABLED} more |")
    return "\n".join([why, "", "| Severity | Where | What |", "| --- | --- | --- |", *rows])


def _rule(finding: Finding) -> str:
    return f"[{code(finding.rule)}]({finding.rule_url})" if finding.rule_url else code(finding.rule)


def _cell(text: str) -> str:
    """Code in a table, where a bar ends the cell unless a backslash is before it, and only one."""
    return text.replace("\\|", "\\\N{ZERO WIDTH SPACE}|").replace("|", "\\|")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_BODY:
        return text
    return text[:LONGEST_BODY].rsplit("\n", 1)[0] + "\n\n(shortened: GitHub takes no longer text)"
