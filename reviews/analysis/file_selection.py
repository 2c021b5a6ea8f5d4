"""File selection: which changed files the engines read, and why the others are left out.

What a pull request contains never takes a file out of the search for secrets, and never out of a check run that may
fail (`check.fail_on`): only the base branch can do that, by `.kodiai.yml`, `.gitattributes`, or because the file was
generated before.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from reviews import engines
from reviews.analysis import gitattributes
from reviews.analysis.baseline import BaseFile
from reviews.analysis.path_rules import has_generated_header, is_generated_path, matches, named
from reviews.analysis.size_limits import over_limit
from reviews.config import linters, repository
from reviews.config.linters import NO_SETTINGS, LinterSettings
from reviews.engines.analyzer import clashing, safe_path
from reviews.engines.kinds import PROSE, SETTINGS, SOURCE, may_be_script
from reviews.findings import LeftOut, LeftOutReason
from reviews.github.facts import FILES_PER_QUERY
from reviews.github.patches import BadPatch, Hunk, Sides, parse_hunks, sides_of
from reviews.github.schemas import Blob, ChangedFile
from reviews.redaction import storable

_LFS_POINTER = re.compile(
    r"\s*version https://(?:git-lfs|hawser)\.github\.com/spec/v1\s+(?:ext-[^\n]*\n\s*)*"
    r"oid sha256:[0-9a-f]{64}\s+size \d+\s*"
)
"""Source: the Git LFS specification, "The Pointer". git-lfs reads CRLF, empty lines and its first name, too."""
_TEXT_NAMES = (*SOURCE, *SETTINGS, *PROSE)

Files = Mapping[str, Blob]
Contents = Callable[[Mapping[str, bool], Mapping[str, bool]], tuple[Files, Files]]
"""Fetches files by path: the first ones at the head commit, the second ones on the base branch.

The value says whether the text is needed too, or only what kind of file it is.
"""
Readable = Callable[[str, str | None], bool]
Hunks = Mapping[str, tuple[Hunk, ...]]


@dataclass(frozen=True)
class FileSelection:
    """The changed files that engines read, by path, and those that are left out."""

    hunks: Hunks = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts at the head commit, for all engines."""
    patches: Mapping[str, Sides] = field(default_factory=dict)
    """The other files, of which only the lines of the patch are read, by engines that need no more."""
    bases: Mapping[str, BaseFile] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    without_engine: int = 0
    """Number of files in which there is nothing that an engine reads: binary, empty, only renamed."""
    linters: LinterSettings = NO_SETTINGS
    """What the configuration of the repository's linters settles, from the base branch."""
    proposed_config: Blob | None = None
    """The `.kodiai.yml` of the head commit."""


