"""Render reviews and check runs as GitHub's Markdown. Text from the pull request is data, never markup."""

import re
from collections import Counter
from collections.abc import Sequence

from django.conf import settings

from reviews.findings import Finding, LeftOutReason, Report, Severity, worth_a_line
from reviews.models import Review
from reviews.publishing import author_tier
from reviews.publishing.grouping import Remark, group_findings
from reviews.redaction import storable, visible
from telemetry.models import Conclusion, DegradationPath

WELCOME = "Thank you for contributing. This is an automated first pass; a maintainer decides."
HOW_TO_READ = (
    "**critical** breaks or endangers the code, **major** is most likely a bug, **minor** is worth checking. Each "
    "comment names its rule and links the documentation; a suggestion is committed with one click."
)
PARTIAL = "Analysis is partial due to API limits."
MAX_BODY = 54_000
"""Characters, without the markers at its end. GitHub refuses bodies over 65,536. Source: GitHub's answer to longer
ones, "body is too long"."""
MAX_LEFT_OUT = 50
MAX_NAMED = 10
"""Files that one sentence names."""
MAX_RESOLVED = 20
MAX_TABLED = 100
MAX_LINES = 20
MAX_PARTIAL = 10

_WHY_PARTIAL = {
    DegradationPath.SEARCH_RATE_LIMIT: "GitHub's Search limit was exhausted",
    DegradationPath.SEARCH_ERROR: "GitHub's Search could not be reached",
}
RESOLVED = "**Resolved** in"
"""Begins the comment on a finding that is fixed."""
IGNORED = "**Ignored** in this repository"
"""Begins the comment on a finding that somebody asked to ignore."""
SHORT_SHA = 7
"""Digits of a commit in a sentence, as GitHub shows it."""
MAX_PATH = 300
"""Characters of a path that are shown."""

_CODE = re.compile(r"(?<!`)`(?!`)([^`]+)(?<!`)`(?!`)")
_MARKUP = re.compile(r"[\\`*_\[\]<>&~|$]")
_ADDRESS = re.compile(r"https?://[\w.:-]+(?:/[\w./#-]*)?", re.ASCII)
_SUGGESTION = re.compile(r"^(`{3,})suggestion$", re.MULTILINE)
_CALLS = re.compile(r"[@#](?=\w)|(?i:\bGH-)(?=\d)|://|(?i:\bwww\.)|(?i:\bmailto:|\bxmpp:)")
"""What GitHub makes a mention, a reference or a link of without any markup. Source: GitHub docs, "Autolinked
references and URLs", and GitHub Flavored Markdown, "Autolinks"."""


def code(text: str) -> str:
    """Render `text` as a code span, whatever it contains."""
    # "<!--": so that nothing can look like Kodiai's own marker.
    text = visible(text).replace("<!--", "<\N{ZERO WIDTH SPACE}!--")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    # A span that begins or ends with a backtick needs a space there. Source: GitHub Flavored Markdown, code spans.
    padding = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def prose(text: str) -> str:
    """Render an engine's message as text: no mention, no issue reference, no tag, no image, no link.

    Text between backticks becomes code.
    """
    pieces = _CODE.split(visible(" ".join(text.split())))
    return "".join(code(piece) if index % 2 else _plain(piece) for index, piece in enumerate(pieces))


def _plain(text: str) -> str:
    text = _CALLS.sub(lambda found: found[0][0] + "\N{ZERO WIDTH SPACE}" + found[0][1:], text)
    # Entities, because within a table a backslash has a second meaning.
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)


def summary_body(
    review: Review, report: Report, not_inline: Sequence[Finding], refused: bool, resolved: Sequence[Finding] = ()
) -> str:
    """Render the summary. `not_inline` are the findings without an inline comment.

    `refused`: GitHub rejected comments on their lines. `resolved` are findings of earlier commits that are fixed.
    """
    parts = [f"### Kodiai: {_headline(report)}"]
    if review.degradation_path != DegradationPath.NONE:
        why = _WHY_PARTIAL[DegradationPath(review.degradation_path)]
        parts.append(f"> **{PARTIAL}** {why}, so the author's history here is unknown. All engines ran as usual.")
    elif author_tier.is_newcomer(review):
        parts.append(f"{WELCOME} {HOW_TO_READ}" if report.findings else WELCOME)
    worth = worth_a_line(not_inline)
    if worth:
        why = "GitHub rejected comments on these lines:" if refused else "Not posted inline:"
        parts.append(f"{why}\n\n{_table(worth)}")
    if notes := [finding for finding in not_inline if finding.severity == Severity.INFO]:
        heading = f"{_count(len(notes), 'finding')} of severity info"
        parts.append(f"<details><summary>{heading}</summary>\n\n{_table(notes)}\n\n</details>")
    if resolved:
        parts.append(_resolved(resolved))
    parts.append(_coverage(review, report, short=author_tier.is_experienced(review)))
    parts += [f"> {problem}" for problem in (*report.config_problems, *report.linter_problems)]
    if report.config_change is not None:
        parts.append(_config_change(report.config_change))
    return _shortened("\n\n".join(parts))


