"""The words of a review, in GitHub's Markdown. Names and messages from the pull request are data, never markup."""

import re
from collections import Counter
from collections.abc import Sequence

from django.conf import settings

from reviews.findings import Finding, LeftOutReason, Report, Severity
from reviews.models import Review
from reviews.publishing import author_tier
from reviews.publishing.grouping import Remark, group_findings
from reviews.redaction import storable, visible
from telemetry.models import Conclusion, DegradationPath

WELCOME = "Thank you for contributing. This is a first look by a program; people decide."
HOW_TO_READ = (
    "**critical** fails or is dangerous, **major** is most likely a mistake, **minor** is worth a look. Each remark "
    "names the rule behind it and links its explanation; a suggestion is committed with one click."
)
PARTIAL = "Analysis is partial due to API limits."
MAX_BODY = 54_000
"""Characters, without the markers at its end. GitHub refuses bodies over 65,536. Source: GitHub's answer to longer
ones, "body is too long"."""
MAX_LEFT_OUT = 50
MAX_RESOLVED = 20
MAX_TABLED = 100
MAX_LINES = 20

_WHY_PARTIAL = {
    DegradationPath.SEARCH_RATE_LIMIT: "GitHub's Search limit was exhausted",
    DegradationPath.SEARCH_ERROR: "GitHub's Search could not be reached",
}
GONE = "**Gone** at"
"""What the comment on a finding begins with that is not there any more."""
IGNORED = "**Ignored** in this repository"
"""What the comment on a finding begins with that somebody asked never to hear again."""
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


def summary_body(
    review: Review, report: Report, told_here: Sequence[Finding], refused: bool, gone: Sequence[Finding] = ()
) -> str:
    """The body of the review. `told_here` are the findings that are not inline comments.

    `refused` says that they are told here because GitHub took no comment on their lines. `gone` are findings of earlier
    commits.
    """
    parts = [f"### Kodiai: {_headline(report)}"]
    if review.degradation_path != DegradationPath.NONE:
        why = _WHY_PARTIAL[DegradationPath(review.degradation_path)]
        parts.append(f"> **{PARTIAL}** {why}, so the author's history here is unknown. All engines ran as usual.")
    elif author_tier.is_new_here(review):
        parts.append(f"{WELCOME} {HOW_TO_READ}" if report.findings else WELCOME)
    if told_here:
        parts.append(_table(told_here, refused))
    if gone:
        parts.append(_gone(gone))
    parts.append(_looked_at(review, report, short=author_tier.wants_it_short(review)))
    parts += [f"> {problem}" for problem in report.config_problems]
    if report.config_change is not None:
        parts.append(_config_change(report.config_change))
    return _shortened("\n\n".join(parts))


def comment_body(remark: Remark) -> str:
    """The body of one inline comment."""
    finding = remark.finding
    lines = [f"**{finding.severity}** · {_rule(finding)} {prose(finding.message)}"]
    if finding.suggestion is not None:
        text = finding.suggestion.text
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text or "")), default=0))
        lines += ["", f"{fence}suggestion", *([] if text is None else [text]), fence]
    elif finding.fix:
        lines += ["", f"A fix: {prose(finding.fix)}."]
    if also := _also(remark):
        lines += ["", f"The same on {also}."]
    return "\n".join([*lines, "", f"<sub>Silence it with {_silence(finding)}.</sub>"])


def follow_up_body(review: Review, new: int, since: str, summary_url: str | None, *, refused: bool = False) -> str:
    """What is said above the new comments of a later review: one sentence, the summary has the rest.

    `since` is the head commit that was reviewed before. `refused` is as in `summary_body`.
    """
    news = _count(new, "new finding") if new else "Nothing new"
    if since:
        news += f" {'at' if since == review.head_sha else 'since'} {code(since[:SHORT_SHA])}"
    usable = summary_url if summary_url and _ADDRESS.fullmatch(summary_url) else ""
    summary = f"[summary]({usable})" if usable else "summary"
    rest = (
        f"GitHub took no comment on these lines, the {summary} has them" if refused else f"the {summary} is up to date"
    )
    degraded = f" {PARTIAL}" if review.degradation_path != DegradationPath.NONE else ""
    return f"{news}: {rest}.{degraded}"


def gone_at(commit: str) -> str:
    return f"{GONE} {code(commit[:SHORT_SHA])}"


def gone_body(why: str, body: str) -> str:
    """The body of a comment whose finding is not there any more, or ignored: `body`, Kodiai's own, put away."""
    # What it suggested is for nobody to commit now.
    put_away = _SUGGESTION.sub(r"\1", body)
    return f"{why}.\n\n<details><summary>What it was</summary>\n\n{put_away}\n\n</details>"