def select_files(
    files: Sequence[ChangedFile],
    contents: Contents,
    config: repository.RepositoryConfig,
    *,
    readable: Readable,
) -> FileSelection:
    """Select the files that engines read among the changed files, which still exist at the head commit.

    `readable` returns whether an engine reads files of a name and, if it is given, of a text as a whole. `contents` is
    called once; a second time only if the changes are over the size limits, or if `.gitattributes` includes generated
    files that did not fit into the first query.
    """
    by_path = {file.path: file for file in files}
    left_out = {path: LeftOutReason.IGNORED for path in by_path if matches(path, config.paths.ignore)}
    hunks, without_diff = _parse_patches(
        [file for path, file in by_path.items() if path not in left_out and safe_path(path)]
    )
    # Names that clash cannot be in one directory, but their patches are searched for secrets.
    unsafe = {path: LeftOutReason.UNSAFE_PATH for path in _unsafe(by_path) if path not in left_out}
    left_out |= unsafe
    without_diff = [path for path in without_diff if path not in unsafe]
    to_read = {
        path: parsed
        for path, parsed in hunks.items()
        if path not in unsafe and (readable(path, None) or may_be_script(path))
    }
    generated = {path for path in to_read if _is_generated_by_name(by_path[path], config)}
    fetched = _Fetched(by_path, contents)
    wanted = [path for path in to_read if path not in generated]
    if over_limit({path: to_read[path] for path in wanted}, config.limits):
        # `.gitattributes` first, so that generated files do not use up the limits.
        wanted, possible = [], []
    else:
        possible = sorted(generated)
    extra = [repository.PATH] if repository.PATH in by_path else []
    settings = linters.paths_for(hunks)
    fetched.add([*extra, *wanted], possible, without_diff, [gitattributes.PATH, *settings])

    marked = _attributes(to_read, fetched.base, config)
    left_out |= {path: LeftOutReason.ATTRIBUTES for path in to_read if marked[path]}
    left_out |= {path: LeftOutReason.GENERATED for path in to_read if path in generated and marked[path] is None}
    left_out |= over_limit({path: to_read[path] for path in to_read if path not in left_out}, config.limits)
    fetched.add([path for path in to_read if path not in left_out])

    texts: dict[str, str] = {}
    for path in [path for path in to_read if path not in left_out]:
        blob = fetched.head.get(path)
        if blob is not None and not readable(path, None) and (_why_not_a_file(blob) or not readable(path, blob.text)):
            continue  # It is no script.
        text = _text(blob)
        if isinstance(text, LeftOutReason):
            left_out[path] = text
        elif marked[path] is None and _has_generated_header(text, fetched.base_file(path), config):
            left_out[path] = LeftOutReason.GENERATED
        else:
            texts[path] = text
    left_out |= {
        path: reason for path in without_diff if (reason := fetched.why_without_diff(path, readable(path, None)))
    }
    # Of each file: a link's target, or a pointer's lines, may be a secret.
    sides = {path: sides_of(by_path[path].patch or "") for path in hunks if path not in texts}
    return FileSelection(
        hunks=hunks,
        texts=texts,
        patches=sides,
        bases={path: fetched.base_file(path) for path in texts}
        | {path: _base_of_patch(path_in_base(by_path[path]), side) for path, side in sides.items()},
        left_out=tuple(LeftOut(storable(path, 1024), reason) for path, reason in left_out.items()),
        without_engine=sum(path not in hunks and path not in left_out for path in by_path),
        linters=linters.parse(
            {path: fetched.base[path].text or "" for path in settings if path in fetched.base}
        ).with_raised_versions({path: file.patch or "" for path, file in by_path.items()}),
        proposed_config=fetched.head.get(repository.PATH),
    )


def path_in_base(file: ChangedFile) -> str:
    """The path of a changed file on the base branch."""
    return (file.previous_path if file.status == "renamed" else None) or file.path


class _Fetched:
    """The files that were fetched, at the head commit and on the base branch, by path."""

    def __init__(self, files: Mapping[str, ChangedFile], contents: Contents) -> None:
        self.head: dict[str, Blob] = {}
        self.base: dict[str, Blob] = {}
        self._files = files
        self._contents = contents
        self._asked: set[str] = set()
        self._clashing_in_base = clashing({path_in_base(file) for file in files.values()})

    def add(
        self,
        paths: Sequence[str],
        possible: Sequence[str] = (),
        only_kind: Sequence[str] = (),
        in_base: Sequence[str] = (),
    ) -> None:
        """Fetch changed files with their versions on the base, and further files of the base.

        `possible` are fetched too, as far as that takes no further query. Of `only_kind` no text is fetched.
        """
        new = [path for path in paths if path not in self._asked]
        free = (FILES_PER_QUERY - 2 * len(new) - 2 * len(only_kind) - len(in_base)) // 2
        new += list(possible)[: max(0, free)]
        head = dict.fromkeys(new, True) | dict.fromkeys(only_kind, False)
        base = {path_in_base(self._files[path]): True for path in new if self._files[path].status != "added"}
        base |= {path_in_base(self._files[path]): False for path in only_kind if self._files[path].status != "added"}
        base |= dict.fromkeys(in_base, True)
        self._asked.update(new)
        if head or in_base:
            at_head, on_base = self._contents(head, base)
            self.head |= at_head
            self.base |= on_base

    def base_file(self, path: str) -> BaseFile:
        """A changed file as it is on the base branch."""
        file = self._files[path]
        name = path_in_base(file)
        if file.status in ("added", "copied"):
            return BaseFile(name, "")
        blob = self.base.get(name)
        usable = blob is not None and not blob.truncated and safe_path(name) and name not in self._clashing_in_base
        return BaseFile(name, blob.text if blob is not None and usable else None)

    def why_without_diff(self, path: str, is_readable: bool) -> LeftOutReason | None:
        """Why a file for which GitHub shows no diff is left out; None if there is nothing to read in it."""
        old_path = path_in_base(self._files[path])
        blob = self.head.get(path)
        if blob is None:
            return LeftOutReason.NO_DIFF
        before = self.base.get(old_path)
        if kind := _why_not_a_file(blob):
            return kind
        is_same = before is not None and _is_same(blob, before)
        if blob.size == 0 or (is_same and not engines.becomes_source(old_path, path)):
            return None
        if blob.binary:
            # A NUL byte, or UTF-16, would hide what stands in the file from the search for secrets.
            was_text = before is not None and before.binary is False
            return LeftOutReason.NOT_TEXT if is_readable or was_text or named(path, _TEXT_NAMES) else None
        return LeftOutReason.NO_DIFF