def comment_body(remark: Remark) -> str:
    """Render one inline comment."""
    finding = remark.finding
    lines = [f"**{finding.severity}** · {_rule(finding)} {prose(finding.description)}"]
    if finding.suggestion is not None:
        text = finding.suggestion.text
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text or "")), default=0))
        lines += ["", f"{fence}suggestion", *([] if text is None else [text]), fence]
    elif finding.fix:
        lines += ["", f"Fix: {prose(finding.fix)}."]
    if also := _also(remark):
        lines += ["", f"Also on {also}."]
    if finding.severity != Severity.CRITICAL:
        suppress = f"To suppress: {_how_to_suppress(finding)}."
        lines += ["", f"<details><summary>How to suppress</summary>\n\n{suppress}\n\n</details>"]
    return "\n".join(lines)


def follow_up_body(review: Review, new: int, since: str, summary_url: str | None, *, refused: bool = False) -> str:
    """Render the one sentence above the comments of a later review; the summary has the rest.

    `since` is the head commit of the previous review. `refused` is as in `summary_body`.
    """
    news = _count(new, "new finding") if new else "Nothing new"
    if since:
        news += f" {'at' if since == review.head_sha else 'since'} {code(since[:SHORT_SHA])}"
    usable = summary_url if summary_url and _ADDRESS.fullmatch(summary_url) else ""
    summary = f"[summary]({usable})" if usable else "summary"
    rest = (
        f"GitHub rejected comments on these lines; the {summary} has them"
        if refused
        else f"the {summary} is up to date"
    )
    degraded = f" {PARTIAL}" if review.degradation_path != DegradationPath.NONE else ""
    return f"{news}: {rest}.{degraded}"


def resolved_in(commit: str) -> str:
    """The heading of a comment whose finding is fixed at `commit`."""
    return f"{RESOLVED} {code(commit[:SHORT_SHA])}"


def collapsed_body(why: str, body: str) -> str:
    """Render a comment whose finding is resolved or ignored: the original `body`, collapsed."""
    # Its suggestion no longer applies, so it must not be committable.
    collapsed = _SUGGESTION.sub(r"\1", body)
    return f"{why}.\n\n<details><summary>Original comment</summary>\n\n{collapsed}\n\n</details>"


def _resolved(findings: Sequence[Finding]) -> str:
    remarks = group_findings(findings, suggestions=True)
    rows = [
        f"- {code(storable(remark.finding.path, MAX_PATH))}: {_rule(remark.finding)} "
        f"{prose(remark.finding.description)}{f' ({len(remark.findings)} times)' if remark.also else ''}"
        for remark in remarks[:MAX_RESOLVED]
    ]
    if more := sum(len(remark.findings) for remark in remarks[MAX_RESOLVED:]):
        rows.append(f"- and {more} more")
    heading = f"{_count(len(findings), 'earlier finding')} resolved"
    return f"<details><summary>{heading}</summary>\n\n" + "\n".join(rows) + "\n\n</details>"


def check_title(conclusion: Conclusion, report: Report) -> str:
    """The title of a check run, one line of plain text."""
    if conclusion == Conclusion.SKIPPED:
        return "Not reviewed"
    if conclusion not in (Conclusion.SUCCESS, Conclusion.PARTIAL):
        return "The review failed"
    headline = _headline(report)
    if report.is_incomplete:
        return f"Incomplete review: {headline}"
    return f"Partial review: {headline}" if conclusion == Conclusion.PARTIAL else headline[0].upper() + headline[1:]


