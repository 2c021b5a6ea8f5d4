"""What stands around a misspelling: whether it is a name, in English, and in a text that people read."""

import re
from collections import Counter
from functools import lru_cache

from reviews.engines.source import Source
from reviews.findings import MAX_SUGGESTION_CHARACTERS

COMMON = frozenset(["the", "of", "and", "to", "that", "it", "with", "this", "are", "be", "is", "not", "for", "by"])
_FOREIGN = """
    aber auch auf avec che com cum das dass dem der des dos ein eine est et für het ist les mais mit nach nec nel
    nicht och oder para pas per pero por pour quae que qui quis sed sie sind som sono sunt sur todo und une uno usted
    ut vel voor vous wat wenn werden wie wird zijn zum zur
"""
FOREIGN = frozenset(_FOREIGN.split())
"""Words that are as frequent in other languages, and in no English sentence twice."""
MIN_COMMON = 0.04
"""Share of these words in a text. English has some 20 %, French and German have none."""
MAX_SAMPLE = 20_000
"""Characters of a text that are read to detect its language."""
_WORD = re.compile(r"[^\W\d_]+")
MAX_TEXT = 400_000
"""Characters of a text that is searched for names."""
MAX_USES = 3
"""Lines with one word. What a file says more often is what it means."""
FEW_WORDS = 12
"""Words around a line that are too few to show their language."""
NEAR = 3
"""Lines before and after that belong to a line."""
MAX_STRING_LINES = 8
"""Lines of a text in a shell script before the one in question."""

_JOINED_BEFORE = re.compile(r"(?:[\w./@#$\\\\:=+%~&*<]|\w-)$")
_JOINED_AFTER = re.compile(r"[\w@/\\\\=(\[]|[.:]\w|-\w|\*\w")
_HYPHENS = ("-", "\u00ad", "\u2010")
_VERSION = re.compile(r"\W{0,3}(?:(?:to|from|and|version|v|by)\b\W{0,2}){0,4}[v=<>~^]{0,4}\d+(?:\.\d+)+")
_STARTS_A_SENTENCE = re.compile(r"(?:^|[.!?:;|>*_\"“(\[#+-]|\d\.)\W*$")
_ABOUT_SPELLING = re.compile(
    r"\b(?:typos?|mis-?spel\w*|mis-?typed|spell(?:ed|ing)|sic|renam\w*|legacy name)\b", re.IGNORECASE
)
_VARIED = re.compile(r"e(?=(?:able|ably|ability|ing|ment)s?$)", re.IGNORECASE)
_COMMIT = re.compile(
    r"\s*[-*+]\s.*(?:/commits?/[0-9a-f]{7,40}\b|\bby @[\w-]+(?:\[bot\])? in \S|\bby @[\w-]+\b.*/pull/\d+)"
    r"|\s*[-*+]\s+[\[(`]{0,2}(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,40}\b"
)
"""An item of a change log that a program made of a commit or a pull request. Source of the latter's form: GitHub Docs,
"Automatically generated release notes"."""
_SENTENCE_END = re.compile(r"[.!?]")
_QUOTED = re.compile(r"[\"'‘’“”]$")
_CODE = re.compile(r"`[^`\n]{1,300}`")
_STRINGS_OF = {
    **dict.fromkeys(("py", "sh", "bash"), "#"),
    **dict.fromkeys(("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"), "//"),
}
"""The comment signs of the languages in which texts are distinguished from comments."""
_PRINTS = re.compile(
    r"\s*(?:[\w$]+\s+)?(?:echo|printf|\w*(?:err|warn|info|log|print|msg|die|fatal|usage|abort)\w*)\b", re.IGNORECASE
)


_SAYS = re.compile(
    r"\b(?:raise|throw|echo|printf?|_{1,2}|u?n?gettext(?:_lazy)?|console|abort|die|usage|help|hint|placeholder|tooltip)\b"
    r"|(?:err|error|exception|warn|warning|info|debug|log|logger|logging|fatal|notice|message|msg|alert)(?=\W|_|s\b)",
    re.IGNORECASE,
)
"""What stands before a text that is for people, and not for another program."""


def is_a_name(word: str, at: int, path: str, line: int, source: Source) -> bool:
    """Return whether a word that stands `at` (characters) in a line is a name, or meant as it is.

    Part of an identifier, a path or an address, or of a word that the line before begins; capitalised within a
    sentence; followed by a version; quoted; in the file's own path; in code of the same text; used throughout the file;
    or the line is about its spelling.
    """
    text = source.text(line)[:MAX_SUGGESTION_CHARACTERS]
    before, after = text[:at], text[at + len(word) :]
    if _JOINED_BEFORE.search(before[-2:]) or _JOINED_AFTER.match(after):
        return True
    if (word[:1].isupper() and not _STARTS_A_SENTENCE.search(before[-20:])) or (word.isupper() and len(word) > 1):
        return True
    if not before.strip() and line > 1 and source.text(line - 1).rstrip().endswith(_HYPHENS):
        return True
    if _VERSION.match(after) or _is_about_spelling(text):
        return True
    if _QUOTED.search(before[-1:]) and _QUOTED.match(after[:1]):
        return True
    return word.lower() in re.findall(r"[a-z]+", path.lower()) or _is_established(word, source)


