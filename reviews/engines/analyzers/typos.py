"""typos: known misspellings, in prose and in source. The words of a line are one finding.

A suggestion is offered in prose only: in source a word may be a name that other files use, and typos does not know.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from reviews.engines.analyzer import Analyzer
from reviews.engines.kinds import PROSE, SOURCE
from reviews.engines.source import Edit, Source
from reviews.findings import Finding, Severity

SHORTEST = 4
"""Letters. Shorter words are abbreviations more often than mistakes, unless it is the order of the letters: "teh"."""


class _Entry(BaseModel):
    """A line of its JSON. `byte_offset` is within the line."""

    model_config = ConfigDict(strict=True, frozen=True)

    type: str
    path: str = ""
    line_num: PositiveInt = 1
    byte_offset: NonNegativeInt = 0
    typo: str = ""
    corrections: list[str] = []


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Turn typos' lines of JSON, which tell where a word is and what it may be, into findings."""
    by_line: defaultdict[tuple[str, int], list[_Entry]] = defaultdict(list)
    for line in output.splitlines():
        entry = _Entry.model_validate_json(line)
        if entry.type == "typo" and _is_a_mistake(entry):
            by_line[entry.path.removeprefix("./"), entry.line_num].append(entry)
    sources = {path: Source(files[path]) for path, _ in by_line}
    return [_finding(path, line, words, sources[path]) for (path, line), words in by_line.items()]


def _finding(path: str, line: int, words: list[_Entry], source: Source) -> Finding:
    text = source.text(line)
    edits = []
    if _is_prose(path) and all(len(word.corrections) == 1 for word in words):
        for word in words:
            column = len(text.encode()[: word.byte_offset].decode(errors="replace")) + 1
            edits.append(Edit((line, column), (line, column + len(word.typo)), word.corrections[0]))
    said = [f"`{word.typo}` should be {' or '.join(f'`{right}`' for right in word.corrections)}" for word in words]
    return Finding(
        path=path,
        start_line=line,
        end_line=line,
        severity=Severity.INFO,
        rule="typo",
        message=f"{', '.join(said)}.",
        suggestion=source.suggestion(edits),
        snippet=text,
    )


def _is_a_mistake(word: _Entry) -> bool:
    swapped = [sorted(word.typo.lower())] == [sorted(right.lower()) for right in word.corrections]
    return swapped or len(word.typo) >= SHORTEST


def _is_prose(path: str) -> bool:
    return any(fnmatchcase(path.rpartition("/")[2], glob) for glob in PROSE)


ANALYZER = Analyzer(
    name="typos",
    files=(*PROSE, *SOURCE),
    command=(
        "typos",
        "--isolated",
        f"--config={os.path.join(os.path.dirname(__file__), 'typos.toml')}",
        "--no-check-filenames",
        "--format=json",
    ),
    read=read,
    # By name: from "." it would pass over what is hidden or ignored.
    names_files=True,
    # 2: it found something.
    success_codes=(0, 2),
    url="https://github.com/crate-ci/typos",
    licence="MIT OR Apache-2.0",
)