def check_summary(review: Review, conclusion: Conclusion, report: Report, *, annotated: int, more: int) -> str:
    """The summary of a check run. `annotated` is how many findings it carries as annotations, `more` how many not."""
    again = f"To review again, press *Re-run* or comment {code(f'@{settings.KODIAI_GITHUB_APP_SLUG} review')}."
    if conclusion == Conclusion.SKIPPED:
        return _shortened(f"This commit was not reviewed: {prose(review.conclusion_reason)}.\n\n{again}")
    if conclusion not in (Conclusion.SUCCESS, Conclusion.PARTIAL):
        return _shortened(f"{_what_failed(review)}. It says nothing about the changes.\n\n{again}")
    parts = []
    if review.degradation_path != DegradationPath.NONE:
        parts.append(f"> **{PARTIAL}** {_WHY_PARTIAL[DegradationPath(review.degradation_path)]}.")
    if conclusion == Conclusion.PARTIAL:
        parts.append(again)
    if more:
        parts.append(f"The {annotated} most severe findings are annotated here, {more} more are not.")
    parts.append(_coverage(review, report, versions=True))
    parts += [f"> {problem}" for problem in (*report.config_problems, *report.linter_problems)]
    return _shortened("\n\n".join(parts))


def _what_failed(review: Review) -> str:
    """Say why a run failed: GitHub's reason, but no internal error of Kodiai's."""
    if review.attempts >= settings.KODIAI_MAX_ATTEMPTS:
        return f"The review failed {_count(review.attempts, 'time')}; the operator finds the reason in the admin"
    return f"The review failed: {prose(review.conclusion_reason)}"


def _headline(report: Report) -> str:
    if report.findings:
        counts = Counter(finding.severity for finding in report.findings)
        by_severity = ", ".join(f"{counts[severity]} {severity}" for severity in Severity if counts[severity])
        return f"{_count(len(report.findings), 'finding')} ({by_severity})"
    if report.analysed_files:
        return "no findings in what could be read" if report.is_incomplete else "no findings"
    return "nothing could be read" if report.is_incomplete else "nothing to analyse"


def _coverage(review: Review, report: Report, *, short: bool = False, versions: bool = False) -> str:
    """Say what was analysed and what was not; `short` collapses all but the first line and failures."""
    names = [f"{name} {report.versions.get(name, '')}".strip() if versions else name for name in report.engines]
    if report.analysed_files:
        with_what = ", ".join(names) or "no engine"
        headline = (
            f"Analysed {len(report.analysed_files)} of {_count(report.changed_files, 'changed file')} with {with_what}"
        )
    elif report.changed_files > 1:
        headline = f"None of the {report.changed_files} changed files could be analysed"
    else:
        headline = "The changed file could not be analysed" if report.changed_files else "No file is changed"
    first = f"{headline}, {prose(f'at commit {review.head_sha[:12]}.')}"
    too_many = [*_too_many(report), *_not_shown(report), *_not_listed(report)]
    failed = [
        f"{engine} failed: {prose(reason)}. Its findings are missing." for engine, reason in report.engine_failures
    ]
    unread = _partially_analysed(report)
    more = _not_reported(report)
    left_out = _left_out(report)
    if not short:
        return "\n\n".join([_listed([first, *too_many, *unread, *more, *failed]), *left_out])
    visible_lines = [*too_many, *unread, *failed]
    parts = [_listed([first, *visible_lines]) if visible_lines else first]
    if more or left_out:
        inside = "\n\n".join([*([_listed(more)] if more else []), *left_out])
        parts.append(f"<details><summary>Details</summary>\n\n{inside}\n\n</details>")
    return "\n\n".join(parts)


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _too_many(report: Report) -> list[str]:
    """Say how many files exceed the size limit; empty if none."""
    over_limit = sum(
        left.reason in (LeftOutReason.TOO_MANY_FILES, LeftOutReason.TOO_MANY_LINES) for left in report.left_out
    )
    if not over_limit:
        return []
    return [f"{_count(over_limit, 'file')} not analysed: over the size limit; the riskiest files come first."]


def _partially_analysed(report: Report) -> list[str]:
    """Name the files that an analyzer could not read as a whole; empty if none."""
    files = [
        f"{code(storable(file.path, MAX_PATH))} ({prose('; '.join(map(str, file.unread)))})"
        for file in report.files
        if file.unread
    ]
    if not files:
        return []
    more = f" and {len(files) - MAX_PARTIAL} more" if len(files) > MAX_PARTIAL else ""
    return [f"Only partially analysed: {', '.join(files[:MAX_PARTIAL])}{more}."]


def _not_shown(report: Report) -> list[str]:
    """Name the files that GitHub shows no diff of; empty if none."""
    names = [left.path for left in report.left_out if left.reason == LeftOutReason.NO_DIFF]
    if not names:
        return []
    shown = ", ".join(code(storable(name, MAX_PATH)) for name in names[:MAX_NAMED])
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return [f"{_count(len(names), 'file')} not reviewed, because GitHub shows no diff: {shown}{more}."]


