"""Step 4 of a run: which changed files are looked at, and which of the findings are said."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from reviews import config, engines
from reviews.diff import BadPatch, Hunk, changed, hunks_of, within_one
from reviews.engines import llm
from reviews.engines.analyzer import clashing, safe_path
from reviews.findings import Finding, LeftOut, LeftOutReason, Report, Severity, fingerprinted
from reviews.github import Blob, ChangedFile
from reviews.paths import matches, says_that_it_is_generated, written_by_nobody
from reviews.redaction import storable

LINK_TARGET = re.compile(r"[\w./@+-]+")
"""What a symbolic link holds: a path, without a line break. GitHub's list of changed files does not tell links apart,
and no program is written like that."""
LONGEST_RANGE = 10
"""Lines of an inline comment. A remark on more of them stands on the first that was changed."""


def look_at(
    files: Sequence[ChangedFile],
    *,
    contents: Callable[[Sequence[str]], Mapping[str, Blob]],
    settled: config.RepositoryConfig,
    ask: Callable[[Mapping[str, llm.Change]], llm.Answer] | None = None,
) -> Report:
    """Run the engines over changed files and report what they found on changed lines.

    `contents` hands over the files at some paths as they are at the head; it is called once, or not at all. So is
    `ask`, which asks the language model about changes; None where there is none.
    """
    present = [file for file in files if file.status != "removed"]
    with_engine = [file for file in present if engines.readable(file.path)]
    hunks, left_out = _with_diff(with_engine, settled.paths)
    changes_config = any(file.path == config.PATH for file in present)
    wanted = [*hunks, *([config.PATH] if changes_config and config.PATH not in hunks else [])]
    blobs = contents(wanted) if wanted else {}
    texts: dict[str, str] = {}
    for path in hunks:
        text = _text(blobs.get(path), settled.paths)
        if isinstance(text, LeftOutReason):
            left_out.append(LeftOut(path, text))
        else:
            texts[path] = text
    found, ran, failures = engines.analyse(texts, disabled=settled.engines.disable)
    found = [_within(finding, texts[finding.path]) for finding in found]
    in_base = {file.path: file.previous_path or file.path for file in present if file.status == "renamed"}
    on_changes = [
        fingerprinted(placed, in_base.get(placed.path, placed.path))
        for finding in found
        if (placed := _placed(finding, hunks[finding.path]))
    ]
    by_analyzers = len(on_changes)
    failed = {engine for engine, _ in failures}
    answer = llm.Answer()
    if ask is not None and texts and llm.NAME not in settled.engines.disable:
        patches = {file.path: file.patch or "" for file in present if file.path in texts}
        answer = ask({path: llm.Change(text, patches[path], hunks[path]) for path, text in texts.items()})
        if answer.failure:
            failures.append((llm.NAME, answer.failure))
        elif answer.asked:
            ran.append(llm.NAME)
        on_changes += [
            _in_other_words(placed, in_base.get(placed.path, placed.path))
            for finding in llm.unsaid(answer.findings, on_changes)
            if (placed := _placed(finding, hunks[finding.path]))
        ]
    said = [weighed for finding in on_changes if (weighed := _weighed(finding, settled.severities))]
    return Report(
        changed_files=len(files),
        looked_at=tuple(sorted(texts)),
        findings=tuple(said),
        outside_changes=len(found) - by_analyzers,
        not_wanted=len(on_changes) - len(said),
        left_out=tuple(left_out),
        without_engine=len(present) - len(with_engine),
        engines=tuple(ran),
        engine_failures=tuple(failures),
        half_read=tuple(sorted(path for path in texts if failed & engines.readers(path))),
        config_change=_problems(blobs.get(config.PATH)) if changes_config else None,
        unfit=answer.unfit,
        unsent=answer.unsent,
    )


def _with_diff(
    files: Sequence[ChangedFile], paths: config.PathsSection
) -> tuple[dict[str, tuple[Hunk, ...]], list[LeftOut]]:
    """The files that can be looked at, as far as paths and patches tell, with their hunks; and those left out."""
    hunks: dict[str, tuple[Hunk, ...]] = {}
    left_out: list[LeftOut] = []
    clashes = clashing({file.path for file in files})
    for file in files:
        if matches(file.path, paths.ignore):
            left_out.append(LeftOut(storable(file.path, 1024), LeftOutReason.IGNORED))
        elif not paths.generated and written_by_nobody(file.path):
            left_out.append(LeftOut(storable(file.path, 1024), LeftOutReason.GENERATED))
        elif not safe_path(file.path) or file.path in clashes:
            left_out.append(LeftOut(storable(file.path, 1024), LeftOutReason.UNSAFE_PATH))
        elif file.patch is None:
            left_out.append(LeftOut(file.path, LeftOutReason.NO_DIFF))
        else:
            try:
                hunks[file.path] = hunks_of(file.patch)
            except BadPatch:
                left_out.append(LeftOut(file.path, LeftOutReason.NO_DIFF))
    return hunks, left_out


def _text(blob: Blob | None, paths: config.PathsSection) -> str | LeftOutReason:
    """The text of a file, or why it is not looked at."""
    if blob is None:
        return LeftOutReason.GONE
    if blob.truncated:
        return LeftOutReason.TOO_LARGE
    if blob.text is None:
        return LeftOutReason.NOT_TEXT
    if LINK_TARGET.fullmatch(blob.text):
        return LeftOutReason.LINK
    if not paths.generated and says_that_it_is_generated(blob.text):
        return LeftOutReason.GENERATED
    return blob.text


def _within(finding: Finding, text: str) -> Finding:
    """Put on the last line what is said past it: where a bracket is open at the end, analyzers name the line after."""
    last = max(1, text.count("\n") + (not text.endswith("\n")))
    if finding.end_line <= last:
        return finding
    return replace(finding, start_line=min(finding.start_line, last), end_line=last)


def _placed(finding: Finding, hunks: Sequence[Hunk]) -> Finding | None:
    """Put a finding on lines that GitHub takes a comment on; None if it is not about a changed line."""
    if not changed(hunks, finding.start_line, finding.end_line):
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
    if end - start >= LONGEST_RANGE or not within_one(hunks, start, end):
        start = end = min(line for hunk in hunks for line in hunk.added if start <= line <= end)
    return replace(finding, start_line=start, end_line=end, suggestion=None)


def _in_other_words(finding: Finding, path_in_base: str) -> Finding:
    """Give a language model's finding a fingerprint without its message, which is another each time it is asked."""
    return replace(fingerprinted(replace(finding, message=""), path_in_base), message=finding.message)


def _weighed(finding: Finding, severities: config.SeveritiesSection) -> Finding | None:
    """Give a finding the severity that the repository wants for its rule; None if it wants not to hear of it."""
    wanted = severities.rules.get(finding.rule, finding.severity)
    if wanted == "never" or Severity(wanted).rank > Severity(severities.lowest).rank:
        return None
    return replace(finding, severity=Severity(wanted))


def _problems(proposed: Blob | None) -> tuple[str, ...]:
    """What is wrong with the configuration that a pull request would bring."""
    if proposed is None or proposed.text is None or proposed.truncated:
        return (f"`{config.PATH}` could not be read.",)
    return config.parse(proposed.text).problems
