"""Step 4 of a run: engines analyse the changed files; findings on changed lines are reported."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from reviews import engines
from reviews.analysis import suppressions
from reviews.analysis.baseline import Comparison, Memory, compare
from reviews.analysis.file_selection import Contents, FileSelection, select_files
from reviews.analysis.moved_names import is_defined_elsewhere
from reviews.analysis.provenance import graded
from reviews.analysis.removed_names import find_removed_names
from reviews.config import repository
from reviews.engines import llm
from reviews.engines.secret_values import blank, secret_values
from reviews.engines.verification import verify_suggestions
from reviews.findings import FileCoverage, Finding, Report, Severity, Suggestion, Unread, fingerprinted
from reviews.github.patches import Hunk, has_added_lines, in_one_hunk
from reviews.github.schemas import Blob, ChangedFile

MAX_UNREPORTED = 1_000
"""Fingerprints of findings that are not reported."""
MAX_RANGE = 10
"""Lines of an inline comment. A finding on more lines is reported on the first changed line."""

AskModel = Callable[[Mapping[str, llm.Change]], llm.Answer]


def analyse_files(
    files: Sequence[ChangedFile],
    *,
    contents: Contents,
    config: repository.RepositoryConfig,
    ask: AskModel | None = None,
    memory: Memory | None = None,
) -> Report:
    """Run the engines over changed files and report the findings that the change introduces.

    For `contents` see `select_files`, for `memory` `compare`. `ask` sends changes to the language model and is called
    at most once; None if no model is configured.
    """
    present = [file for file in files if file.status != "removed"]
    if llm.NAME in config.engines.disable:
        ask = None
    selection = select_files(
        present,
        contents,
        config,
        readable=lambda path, text: engines.readable(path, text) or (ask is not None and llm.reads(path)),
    )
    analyzed, turned_off = _run_analyzers(selection, config)
    comparison = _judged_by_base(
        compare(analyzed.findings, selection.bases, selection.hunks, selection.linters, memory), selection
    )
    analyzed = analyzed._replace(unread=_with_unknown_bases(analyzed.unread, comparison, selection))
    removed = find_removed_names(files, selection, comparison.introduced)
    removed = [finding for finding in removed if finding.engine not in config.engines.disable]
    comparison = replace(comparison, introduced=(*comparison.introduced, *removed))
    paths_in_base = {path: base.path for path, base in selection.bases.items()}
    reportable, outside_changes = _reportable(comparison, selection)
    by_analyzers = [
        fingerprinted(
            graded(
                finding,
                selection.texts.get(finding.path, ""),
                selection.bases[finding.path],
                selection.hunks[finding.path],
                config,
            ),
            paths_in_base[finding.path],
        )
        for finding in reportable
    ]
    answer = _ask_model(ask, present, selection)
    by_model = [
        _fingerprinted_without_message(finding, paths_in_base[finding.path])
        for finding in _on_changes(llm.drop_overlapping(answer.findings, by_analyzers), selection)
    ]
    on_changes = [*by_analyzers, *by_model]
    findings = verify_suggestions(
        [_without_unseen(finding) for finding in _apply_severities(on_changes, config.severities)],
        analyzed.findings,
        selection.texts,
        bases={path: base.text or "" for path, base in selection.bases.items()},
        settings=selection.linters,
        patches={path: side.after for path, side in selection.patches.items()},
    )
    ran, failures = _engine_results(analyzed, answer)
    changes_config = any(file.path == repository.PATH for file in present)
    return Report(
        changed_files=len(files),
        analysed_files=tuple(
            sorted({*selection.texts, *selection.patches} - {left.path for left in selection.left_out})
        ),
        findings=tuple(_one_suggestion_per_line(findings)),
        outside_changes=outside_changes,
        pre_existing=len(comparison.pre_existing),
        suppressed=len(on_changes) - len(findings),
        suppressed_by_linters=len(_on_changes(turned_off, selection)),
        unreported=_unreported([*comparison.pre_existing, *turned_off, *on_changes], findings, paths_in_base),
        disabled=tuple(config.engines.disable),
        linter_problems=selection.linters.problems,
        left_out=selection.left_out,
        without_engine=selection.without_engine,
        engines=ran,
        engine_failures=failures,
        partially_analysed=tuple(sorted(analyzed.unread)),
        files=_coverage(selection, analyzed, config),
        versions={analyzer.name: analyzer.version for analyzer in engines.ANALYZERS if analyzer.name in ran},
        config_change=_config_problems(selection.proposed_config) if changes_config else None,
        discarded=answer.discarded,
        skipped_for_budget=answer.skipped_for_budget,
    )


def _run_analyzers(
    selection: FileSelection, config: repository.RepositoryConfig
) -> tuple[engines.AnalyzersRun, list[Finding]]:
    """Run the analyzers; return also the findings that the settings and comments of the repository's linters turn off.

    Suppression comments that the pull request adds are ineffective: see `suppressions`.
    """
    pattern = suppressions.OF_ALL if config.check.may_fail else suppressions.OF_SECRETS
    added = {path: {line for hunk in hunks for line in hunk.added} for path, hunks in selection.hunks.items()}
    texts = {
        path: suppressions.without_new(text, selection.bases[path].text, added[path], pattern)
        for path, text in selection.texts.items()
    }
    patches = {
        path: suppressions.without_new(
            side.after, side.before, [at for at, line in enumerate(side.numbers, 1) if line in added[path]], pattern
        )
        for path, side in selection.patches.items()
    }
    ran = engines.run_analyzers(texts, config.engines.disable, patches, selection.linters)
    kept, turned_off = selection.linters.split(ran.findings, {**texts, **patches})
    findings = []
    for finding in kept:
        if side := selection.patches.get(finding.path):
            start, end = (side.numbers[line - 1] for line in (finding.start_line, finding.end_line))
            finding = replace(finding, start_line=start, end_line=end, suggestion=None)
        elif config.check.may_fail:
            # A suggestion may contain a comment that was made ineffective.
            changed = texts[finding.path] != selection.texts[finding.path]
            finding = replace(finding, suppression="", suggestion=None if changed else finding.suggestion)
        findings.append(finding)
    return ran._replace(findings=findings), turned_off


def _ask_model(ask: AskModel | None, files: Iterable[ChangedFile], selection: FileSelection) -> llm.Answer:
    if ask is None or not selection.texts:
        return llm.Answer()
    patches = {file.path: file.patch or "" for file in files}
    return ask({path: llm.Change(text, patches[path], selection.hunks[path]) for path, text in selection.texts.items()})


def _engine_results(
    analyzed: engines.AnalyzersRun, answer: llm.Answer
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The names of the engines that ran, and the failures with their reasons, the language model included."""
    if answer.failure:
        return tuple(analyzed.ran), (*analyzed.failures, (llm.NAME, answer.failure))
    return (*analyzed.ran, *([llm.NAME] if answer.asked else [])), tuple(analyzed.failures)


