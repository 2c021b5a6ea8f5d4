"""Step 4 of a run: engines analyse the changed files; findings on changed lines are reported."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from reviews import engines
from reviews.analysis.file_selection import Contents, FileSelection, select_files
from reviews.config import repository
from reviews.engines import llm
from reviews.findings import Finding, Report, Severity, Suggestion, fingerprinted
from reviews.github.patches import Hunk, has_added_lines, in_one_hunk
from reviews.github.schemas import Blob, ChangedFile

MAX_RANGE = 10
"""Lines of an inline comment. A finding on more lines is reported on the first changed line."""

AskModel = Callable[[Mapping[str, llm.Change]], llm.Answer]


def analyse_files(
    files: Sequence[ChangedFile],
    *,
    contents: Contents,
    config: repository.RepositoryConfig,
    ask: AskModel | None = None,
) -> Report:
    """Run the engines over changed files and report their findings on changed lines.

    For `contents` see `select_files`. `ask` sends changes to the language model and is called at most once; None if no
    model is configured.
    """
    present = [file for file in files if file.status != "removed"]
    readable = [file for file in present if engines.readable(file.path)]
    changes_config = any(file.path == repository.PATH for file in present)
    selection = select_files(readable, contents, config, changes_config=changes_config)
    path_in_base = {file.path: _path_in_base(file) for file in present}

    analyzed = engines.run_analyzers(selection.texts, disabled=config.engines.disable)
    by_analyzers = [
        fingerprinted(finding, path_in_base[finding.path]) for finding in _on_changes(analyzed.findings, selection)
    ]
    answer = _ask_model(ask, present, selection, config)
    by_model = [
        _fingerprinted_without_message(finding, path_in_base[finding.path])
        for finding in _on_changes(llm.drop_overlapping(answer.findings, by_analyzers), selection)
    ]
    on_changes = [*by_analyzers, *by_model]
    findings = _apply_severities(on_changes, config.severities)
    ran, failures = _engine_results(analyzed, answer)
    return Report(
        changed_files=len(files),
        analysed_files=tuple(sorted(selection.texts)),
        findings=tuple(_one_suggestion_per_line(findings)),
        outside_changes=len(analyzed.findings) - len(by_analyzers),
        suppressed=len(on_changes) - len(findings),
        left_out=selection.left_out,
        without_engine=len(present) - len(readable),
        engines=ran,
        engine_failures=failures,
        partially_analysed=_partially_analysed(selection, analyzed),
        config_change=_config_problems(selection.proposed_config) if changes_config else None,
        discarded=answer.discarded,
        skipped_for_budget=answer.skipped_for_budget,
    )


def _ask_model(
    ask: AskModel | None, files: Iterable[ChangedFile], selection: FileSelection, config: repository.RepositoryConfig
) -> llm.Answer:
    if ask is None or not selection.texts or llm.NAME in config.engines.disable:
        return llm.Answer()
    patches = {file.path: file.patch or "" for file in files}
    return ask({path: llm.Change(text, patches[path], selection.hunks[path]) for path, text in selection.texts.items()})


def _path_in_base(file: ChangedFile) -> str:
    return (file.previous_path if file.status == "renamed" else None) or file.path


def _engine_results(
    analyzed: engines.AnalyzersRun, answer: llm.Answer
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The names of the engines that ran, and the failures with their reasons, the language model included."""
    if answer.failure:
        return tuple(analyzed.ran), (*analyzed.failures, (llm.NAME, answer.failure))
    return (*analyzed.ran, *([llm.NAME] if answer.asked else [])), tuple(analyzed.failures)


def _partially_analysed(selection: FileSelection, analyzed: engines.AnalyzersRun) -> tuple[str, ...]:
    """The files that a failed analyzer should have read."""
    failed = {engine for engine, _ in analyzed.failures}
    return tuple(sorted(path for path in selection.texts if failed & engines.readers(path)))


def _on_changes(findings: Iterable[Finding], selection: FileSelection) -> list[Finding]:
    """Keep findings on changed lines, on a range that GitHub accepts a comment on."""
    clamped = (_clamp_to_file(finding, selection.texts[finding.path]) for finding in findings)
    anchored = (_anchor(finding, selection.hunks[finding.path]) for finding in clamped)
    return [finding for finding in anchored if finding is not None]


def _clamp_to_file(finding: Finding, text: str) -> Finding:
    """Move a finding past the end to the last line: for an unclosed bracket analyzers name the line after."""
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
    return repository.parse(proposed.text).problems