def _not_listed(report: Report) -> list[str]:
    """Say that GitHub's list of changed files may lack some; empty if it does not."""
    if not report.truncated:
        return []
    listed = f"GitHub lists {_count(report.changed_files, 'changed file')}, and maybe not all"
    return [f"{listed}: what it does not list was not reviewed, and nothing absent counts as resolved."]


def _not_reported(report: Report) -> list[str]:
    """Say what was found but not reported, and what was not analysed, one sentence each."""
    lines = []
    if report.outside_changes:
        on_unchanged = _count(report.outside_changes, "finding")
        lines.append(f"{on_unchanged} introduced on unchanged lines, not reported.")
    if report.pre_existing:
        lines.append(f"{_count(report.pre_existing, 'pre-existing finding')} not reported.")
    if report.suppressed:
        lines.append(f"{_count(report.suppressed, 'finding')} suppressed by `.kodiai.yml`.")
    if report.suppressed_by_linters:
        off = _count(report.suppressed_by_linters, "finding")
        lines.append(f"{off} suppressed by the settings or comments of the repository's own linters.")
    if report.discarded:
        lines.append(f"{_count(report.discarded, 'remark')} of the language model discarded: not on changed lines.")
    if report.skipped_for_budget:
        lines.append(f"{_count(report.skipped_for_budget, 'file')} not sent to the language model: over its budget.")
    if report.ignored:
        lines.append(f"{_count(len(report.ignored), 'finding')} ignored on request (`ignore`).")
    if report.hidden_for_newcomer:
        low = _count(report.hidden_for_newcomer, "finding")
        lines.append(f"{low} of severity info hidden on a first contribution.")
    if report.without_engine:
        lines.append(f"{_count(report.without_engine, 'file')} without a matching engine.")
    return lines


def _left_out(report: Report) -> list[str]:
    """List the skipped files, collapsed; empty if none."""
    if not report.left_out:
        return []
    rows = [f"{code(storable(left.path, MAX_PATH))}: {left.reason}" for left in report.left_out[:MAX_LEFT_OUT]]
    more = Counter(left.reason for left in report.left_out[MAX_LEFT_OUT:])
    rows += [f"and {count} more: {reason}" for reason, count in more.items()]
    heading = f"{_count(len(report.left_out), 'file')} skipped"
    return [f"<details><summary>{heading}</summary>\n\n{_listed(rows)}\n\n</details>"]


def _config_change(problems: Sequence[str]) -> str:
    verdict = "\n> ".join(problems) if problems else "It is valid."
    return f"> This pull request changes `.kodiai.yml`, but the base branch's version is used. {verdict}"


def _table(findings: Sequence[Finding]) -> str:
    remarks = group_findings(findings, suggestions=True)
    rows = [
        f"| {remark.finding.severity} | {_cell(_where(remark))} | "
        f"{_cell(_rule(remark.finding))} {_cell(prose(remark.finding.description))} |"
        for remark in remarks[:MAX_TABLED]
    ]
    if more := sum(len(remark.findings) for remark in remarks[MAX_TABLED:]):
        rows.append(f"| | | and {more} more |")
    return "\n".join(["| Severity | Where | What |", "| --- | --- | --- |", *rows])


def _where(remark: Remark) -> str:
    location = code(f"{storable(remark.finding.path, MAX_PATH)}:{remark.finding.start_line}")
    return f"{location}, {also}" if (also := _also(remark)) else location


def _also(remark: Remark) -> str:
    """The other lines of a grouped finding, as GitHub names lines; empty if none."""
    lines = remark.other_lines
    shown = ", ".join(f"L{line}" for line in lines[:MAX_LINES])
    return f"{shown} and {len(lines) - MAX_LINES} more lines" if len(lines) > MAX_LINES else shown


def _rule(finding: Finding) -> str:
    return f"[{code(finding.rule)}]({finding.rule_url})" if finding.rule_url else code(finding.rule)


def _how_to_suppress(finding: Finding) -> str:
    """Say how to suppress a finding: by a comment in the code, or else in the repository's configuration."""
    if finding.suppression:
        return prose(finding.suppression)
    return f"{code(f'{finding.rule}: never')} under {code('severities.rules')} in {code('.kodiai.yml')}"


def _cell(text: str) -> str:
    """Escape code for a table cell, where a bar ends the cell unless exactly one backslash precedes it."""
    return text.replace("\\|", "\\\N{ZERO WIDTH SPACE}|").replace("|", "\\|")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _shortened(text: str) -> str:
    if len(text) <= MAX_BODY:
        return text
    return text[:MAX_BODY].rsplit("\n", 1)[0] + "\n\n(truncated: GitHub's limit on the length of a comment)"