def _coverage(
    selection: FileSelection, analyzed: engines.AnalyzersRun, config: repository.RepositoryConfig
) -> tuple[FileCoverage, ...]:
    """Which analyzers have read each changed file, and why others have not."""
    left_out = {left.path: left.reason for left in selection.left_out}
    files = []
    for path in sorted({*selection.texts, *selection.patches, *left_out}):
        unread = analyzed.unread.get(path, {})
        is_read = path in selection.texts or path in selection.patches
        readers = engines.readers(path, selection.texts.get(path), config.engines.disable) if is_read else []
        files.append(
            FileCoverage(
                path=path,
                changed_lines=sum(len(hunk.added) for hunk in selection.hunks.get(path, ())),
                read_by=tuple(name for name in readers if name not in unread),
                unread=tuple(Unread(name, reason) for name, reason in unread.items()),
                left_out=left_out.get(path),
            )
        )
    return tuple(files)


# Which findings are reported, and on which lines


def _judged_by_base(comparison: Comparison, selection: FileSelection) -> Comparison:
    """Report errors that may be due to a dialect (internal findings) where the base could be parsed without one.

    And take for known what the analyzer cannot read on the base, where the error is none of the base.
    """
    introduced = []
    for finding in comparison.introduced:
        base = selection.bases[finding.path].text
        if not finding.internal:
            introduced.append(finding)
        elif base and comparison.is_known(finding):
            introduced.append(replace(finding, internal=False))
    accepted = {
        (finding.path, finding.engine)
        for finding in introduced
        if (accepts := engines.analyzer_of(finding).accepts)
        and engines.analyzer_of(finding).is_parse_error(finding)
        and (base := selection.bases[finding.path].text)
        and accepts(base)
    }
    return replace(comparison, introduced=tuple(introduced), unknown=comparison.unknown - accepted)