def _gone(findings: Sequence[Finding]) -> str:
    remarks = group_findings(findings, suggestions=True)
    rows = [
        f"- {code(storable(remark.finding.path, MAX_PATH))}: {_rule(remark.finding)} "
        f"{prose(remark.finding.message)}{f' ({len(remark.findings)} times)' if remark.also else ''}"
        for remark in remarks[:MAX_RESOLVED]
    ]
    if more := sum(len(remark.findings) for remark in remarks[MAX_RESOLVED:]):
        rows.append(f"- and {more} more")
    heading = f"{_count(len(findings), 'finding')} of earlier commits {'is' if len(findings) == 1 else 'are'} gone"
    return f"<details><summary>{heading}</summary>\n\n" + "\n".join(rows) + "\n\n</details>"


def check_title(conclusion: Conclusion, report: Report) -> str:
    """The title of a check run, one line of plain text."""
    if conclusion == Conclusion.SKIPPED:
        return "Not reviewed"
    if conclusion not in (Conclusion.SUCCESS, Conclusion.PARTIAL):
        return "The review failed"
    headline = _headline(report)
    return f"Partial review: {headline}" if conclusion == Conclusion.PARTIAL else headline[0].upper() + headline[1:]


def check_summary(review: Review, conclusion: Conclusion, report: Report, annotated: int) -> str:
    """The summary of a check run. `annotated` is how many of the findings it carries as annotations."""
    again = f"To run it again, press *Re-run*, or comment {code(f'@{settings.KODIAI_GITHUB_APP_SLUG} review')}."
    if conclusion == Conclusion.SKIPPED:
        return _shortened(f"This commit was not reviewed: {prose(review.conclusion_reason)}.\n\n{again}")
    if conclusion not in (Conclusion.SUCCESS, Conclusion.PARTIAL):
        return _shortened(f"{_what_failed(review)}. It says nothing about the changes.\n\n{again}")
    parts = []
    if review.degradation_path != DegradationPath.NONE:
        parts.append(f"> **{PARTIAL}** {_WHY_PARTIAL[DegradationPath(review.degradation_path)]}.")
    if conclusion == Conclusion.PARTIAL:
        parts.append(again)
    if more := len(report.findings) - annotated:
        parts.append(f"The {annotated} most severe findings are annotated here, {more} more are not.")
    parts.append(_looked_at(review, report))
    parts += [f"> {problem}" for problem in report.config_problems]
    return _shortened("\n\n".join(parts))


def _what_failed(review: Review) -> str:
    """Why a run failed, in words for everybody: what GitHub said, but not what went wrong inside of Kodiai."""
    if review.attempts >= settings.KODIAI_MAX_ATTEMPTS:
        return f"The review failed {_count(review.attempts, 'time')}; who runs Kodiai finds the reason in its admin"
    return f"The review failed: {prose(review.conclusion_reason)}"


def _headline(report: Report) -> str:
    if report.findings:
        counts = Counter(finding.severity for finding in report.findings)
        by_severity = ", ".join(f"{counts[severity]} {severity}" for severity in Severity if counts[severity])
        return f"{_count(len(report.findings), 'finding')} ({by_severity})"
    if report.looked_at:
        return "no findings"
    return "nothing to analyse"


def _looked_at(review: Review, report: Report, *, short: bool = False) -> str:
    """What was looked at and what was not; `short` puts all but the first line, and what failed, away."""
    if report.looked_at:
        with_what = ", ".join(report.engines) or "no engine"
        looked_at = (
            f"Looked at {len(report.looked_at)} of {_count(report.changed_files, 'changed file')} with {with_what}"
        )
    elif report.changed_files > 1:
        looked_at = f"None of the {report.changed_files} changed files could be looked at"
    else:
        looked_at = "The changed file could not be looked at" if report.changed_files else "No file is changed"
    first = f"{looked_at}, {prose(f'at commit {review.head_sha[:12]}.')}"
    too_many = _too_many(report)
    failed = [
        f"{engine} failed: {prose(reason)}. Its findings are missing." for engine, reason in report.engine_failures
    ]
    more = _not_said(report)
    left_out = _left_out(report)
    if not short:
        return "\n\n".join([_listed([first, *too_many, *more, *failed]), *left_out])
    parts = [_listed([first, *too_many, *failed]) if too_many or failed else first]
    if more or left_out:
        inside = "\n\n".join([*([_listed(more)] if more else []), *left_out])
        parts.append(f"<details><summary>Details</summary>\n\n{inside}\n\n</details>")
    return "\n\n".join(parts)


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _too_many(report: Report) -> list[str]:
    """What was not looked at because it is too much for one review: a sentence, or nothing."""
    beyond = sum(
        left.reason in (LeftOutReason.TOO_MANY_FILES, LeftOutReason.TOO_MANY_LINES) for left in report.left_out
    )
    if not beyond:
        return []
    return [f"{_count(beyond, 'file')} not looked at: this is more than one review takes, and the riskiest came first."]