@lru_cache(maxsize=8)
def _is_about_spelling(line: str) -> bool:
    return _ABOUT_SPELLING.search(line) is not None


def _is_established(word: str, source: Source) -> bool:
    lines, code = _words_of(source)
    return lines[word.lower()] > MAX_USES or word.lower() in code


@lru_cache(maxsize=8)
def _words_of(source: Source) -> tuple[Counter[str], set[str]]:
    """In how many lines of a text each word stands, and the words in its code. A text can have thousands of typos."""
    text = "\n".join(source.lines)[:MAX_TEXT].lower()
    lines = Counter(word for line in text.split("\n") for word in set(_WORD.findall(line)))
    return lines, {word for code in _CODE.findall(text) for word in _WORD.findall(code)}


def is_in_another_language(at: int, line: int, source: Source) -> bool:
    """Return whether the sentence at a column of a line has more words of other languages than of English.

    In a file with "lorem ipsum" it is filler text if it has no word of English.
    """
    text = source.text(line)[:MAX_SUGGESTION_CHARACTERS]
    sentence = _SENTENCE_END.split(text[:at])[-1] + _SENTENCE_END.split(text[at:])[0]
    words = _WORD.findall(sentence.lower())
    foreign = sum(word in FOREIGN for word in words)
    if foreign > max(1, sum(word in COMMON for word in words)):
        return True
    lines, _ = _words_of(source)
    return bool(lines["lorem"] and lines["ipsum"]) and not is_english(sentence)


def is_subject_of_commit(line: str) -> bool:
    """Return whether a line of prose is an item of a change log that repeats what a commit says for ever."""
    return _COMMIT.match(line[:MAX_SUGGESTION_CHARACTERS]) is not None


def is_variant(word: str, right: str) -> bool:
    """Return whether both spellings are in use: parseable and parsable."""
    return word.lower() != right.lower() and _VARIED.sub("", word.lower()) == _VARIED.sub("", right.lower())


def is_english(text: str) -> bool:
    """Return whether a text seems to be English, and not a list of names or another language."""
    words = _WORD.findall(text[:MAX_SAMPLE].lower())
    return sum(word in COMMON for word in words) >= max(1, MIN_COMMON * len(words))


@lru_cache(maxsize=8)
def is_english_around(line: int, source: Source) -> bool:
    """Return whether the lines around one seem to be English, as far as they have enough words."""
    near = "\n".join(text[:MAX_SAMPLE] for text in source.lines[max(0, line - 1 - NEAR) : line + NEAR])[:MAX_SAMPLE]
    return len(_WORD.findall(near)) < FEW_WORDS or is_english(near)


def is_shown(path: str, line: int, at: int, source: Source) -> bool:
    """Return whether what stands `at` in a line of code is in a text that a program shows: a string, no comment."""
    comment = _STRINGS_OF.get(path.rpartition(".")[2])
    if comment is None:
        return False
    text = source.text(line)[:MAX_SUGGESTION_CHARACTERS]
    quote = _open_quote(text[:at], comment)
    if quote:
        return _SAYS.search(text[:at]) is not None
    is_shell = comment == "#" and not path.endswith(".py")
    return is_shell and quote is not None and '"' not in text[:at] and _is_in_printed_string(line, source)


def _open_quote(before: str, comment: str) -> str | None:
    """The quote that is open at the end of a part of a line; empty for none, None in a comment or a docstring."""
    quote, index = "", 0
    if '"""' in before or "'''" in before:
        return None
    while index < len(before):
        character = before[index]
        if character == "\\":
            index += 1
        elif quote:
            quote = "" if character == quote else quote
        elif before.startswith(comment, index) and (index == 0 or before[index - 1].isspace() or comment == "//"):
            return None
        elif character in "\"'`":
            quote = character
        index += 1
    return quote


def _is_in_printed_string(line: int, source: Source) -> bool:
    """Return whether a line of shell begins within a string that a command prints."""
    for number in range(line - 1, max(0, line - 1 - MAX_STRING_LINES), -1):
        text = source.text(number)[:MAX_SUGGESTION_CHARACTERS]
        if '"' in text:
            return text.replace('\\"', "").count('"') % 2 == 1 and _PRINTS.match(text) is not None
    return False