def _reportable(comparison: Comparison, selection: FileSelection) -> tuple[list[Finding], int]:
    """The introduced findings that are reported, and the number of those that are not.

    Reported are those on a changed line, and near one those whose unchanged line the change breaks.
    """
    reported, breakage, others = [], [], 0
    for finding in comparison.introduced:
        hunks = selection.hunks[finding.path]
        clamped = _clamp_to_file(finding, selection.texts.get(finding.path))
        anchored = _anchor(clamped, hunks)
        analyzer = engines.analyzer_of(finding)
        if analyzer.is_only_breakage(finding) and (anchored or not comparison.is_known(finding)):
            continue
        if anchored is not None:
            given = comparison.may_be_given(finding)
            reported.append(replace(anchored, severity=Severity.INFO) if given else anchored)
        elif is_defined_elsewhere(finding, selection.texts):
            others += 1
        elif analyzer.is_breakage(finding) and comparison.is_known(finding):
            near = _anchor_near(clamped, hunks)
            breakage += [near] if near is not None else []
        else:
            others += 1
    broken = {
        (finding.path, finding.engine) for finding in reported if engines.analyzer_of(finding).is_parse_error(finding)
    }
    for finding in sorted(breakage, key=lambda finding: finding.elsewhere or finding.start_line):
        # One error in the syntax causes others.
        if engines.analyzer_of(finding).is_parse_error(finding):
            if (finding.path, finding.engine) in broken:
                continue
            broken.add((finding.path, finding.engine))
        reported.append(finding)
    return reported, others


def _with_unknown_bases(
    unread: Mapping[str, Mapping[str, str]], comparison: Comparison, selection: FileSelection
) -> dict[str, dict[str, str]]:
    """Add the files of which nobody can say whether the change broke an unchanged line: their base is not available."""
    with_unknown = {path: dict(reasons) for path, reasons in unread.items()}
    for finding in comparison.introduced:
        path, lines = finding.path, (finding.start_line, finding.end_line)
        is_unknown = path in selection.texts and selection.bases[path].text is None
        if (
            is_unknown
            and engines.analyzer_of(finding).is_breakage(finding)
            and not has_added_lines(selection.hunks[path], *lines)
        ):
            with_unknown.setdefault(path, {}).setdefault(finding.engine, "its text on the base branch is not available")
    return with_unknown


def _anchor_near(finding: Finding, hunks: Sequence[Hunk]) -> Finding | None:
    """Anchor a finding on an unchanged line to the nearest changed line, or to one beside removed lines."""
    lines = {line for hunk in hunks for line in hunk.added or hunk.beside_removed}
    if not lines:
        return None
    nearest = min(lines, key=lambda line: (abs(line - finding.start_line), line))
    elsewhere = 0 if nearest == finding.start_line else finding.start_line
    return replace(finding, start_line=nearest, end_line=nearest, elsewhere=elsewhere, suggestion=None)


def _on_changes(findings: Iterable[Finding], selection: FileSelection) -> list[Finding]:
    """Keep findings on changed lines, on a range that GitHub accepts a comment on."""
    clamped = (_clamp_to_file(finding, selection.texts.get(finding.path)) for finding in findings)
    anchored = (_anchor(finding, selection.hunks[finding.path]) for finding in clamped)
    return [finding for finding in anchored if finding is not None]


def _clamp_to_file(finding: Finding, text: str | None) -> Finding:
    """Move a finding past the end to the last line: for an unclosed bracket analyzers name the line after."""
    if text is None:
        return finding
    last = max(1, text.count("\n") + (not text.endswith("\n")))
    if finding.end_line <= last:
        return finding
    return replace(finding, start_line=min(finding.start_line, last), end_line=last)


