"""Which of the changed files are looked at, and why the others are not."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reviews.analysis import gitattributes
from reviews.analysis.path_rules import has_generated_header, is_generated_path, matches
from reviews.analysis.size_limits import over_limit
from reviews.config import repository
from reviews.engines.analyzer import clashing, safe_path
from reviews.findings import LeftOut, LeftOutReason
from reviews.github.client import FILES_PER_QUERY
from reviews.github.patches import BadPatch, Hunk, hunks_of
from reviews.github.schemas import Blob, ChangedFile
from reviews.redaction import storable

LINK_TARGET = re.compile(r"[\w./@+-]+")
"""What a symbolic link holds: a path, without a line break. GitHub's list of changed files does not tell links apart,
and no program is written like that."""

Files = Mapping[str, Blob]
Contents = Callable[[Sequence[str], Sequence[str]], tuple[Files, Files]]
"""Hands over the files at some paths as they are at the head, and at others as they are in the base."""
Hunks = Mapping[str, tuple[Hunk, ...]]


@dataclass(frozen=True)
class FileSelection:
    """The files that are looked at, with their hunks and texts, and those that are not."""

    hunks: Hunks
    texts: Mapping[str, str]
    left_out: tuple[LeftOut, ...]
    proposed_config: Blob | None
    """The `.kodiai.yml` of the head."""


def select_files(
    files: Sequence[ChangedFile], contents: Contents, config: repository.RepositoryConfig, *, changes_config: bool
) -> FileSelection:
    """Choose among changed files that an engine reads.

    `contents` is called once, or not at all; a second time where there is more than one review looks at, or more than
    GitHub hands over at once and `.gitattributes` wants files looked at that are passed over by their names.
    """
    paths = config.paths
    clashes = clashing({file.path for file in files})
    left_out = [_left_out(file, LeftOutReason.IGNORED) for file in files if matches(file.path, paths.ignore)]
    files = [file for file in files if not matches(file.path, paths.ignore)]
    by_name = {file.path for file in files if not paths.generated and is_generated_path(file.path)}
    hunks, without_diff = _with_diff([file for file in files if file.path not in by_name], clashes)
    at_head: Files = {}
    in_base: Files = {}
    besides = [repository.PATH] if changes_config else []
    is_large = bool(over_limit(hunks, config.limits))
    asked: list[str] = []
    if hunks or besides or by_name:
        # What is passed over by its name comes along where that costs no call: `.gitattributes` may know better. Where
        # there is too much, that is asked first, so that what nobody wrote takes nobody's place.
        perhaps = [file.path for file in files if file.path in by_name and file.patch is not None]
        perhaps = [path for path in perhaps if safe_path(path)]
        asked = [] if is_large else list(dict.fromkeys([*hunks, *besides]))
        asked += [] if is_large else perhaps[: max(0, FILES_PER_QUERY - 1 - len(asked))]
        at_head, in_base = contents(asked, [gitattributes.PATH])
    rules = gitattributes.parse(in_base[gitattributes.PATH].text) if gitattributes.PATH in in_base else ()
    said = {file.path: None if paths.generated else gitattributes.is_generated(file.path, rules) for file in files}
    left_out += [LeftOut(path, LeftOutReason.ATTRIBUTES) for path in hunks if said[path]]
    hunks = {path: of_it for path, of_it in hunks.items() if not said[path]}
    passed_over = [file for file in files if file.path in by_name and said[file.path] is not False]
    left_out += [_left_out(file, LeftOutReason.GENERATED) for file in passed_over]
    wanted_anyway = [file for file in files if file.path in by_name and said[file.path] is False]
    more, more_without_diff = _with_diff(wanted_anyway, clashes)
    hunks |= more
    too_many = over_limit(hunks, config.limits)
    left_out += [*without_diff, *more_without_diff, *(LeftOut(path, reason) for path, reason in too_many.items())]
    hunks = {path: of_it for path, of_it in hunks.items() if path not in too_many}
    if missing := [path for path in dict.fromkeys([*hunks, *besides]) if path not in asked]:
        at_head = {**at_head, **contents(missing, ())[0]}
    texts = {}
    for path in hunks:
        text = _text(at_head.get(path), believes_heads=not paths.generated and said[path] is None)
        if isinstance(text, LeftOutReason):
            left_out.append(LeftOut(path, text))
        else:
            texts[path] = text
    return FileSelection(hunks, texts, tuple(left_out), at_head.get(repository.PATH))


def _with_diff(files: Sequence[ChangedFile], clashes: set[str]) -> tuple[dict[str, tuple[Hunk, ...]], list[LeftOut]]:
    """The files that can be looked at, as far as paths and patches tell, with their hunks; and those left out."""
    hunks: dict[str, tuple[Hunk, ...]] = {}
    left_out: list[LeftOut] = []
    for file in files:
        if not safe_path(file.path) or file.path in clashes:
            left_out.append(_left_out(file, LeftOutReason.UNSAFE_PATH))
        elif file.patch is None:
            left_out.append(_left_out(file, LeftOutReason.NO_DIFF))
        else:
            try:
                hunks[file.path] = hunks_of(file.patch)
            except BadPatch:
                left_out.append(_left_out(file, LeftOutReason.NO_DIFF))
    return hunks, left_out


def _left_out(file: ChangedFile, reason: LeftOutReason) -> LeftOut:
    return LeftOut(storable(file.path, 1024), reason)


def _text(blob: Blob | None, *, believes_heads: bool) -> str | LeftOutReason:
    """The text of a file, or why it is not looked at; `believes_heads` in what they say of generators."""
    if blob is None:
        return LeftOutReason.GONE
    if blob.truncated:
        return LeftOutReason.TOO_LARGE
    if blob.text is None:
        return LeftOutReason.NOT_TEXT
    if LINK_TARGET.fullmatch(blob.text):
        return LeftOutReason.LINK
    if believes_heads and has_generated_header(blob.text):
        return LeftOutReason.GENERATED
    return blob.text
