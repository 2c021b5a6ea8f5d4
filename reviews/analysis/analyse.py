"""Step 4 of a run: the engines look at the changed files, and some of what they find is said."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from reviews import engines
from reviews.analysis.file_selection import Contents, select_files
from reviews.config import repository
from reviews.engines import llm
from reviews.findings import Finding, Report, Severity, Suggestion, fingerprinted
from reviews.github.patches import Hunk, changed, within_one
from reviews.github.schemas import Blob, ChangedFile

MAX_RANGE = 10
"""Lines of an inline comment. A remark on more of them stands on the first that was changed."""


def look_at(
    files: Sequence[ChangedFile],
    *,
    contents: Contents,
    config: repository.RepositoryConfig,
    ask: Callable[[Mapping[str, llm.Change]], llm.Answer] | None = None,
) -> Report:
    """Run the engines over changed files and report what they found on changed lines.

    For `contents` see `select_files`.

    `ask` asks the language model about changes; it is called once, or not at all. None where there is none.
    """
    present = [file for file in files if file.status != "removed"]
    with_engine = [file for file in present if engines.readable(file.path)]
    changes_config = any(file.path == repository.PATH for file in present)
    selection = select_files(with_engine, contents, config, changes_config=changes_config)
    texts = selection.texts
    found, ran, failures = engines.analyse(texts, disabled=config.engines.disable)
    found = [_within(finding, texts[finding.path]) for finding in found]
    in_base = {file.path: file.previous_path or file.path for file in present if file.status == "renamed"}
    on_changes = [
        fingerprinted(placed, in_base.get(placed.path, placed.path))
        for finding in found
        if (placed := _placed(finding, selection.hunks[finding.path]))
    ]
    by_analyzers = len(on_changes)
    failed = {engine for engine, _ in failures}
    answer = llm.Answer()
    if ask is not None and texts and llm.NAME not in config.engines.disable:
        patches = {file.path: file.patch or "" for file in present if file.path in texts}
        answer = ask({path: llm.Change(text, patches[path], selection.hunks[path]) for path, text in texts.items()})
        if answer.failure:
            failures.append((llm.NAME, answer.failure))
        elif answer.asked:
            ran.append(llm.NAME)
        on_changes += [
            _in_other_words(placed, in_base.get(placed.path, placed.path))
            for finding in llm.unsaid(answer.findings, on_changes)
            if (placed := _placed(finding, selection.hunks[finding.path]))
        ]
    said = [weighed for finding in on_changes if (weighed := _weighed(finding, config.severities))]
    return Report(
        changed_files=len(files),
        looked_at=tuple(sorted(texts)),
        findings=tuple(_one_suggestion_for_each_line(said)),
        outside_changes=len(found) - by_analyzers,
        not_wanted=len(on_changes) - len(said),
        left_out=selection.left_out,
        without_engine=len(present) - len(with_engine),
        engines=tuple(ran),
        engine_failures=tuple(failures),
        partially_analysed=tuple(sorted(path for path in texts if failed & engines.readers(path))),
        config_change=_problems(selection.proposed_config) if changes_config else None,
        discarded=answer.discarded,
        skipped_for_budget=answer.skipped_for_budget,
    )


def _within(finding: Finding, text: str) -> Finding:
    """Put on the last line what is said past it: where a bracket is open at the end, analyzers name the line after."""
    last = max(1, text.count("\n") + (not text.endswith("\n")))
    if finding.end_line <= last:
        return finding
    return replace(finding, start_line=min(finding.start_line, last), end_line=last)


def _placed(finding: Finding, hunks: Sequence[Hunk]) -> Finding | None:
    """Put a finding on lines that GitHub takes a comment on; None if it is not about a changed line."""
    if not changed(hunks, finding.start_line, finding.end_line) or _was_there(finding, hunks):
        return None
    fix = finding.suggestion
    if (
        fix is not None
        and changed(hunks, fix.start_line, fix.end_line)
        and within_one(hunks, fix.start_line, fix.end_line)
    ):
        # GitHub replaces the lines that the comment stands on.
        return replace(finding, start_line=fix.start_line, end_line=fix.end_line)
    start, end = finding.start_line, finding.end_line
    if end - start >= MAX_RANGE or not within_one(hunks, start, end):
        start = end = min(line for hunk in hunks for line in hunk.added if start <= line <= end)
    return replace(finding, start_line=start, end_line=end, suggestion=None)


def _in_other_words(finding: Finding, path_in_base: str) -> Finding:
    """Give a language model's finding a fingerprint without its message, which is another each time it is asked."""
    return replace(fingerprinted(replace(finding, message=""), path_in_base), message=finding.message)


def _was_there(finding: Finding, hunks: Sequence[Hunk]) -> bool:
    """Tell whether the words that a finding is about stood in the lines that its hunk took away."""
    its_own = (hunk for hunk in hunks if hunk.start <= finding.start_line <= hunk.end)
    return bool(finding.words) and any(hunk.removed_words.issuperset(finding.words) for hunk in its_own)


def _one_suggestion_for_each_line(findings: Sequence[Finding]) -> list[Finding]:
    """Of suggestions for the same lines offer the most severe: who commits one has changed what another replaces."""
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
            kept[index] = replace(finding, suggestion=None, fix=finding.fix or _in_words(fix))
    return kept


def _in_words(fix: Suggestion) -> str:
    """What a suggestion would do, where it is short enough to be said."""
    if fix.text is None:
        return "take this out"
    return f"make it `{fix.text.strip()}`" if "\n" not in fix.text and "`" not in fix.text else ""


def _weighed(finding: Finding, severities: repository.SeveritiesSection) -> Finding | None:
    """Give a finding the severity that the repository wants for its rule; None if it wants not to hear of it."""
    wanted = severities.rules.get(finding.rule, finding.severity)
    if wanted == "never" or Severity(wanted).rank > Severity(severities.lowest).rank:
        return None
    return replace(finding, severity=Severity(wanted))


def _problems(proposed: Blob | None) -> tuple[str, ...]:
    """What is wrong with the configuration that a pull request would bring."""
    if proposed is None or proposed.text is None or proposed.truncated:
        return (f"`{repository.PATH}` could not be read.",)
    return repository.parse(proposed.text).problems
