"""File selection: which changed files a review analyses, and why it leaves out the others."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from reviews.analysis import gitattributes
from reviews.analysis.path_rules import has_generated_header, is_generated_path, matches
from reviews.analysis.size_limits import over_limit
from reviews.config import repository
from reviews.engines.analyzer import clashing, safe_path
from reviews.findings import LeftOut, LeftOutReason
from reviews.github.files import FILES_PER_QUERY
from reviews.github.patches import BadPatch, Hunk, parse_hunks
from reviews.github.schemas import Blob, ChangedFile
from reviews.redaction import storable

LINK_TARGET = re.compile(r"[\w./@+-]+")
"""The content of a symbolic link: one path without a line break. GitHub's list of changed files does not mark links,
and no source file looks like that."""

Files = Mapping[str, Blob]
Contents = Callable[[Sequence[str], Sequence[str]], tuple[Files, Files]]
"""Fetches files by path: the first paths at the head commit, the second ones on the base branch."""
Hunks = Mapping[str, tuple[Hunk, ...]]


@dataclass(frozen=True)
class FileSelection:
    """The files to analyse, with their hunks and texts, and the files that are left out."""

    hunks: Hunks
    texts: Mapping[str, str]
    left_out: tuple[LeftOut, ...]
    proposed_config: Blob | None
    """The `.kodiai.yml` of the head commit."""


def select_files(
    files: Sequence[ChangedFile], contents: Contents, config: repository.RepositoryConfig, *, changes_config: bool
) -> FileSelection:
    """Select the files to analyse among the changed files that an engine can read.

    `contents` is called at most once; a second time only if the changes are over the size limits, or if
    `.gitattributes` includes generated files that did not fit into the first query.
    """
    clashes = clashing({file.path for file in files})
    files, ignored = _drop_ignored(files, config.paths.ignore)
    generated = _generated_by_name(files, config)
    hunks, without_diff = _read_diffs([file for file in files if file.path not in generated], clashes)
    extra = [repository.PATH] if changes_config else []
    prefetched = _paths_to_prefetch(files, hunks, generated, extra, config)
    at_head, in_base = contents(prefetched, [gitattributes.PATH]) if hunks or extra or generated else ({}, {})
    attributes = _attributes(files, in_base, config)
    hunks, by_attributes = _apply_attributes(files, hunks, generated, attributes, clashes)
    hunks, too_many = _drop_over_limit(hunks, config)
    if missing := [path for path in dict.fromkeys([*hunks, *extra]) if path not in prefetched]:
        at_head = {**at_head, **contents(missing, ())[0]}
    texts, unreadable = _read_texts(hunks, at_head, attributes, config)
    left_out = (*ignored, *without_diff, *by_attributes, *too_many, *unreadable)
    return FileSelection(hunks, texts, left_out, at_head.get(repository.PATH))


def _drop_ignored(files: Sequence[ChangedFile], patterns: Sequence[str]) -> tuple[list[ChangedFile], list[LeftOut]]:
    ignored = {file.path for file in files if matches(file.path, patterns)}
    kept = [file for file in files if file.path not in ignored]
    return kept, [_left_out(file, LeftOutReason.IGNORED) for file in files if file.path in ignored]


def _generated_by_name(files: Sequence[ChangedFile], config: repository.RepositoryConfig) -> set[str]:
    return {file.path for file in files if not config.paths.generated and is_generated_path(file.path)}


def _read_diffs(files: Sequence[ChangedFile], clashes: Collection[str]) -> tuple[Hunks, list[LeftOut]]:
    """Parse the patches of files; leave out those with an unsafe path or without a diff."""
    hunks: dict[str, tuple[Hunk, ...]] = {}
    left_out: list[LeftOut] = []
    for file in files:
        if not safe_path(file.path) or file.path in clashes:
            left_out.append(_left_out(file, LeftOutReason.UNSAFE_PATH))
        elif file.patch is None:
            left_out.append(_left_out(file, LeftOutReason.NO_DIFF))
        else:
            try:
                hunks[file.path] = parse_hunks(file.patch)
            except BadPatch:
                left_out.append(_left_out(file, LeftOutReason.NO_DIFF))
    return hunks, left_out


def _paths_to_prefetch(
    files: Sequence[ChangedFile],
    hunks: Hunks,
    generated: Collection[str],
    extra: Sequence[str],
    config: repository.RepositoryConfig,
) -> list[str]:
    """Paths to fetch together with `.gitattributes`.

    Files with a generated path are included where that costs no call: `.gitattributes` may include them. If the
    changes are over the size limits, `.gitattributes` is fetched alone, so that generated files do not use up the
    limits.
    """
    if over_limit(hunks, config.limits):
        return []
    wanted = list(dict.fromkeys([*hunks, *extra]))
    possible = [file.path for file in files if file.path in generated and file.patch is not None]
    free = max(0, FILES_PER_QUERY - 1 - len(wanted))
    return wanted + [path for path in possible if safe_path(path)][:free]


def _attributes(
    files: Sequence[ChangedFile], in_base: Files, config: repository.RepositoryConfig
) -> dict[str, bool | None]:
    """What `.gitattributes` says about each file: generated, not generated, or None for nothing."""
    if config.paths.generated or gitattributes.PATH not in in_base:
        return dict.fromkeys(file.path for file in files)
    rules = gitattributes.parse(in_base[gitattributes.PATH].text)
    return {file.path: gitattributes.is_generated(file.path, rules) for file in files}


def _apply_attributes(
    files: Sequence[ChangedFile],
    hunks: Hunks,
    generated: Collection[str],
    attributes: Mapping[str, bool | None],
    clashes: Collection[str],
) -> tuple[Hunks, list[LeftOut]]:
    """Leave out generated files. `.gitattributes` takes precedence over the name of a file."""
    left_out = [LeftOut(path, LeftOutReason.ATTRIBUTES) for path in hunks if attributes[path]]
    kept = {path: parsed for path, parsed in hunks.items() if not attributes[path]}
    by_name = [file for file in files if file.path in generated]
    left_out += [_left_out(file, LeftOutReason.GENERATED) for file in by_name if attributes[file.path] is not False]
    included, without_diff = _read_diffs([file for file in by_name if attributes[file.path] is False], clashes)
    return {**kept, **included}, [*left_out, *without_diff]


def _drop_over_limit(hunks: Hunks, config: repository.RepositoryConfig) -> tuple[Hunks, list[LeftOut]]:
    too_many = over_limit(hunks, config.limits)
    kept = {path: parsed for path, parsed in hunks.items() if path not in too_many}
    return kept, [LeftOut(path, reason) for path, reason in too_many.items()]


def _read_texts(
    paths: Collection[str],
    blobs: Files,
    attributes: Mapping[str, bool | None],
    config: repository.RepositoryConfig,
) -> tuple[dict[str, str], list[LeftOut]]:
    """Read the texts of files; leave out what is not text, and files with a generator's header."""
    texts = {}
    left_out = []
    for path in paths:
        text = _text(blobs.get(path), check_header=not config.paths.generated and attributes[path] is None)
        if isinstance(text, LeftOutReason):
            left_out.append(LeftOut(path, text))
        else:
            texts[path] = text
    return texts, left_out


def _left_out(file: ChangedFile, reason: LeftOutReason) -> LeftOut:
    return LeftOut(storable(file.path, 1024), reason)


def _text(blob: Blob | None, *, check_header: bool) -> str | LeftOutReason:
    """The text of a file, or the reason to leave it out."""
    if blob is None:
        return LeftOutReason.UNAVAILABLE
    if blob.truncated:
        return LeftOutReason.TOO_LARGE
    if blob.text is None:
        return LeftOutReason.NOT_TEXT
    if LINK_TARGET.fullmatch(blob.text):
        return LeftOutReason.LINK
    if check_header and has_generated_header(blob.text):
        return LeftOutReason.GENERATED
    return blob.text