def _anchor(finding: Finding, hunks: Sequence[Hunk]) -> Finding | None:
    """Anchor a finding to lines of the diff that GitHub accepts a comment on; None if it is not on a changed line."""
    if not has_added_lines(hunks, finding.start_line, finding.end_line) or _is_moved_text(finding, hunks):
        return None
    fix = finding.suggestion
    if (
        fix is not None
        and has_added_lines(hunks, fix.start_line, fix.end_line)
        and in_one_hunk(hunks, fix.start_line, fix.end_line)
    ):
        # GitHub replaces the lines that the comment is on.
        return replace(finding, start_line=fix.start_line, end_line=fix.end_line)
    start, end = finding.start_line, finding.end_line
    if end - start >= MAX_RANGE or not in_one_hunk(hunks, start, end):
        start = end = min(line for hunk in hunks for line in hunk.added if start <= line <= end)
    return replace(finding, start_line=start, end_line=end, suggestion=None)


def _is_moved_text(finding: Finding, hunks: Sequence[Hunk]) -> bool:
    """Return whether the lines that the hunk removes contain the words of the finding: the text is only moved."""
    around = (hunk for hunk in hunks if hunk.start <= finding.start_line <= hunk.end)
    return bool(finding.words) and any(hunk.removed_words.issuperset(finding.words) for hunk in around)


def _unreported(
    present: Iterable[Finding], reported: Iterable[Finding], paths_in_base: Mapping[str, str]
) -> tuple[str, ...]:
    """The fingerprints of findings that are there and not reported; what is info never had a comment."""
    known = {finding.fingerprint for finding in reported}
    named = (
        finding.fingerprint or fingerprinted(finding, paths_in_base[finding.path]).fingerprint
        for finding in present
        if finding.severity != Severity.INFO
    )
    return tuple(islice(dict.fromkeys(one for one in named if one not in known), MAX_UNREPORTED))


def _fingerprinted_without_message(finding: Finding, path_in_base: str) -> Finding:
    """Fingerprint a language model's finding without its message, which differs from run to run."""
    return replace(fingerprinted(replace(finding, message=""), path_in_base), message=finding.message)


def _apply_severities(findings: Iterable[Finding], severities: repository.SeveritiesSection) -> list[Finding]:
    """Set the severities that the repository configures; drop findings of disabled rules and below its threshold."""
    kept = []
    for finding in findings:
        severity = severities.rules.get(finding.rule, finding.severity)
        if severity != "never" and Severity(severity).rank <= Severity(severities.lowest).rank:
            kept.append(replace(finding, severity=Severity(severity)))
    return kept


def _without_unseen(finding: Finding) -> Finding:
    """Drop the suggestion of an info finding: it has no comment that could offer it, and need not be verified."""
    return replace(finding, suggestion=None) if finding.severity == Severity.INFO else finding


def _one_suggestion_per_line(findings: Sequence[Finding]) -> list[Finding]:
    """Keep the most severe of suggestions for the same lines: after one is committed, the others no longer apply."""
    taken: set[tuple[str, int]] = set()
    kept = list(findings)
    for index, finding in sorted(enumerate(findings), key=lambda pair: (pair[1].severity.rank, pair[0])):
        fix = finding.suggestion
        if fix is None:
            continue
        lines = {(finding.path, line) for line in range(fix.start_line, fix.end_line + 1)}
        if taken.isdisjoint(lines):
            taken |= lines
        else:
            kept[index] = replace(finding, suggestion=None, fix=finding.fix or _describe(fix))
    return kept


def _describe(fix: Suggestion) -> str:
    """Describe a suggestion in words; empty if it is too long for a sentence."""
    if fix.text is None:
        return "remove this"
    return f"replace with `{fix.text.strip()}`" if "\n" not in fix.text and "`" not in fix.text else ""


def _config_problems(proposed: Blob | None) -> tuple[str, ...]:
    """Problems of the configuration that the pull request would introduce."""
    if proposed is None or proposed.text is None or proposed.truncated:
        return (f"`{repository.PATH}` could not be read.",)
    secrets = secret_values((proposed.text,))
    return tuple(blank(problem, secrets) for problem in repository.parse(proposed.text).problems)