def _why_not_a_file(blob: Blob) -> LeftOutReason | None:
    if blob.is_link:
        return LeftOutReason.LINK
    return LeftOutReason.SUBMODULE if blob.is_submodule else None


def _is_same(one: Blob, other: Blob) -> bool:
    """Return whether two files have the same content. A working tree has no object ids."""
    return one.oid == other.oid if one.oid and other.oid else one.text is not None and one.text == other.text


def _base_of_patch(name: str, sides: Sides) -> BaseFile:
    return BaseFile(name, sides.before if safe_path(name) else None)


def _unsafe(paths: Collection[str]) -> set[str]:
    return clashing(paths) | {path for path in paths if not safe_path(path)}


def _parse_patches(files: Sequence[ChangedFile]) -> tuple[dict[str, tuple[Hunk, ...]], list[str]]:
    """Parse the patches of files; return the hunks by path, and the paths of files without a patch."""
    hunks: dict[str, tuple[Hunk, ...]] = {}
    without_diff = []
    for file in files:
        try:
            hunks[file.path] = parse_hunks(file.patch or "")
        except BadPatch:
            without_diff.append(file.path)
    return hunks, without_diff


def _is_generated_by_name(file: ChangedFile, config: repository.RepositoryConfig) -> bool:
    if config.paths.generated or not is_generated_path(file.path):
        return False
    return not config.check.may_fail or (file.status != "added" and is_generated_path(path_in_base(file)))


def _has_generated_header(text: str, base: BaseFile, config: repository.RepositoryConfig) -> bool:
    if config.paths.generated or not has_generated_header(text):
        return False
    return not config.check.may_fail or has_generated_header(base.text or "")


def _attributes(paths: Collection[str], in_base: Files, config: repository.RepositoryConfig) -> dict[str, bool | None]:
    """What `.gitattributes` says about each file: generated, not generated, or None for nothing."""
    if config.paths.generated or gitattributes.PATH not in in_base:
        return dict.fromkeys(paths)
    rules = gitattributes.parse(in_base[gitattributes.PATH].text)
    return {path: gitattributes.is_generated(path, rules) for path in paths}


def _text(blob: Blob | None) -> str | LeftOutReason:
    """The text of a file, or the reason to leave it out."""
    if blob is None:
        return LeftOutReason.UNAVAILABLE
    if kind := _why_not_a_file(blob):
        return kind
    if blob.truncated:
        return LeftOutReason.TOO_LARGE
    if blob.text is None:
        return LeftOutReason.NOT_TEXT
    if _LFS_POINTER.fullmatch(blob.text):
        return LeftOutReason.LFS_POINTER
    return blob.text
