"""typos: known misspellings in English prose and in sentences of source code, one finding per line.

In source code typos cannot distinguish names from words: only sentences are reported there, without a suggestion, and
as info unless they stand in a text that people read.
"""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import typo_context
from reviews.engines.kinds import PROSE, SOURCE
from reviews.engines.source import Edit, Source
from reviews.findings import MAX_SUGGESTION_CHARACTERS, Finding, Severity

MIN_CHARACTERS = 4
"""Letters. Shorter words are mostly abbreviations, unless the letters are only swapped: "teh"."""
MAX_CORRECTIONS = 3
"""A word with more possible corrections is probably not a mistake."""
_SENTENCE = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*[,:;]?(?: [^\W\d_]+(?:['’-][^\W\d_]+)*[,:;]?){3,}")
"""Four words in a row, as in a comment or a message, but not in names."""


class _Entry(BaseModel):
    """A line of the JSON output. `byte_offset` is within the line."""

    model_config = ConfigDict(strict=True, frozen=True)

    type: str
    path: str = ""
    line_num: PositiveInt = 1
    byte_offset: NonNegativeInt = 0
    typo: str = ""
    corrections: list[str] = []


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read typos' JSON lines into findings."""
    foreign = {path for path, text in files.items() if _is_prose(path) and not typo_context.is_english(text)}
    sources: dict[str, Source] = {}
    by_line: defaultdict[tuple[str, int], list[_Entry]] = defaultdict(list)
    for line in output.splitlines():
        word = _Entry.model_validate_json(line)
        path = word.path.removeprefix("./")
        if word.type != "typo" or path in foreign or not _is_a_mistake(word):
            continue
        source = sources.get(path) or sources.setdefault(path, Source(files[path]))
        at = _column(word, source.text(word.line_num)) - 1
        if typo_context.is_a_name(word.typo, at, path, word.line_num, source):
            continue
        if _is_prose(path):
            is_foreign = typo_context.is_in_another_language(at, word.line_num, source)
            wanted = not is_foreign and typo_context.is_english_around(word.line_num, source)
        else:
            wanted = _in_a_sentence(word, source.text(word.line_num))
        if wanted:
            by_line[path, word.line_num].append(word)
    return [_finding(path, line, words, sources[path]) for (path, line), words in by_line.items()]


def _finding(path: str, line: int, words: list[_Entry], source: Source) -> Finding:
    text = source.text(line)
    edits = []
    if _is_prose(path) and all(len(word.corrections) == 1 for word in words):
        for word in words:
            column = _column(word, text)
            edits.append(Edit((line, column), (line, column + len(word.typo)), word.corrections[0]))
    corrections = dict.fromkeys(f"`{word.typo}` should be {_either(word.corrections)}" for word in words)
    return Finding(
        path=path,
        start_line=line,
        end_line=line,
        severity=_severity(path, line, words, source),
        rule="typo",
        message=f"{', '.join(corrections)}.",
        suggestion=source.suggestion(edits),
        words=tuple(dict.fromkeys(word.typo for word in words)),
        snippet=text,
    )


def _severity(path: str, line: int, words: list[_Entry], source: Source) -> Severity:
    """Minor in prose and in texts that a program shows; in code and comments it is taste."""
    if _is_prose(path):
        is_copied = typo_context.is_subject_of_commit(source.text(line)) or _is_fenced(line, source)
        return Severity.INFO if is_copied else Severity.MINOR
    columns = (_column(word, source.text(line)) for word in words)
    shown = any(typo_context.is_shown(path, line, column - 1, source) for column in columns)
    return Severity.MINOR if shown else Severity.INFO


def _is_fenced(line: int, source: Source) -> bool:
    """Return whether a line of Markdown stands in a fence, as code does."""
    return sum(text.lstrip().startswith(("```", "~~~")) for text in source.lines[: line - 1]) % 2 == 1


def _either(corrections: list[str]) -> str:
    return " or ".join(f"`{right}`" for right in corrections)


def _is_a_mistake(word: _Entry) -> bool:
    swapped = [sorted(word.typo.lower())] == [sorted(right.lower()) for right in word.corrections]
    is_variant = any(typo_context.is_variant(word.typo, right) for right in word.corrections)
    return len(word.corrections) <= MAX_CORRECTIONS and (swapped or len(word.typo) >= MIN_CHARACTERS) and not is_variant


def _in_a_sentence(word: _Entry, line: str) -> bool:
    """Return whether a word in source code is part of an English sentence, in a comment or a message."""
    at = _column(word, line) - 1
    return any(
        found.start() <= at < found.end() and typo_context.is_english(found[0])
        for found in _SENTENCE.finditer(line[:MAX_SUGGESTION_CHARACTERS])
    )


def _column(word: _Entry, line: str) -> int:
    return len(line.encode()[: word.byte_offset].decode(errors="replace")) + 1


def _is_prose(path: str) -> bool:
    return any(fnmatchcase(path.rpartition("/")[2], glob) for glob in PROSE)


CONFIGURATION = f"{os.path.dirname(__file__)}/typos.toml"

ANALYZER = Analyzer(
    name="typos",
    files=(*PROSE, *SOURCE),
    command=(
        "typos",
        "--isolated",
        f"--config={CONFIGURATION}",
        "--no-check-filenames",
        "--format=json",
    ),
    read=read,
    own_files=(CONFIGURATION,),
    # With "." it would skip hidden and ignored files.
    names_files=True,
    # 2: there are findings.
    success_codes=(0, 2),
    distribution="typos",
    url="https://github.com/crate-ci/typos",
    licence="MIT OR Apache-2.0",
)