def _not_said(report: Report) -> list[str]:
    """What was found and is not said, and what was not seen, a sentence each."""
    lines = []
    if report.outside_changes:
        on_unchanged = _count(report.outside_changes, "finding")
        lines.append(f"{on_unchanged} on lines that this pull request does not change: not said.")
    if report.not_wanted:
        lines.append(f"{_count(report.not_wanted, 'finding')} not said, as `.kodiai.yml` asks.")
    if report.discarded:
        lines.append(f"{_count(report.discarded, 'remark')} of the language model not said: not about changed lines.")
    if report.skipped_for_budget:
        lines.append(
            f"{_count(report.skipped_for_budget, 'file')} not shown to the language model: too much for its budget."
        )
    if report.ignored:
        lines.append(f"{_count(len(report.ignored), 'finding')} not said, as people asked in comments (`ignore`).")
    if report.hidden_for_newcomer:
        of_least = _count(report.hidden_for_newcomer, "finding")
        lines.append(f"{of_least} of severity info not said: on a first contribution they can wait.")
    if report.without_engine:
        lines.append(f"{_count(report.without_engine, 'file')} of kinds that no engine reads.")
    if report.truncated:
        lines.append("GitHub lists only the first files of a pull request this large; the others were not seen.")
    return lines


def _left_out(report: Report) -> list[str]:
    """The files that were left out, folded away; nothing where there are none."""
    if not report.left_out:
        return []
    rows = [f"{code(storable(left.path, MAX_PATH))}: {left.reason}" for left in report.left_out[:MAX_LEFT_OUT]]
    more = Counter(left.reason for left in report.left_out[MAX_LEFT_OUT:])
    rows += [f"and {count} more: {reason}" for reason, count in more.items()]
    heading = f"{_count(len(report.left_out), 'file')} left out"
    return [f"<details><summary>{heading}</summary>\n\n{_listed(rows)}\n\n</details>"]


def _config_change(problems: Sequence[str]) -> str:
    verdict = "\n> ".join(problems) if problems else "It is valid."
    return f"> This pull request changes `.kodiai.yml`, which counts from the base branch only. {verdict}"


def _table(findings: Sequence[Finding], refused: bool) -> str:
    remarks = group_findings(findings, suggestions=True)
    why = "GitHub took no comment on these lines:" if refused else "Beyond the inline comments:"
    rows = [
        f"| {remark.finding.severity} | {_cell(_where(remark))} | "
        f"{_cell(_rule(remark.finding))} {_cell(prose(remark.finding.message))} |"
        for remark in remarks[:MAX_TABLED]
    ]
    if more := sum(len(remark.findings) for remark in remarks[MAX_TABLED:]):
        rows.append(f"| | | and {more} more |")
    return "\n".join([why, "", "| Severity | Where | What |", "| --- | --- | --- |", *rows])


def _where(remark: Remark) -> str:
    place = code(f"{storable(remark.finding.path, MAX_PATH)}:{remark.finding.start_line}")
    return f"{place}, {also}" if (also := _also(remark)) else place


def _also(remark: Remark) -> str:
    """The lines of the others of a remark, as GitHub names lines; nothing where there are none."""
    lines = remark.other_lines
    shown = ", ".join(f"L{line}" for line in lines[:MAX_LINES])
    return f"{shown} and {len(lines) - MAX_LINES} more lines" if len(lines) > MAX_LINES else shown


def _rule(finding: Finding) -> str:
    return f"[{code(finding.rule)}]({finding.rule_url})" if finding.rule_url else code(finding.rule)


def _silence(finding: Finding) -> str:
    """How a finding is silenced, in words: by a comment in the code, or else by the repository's settings."""
    if finding.silence:
        return prose(finding.silence)
    return f"{code(f'{finding.rule}: never')} under {code('severities.rules')} in {code('.kodiai.yml')}"


def _cell(text: str) -> str:
    """Code in a table, where a bar ends the cell unless a backslash is before it, and only one."""
    return text.replace("\\|", "\\\N{ZERO WIDTH SPACE}|").replace("|", "\\|")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _shortened(text: str) -> str:
    if len(text) <= MAX_BODY:
        return text
    return text[:MAX_BODY].rsplit("\n", 1)[0] + "\n\n(shortened: GitHub takes no longer text)"
