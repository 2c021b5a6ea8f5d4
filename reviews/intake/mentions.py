"""Mentions of the App in a comment, and the command after one. A mention is what GitHub renders as one.

Not rendered as one, and so not read: code, mathematics, quotes, links, HTML comments, an escaped `\\@`, cells that the
header of a table does not have, and footnotes without a reference. The comment is parsed as Markdown, since no pattern
finds these. Source: GitHub Flavored Markdown; html-pipeline, MentionFilter, for the characters around a mention; GitHub
docs, "Writing mathematical expressions" and "Footnotes".
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.conf import settings

from reviews.models import Command
from reviews.redaction import storable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

MAX_COMMENT = 65_536
"""Characters of a comment. Source: GitHub's answer to longer ones. The slowest take a second of processor time."""
MAX_COMMAND = 32
"""Characters that are kept of the word after a mention; longer than any command."""

_OPAQUE = "\N{REPLACEMENT CHARACTER}"
"""Stands for text that is not read."""
_BOUNDARY = "\ufdd1"
"""Stands for a tag or a marker of emphasis, which people do not see. Not a character of Unicode."""
_UNREAD_TAGS = re.compile(r"<(/?)(a|blockquote|code|pre|script|style|tt)(?=[\s/>])", re.IGNORECASE)
_UNREAD_BLOCK = re.compile(r"\s*<(?:\?|!(?!--))")
"""The start of an HTML block without text: an instruction or a declaration."""
_COMMENTS = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LINE_BREAK = re.compile(r"<br\b", re.IGNORECASE)
_ADDRESS_OR_MATH = re.compile(
    rf"\b(?:\w+://|www\.)[^\s<{_BOUNDARY}]*|\$\$[^$]+\$\$|(?<![\w$])\$(?![\s$])[^$\n]*(?<!\s)\$(?!\w)",
    re.ASCII | re.IGNORECASE,
)
_FOOTNOTE = re.compile(r"^ {0,3}\[\^([^\]\s]+)\]:", re.MULTILINE)
"""The start of a footnote. It may interrupt a paragraph."""
_REFERENCE = re.compile(r"\[\^([^\]\[\s]+)\]")
_PIPE = re.compile(r"(?<!\\)\|")
_DELIMITER = re.compile(r":?-+:?")
_SIGN = re.compile(r"[@$]")
_CHARACTER = re.compile(r"[^\n]")
_WORD = re.compile(r"[,:]?\s*(?:please,?\s+)?(\w[\w-]*)", re.IGNORECASE)
_PLEASE = re.compile(r"\bplease\b", re.IGNORECASE)


def command_in(comment: str) -> str | None:
    """Return the command that a comment gives, in lower case; None if it does not mention the App.

    A mention with nothing, punctuation or "please" after it in its line means `review`. Of several mentions the first
    with a command counts, then one that stands alone. If none is understood, return the word after the first, which is
    no command.
    """
    if _name() not in comment.lower():
        return None
    # A byte order mark is no text. Source: CommonMark's parser cmark.
    comment = comment.removeprefix("\ufeff")
    after_mentions = [
        line[found.end() :].replace(_BOUNDARY, "")
        for line, searched in _lines(comment[:MAX_COMMENT].replace(_BOUNDARY, " "))
        for found in _mention().finditer(searched)
    ]
    if not after_mentions:
        return None
    words = [_word(rest) for rest in after_mentions]
    if known := next((word for word in words if word in Command), ""):
        return known
    return Command.REVIEW if any(map(_is_bare, after_mentions)) else words[0]


def _name() -> str:
    return f"@{settings.KODIAI_GITHUB_APP_SLUG}".lower()


def _word(rest: str) -> str:
    """The word after a mention; without one, what stands there instead."""
    found = _WORD.match(rest)
    word = found[1] if found else next(iter(rest.split()), "")
    return storable(word.lower()[:MAX_COMMAND])


def _mention() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w/@.-]){re.escape(_name())}(?![\w/-])(?!\.+\w)", re.ASCII | re.IGNORECASE)


def _is_bare(rest: str) -> bool:
    return all(
        character.isspace() or unicodedata.category(character).startswith("P") for character in _PLEASE.sub("", rest)
    )


def _lines(comment: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a comment that may have a mention: as people read them, and as they are searched.

    Both have the same length. What is not read is opaque in both; addresses, mathematics and an escaped or encoded
    `@` or `$` only where it is searched.
    """
    parser, html = _parser(), _html_parser()
    references: dict[str, Any] = {}
    referenced = {label.lower() for label in _REFERENCE.findall(_FOOTNOTE.sub("", comment))}
    quotes = 0
    unread: Counter[str] = Counter()
    for token in parser.parse(comment, references):
        quotes += token.nesting if token.type.startswith("blockquote") else 0
        content = token.content
        if token.type == "html_block":
            content = _COMMENTS.sub("", content)
            if _UNREAD_BLOCK.match(token.content):
                for tag in _UNREAD_TAGS.finditer(content):
                    _count(tag, unread)
                continue
        inline = {"inline": parser.inline, "html_block": html.inline}.get(token.type)
        if not inline or not _may_matter(content):
            continue
        for part in filter(_may_matter, _rendered(content, referenced) if token.type == "inline" else [content]):
            children: list[Token] = []
            inline.parse(part, parser, references, children)
            pieces = _pieces(children, unread)
            if not quotes:
                read, searched = ("".join(side) for side in zip(*pieces, strict=True))
                searched = _ADDRESS_OR_MATH.sub(lambda found: _CHARACTER.sub(_OPAQUE, found[0]), searched)
                yield from zip(read.split("\n"), searched.split("\n"), strict=True)


def _may_matter(text: str) -> bool:
    """Return whether a text may have a mention, or a tag that decides whether later ones are read."""
    return "<" in text or _name() in text.lower()


def _rendered(block: str, referenced: Collection[str]) -> Iterator[str]:
    """Yield what GitHub renders of a block, each cell of a table separately; of footnotes those that are referenced."""
    starts = [found.start() for found in _FOOTNOTE.finditer(block)]
    for start, end in pairwise([0, *starts, len(block)]):
        text = block[start:end]
        footnote = _FOOTNOTE.match(text)
        if not footnote or footnote[1].lower() in referenced:
            yield from _cells(text)


def _cells(block: str) -> list[str]:
    """Split a block at the cells of a table, if it has one. Source: GitHub Flavored Markdown, "Tables"."""
    lines = block.split("\n")
    for at, line in enumerate(lines[1:], 1):
        delimiters = _row(line)
        if delimiters and all(map(_DELIMITER.fullmatch, delimiters)) and len(_row(lines[at - 1])) == len(delimiters):
            rows = [lines[at - 1], *lines[at + 1 :]]
            # GitHub drops the cells of a row that its header does not have.
            return ["\n".join(lines[: at - 1]), *(cell for row in rows for cell in _row(row)[: len(delimiters)])]
    return [block]


def _row(line: str) -> list[str]:
    """The cells of a line, which need no `|` at its ends."""
    *cells, last = (cell.strip().replace("\\|", "|") for cell in _PIPE.split(line.strip().removeprefix("|")))
    return [*cells, last] if last else cells


def _parser() -> "MarkdownIt":
    """A parser that leaves the text of blocks to `_lines`: most need not be parsed. Without tables, see `_cells`."""
    # Imported only for comments that have the App's name.
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("strikethrough")
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.block.ruler.at("reference", _reference)
    return parser


def _reference(state: "StateBlock", start_line: int, end_line: int, silent: bool) -> bool:
    """Read the definition of a link, which one of a footnote is not."""
    from markdown_it.rules_block import reference

    is_footnote = state.src.startswith("[^", state.bMarks[start_line] + state.tShift[start_line])
    return not is_footnote and reference(state, start_line, end_line, silent)


def _html_parser() -> "MarkdownIt":
    """A parser of the text in HTML blocks, which is not Markdown."""
    from markdown_it import MarkdownIt

    return MarkdownIt("zero", {"html": True}).enable(["entity", "html_inline", "newline"])


def _pieces(children: Iterable["Token"], unread: Counter[str]) -> list[tuple[str, str]]:
    """The text of a block in pieces, as read and as searched. Counts the unread HTML elements that are open."""
    pieces = []
    links = 0
    for child in children:
        links += child.nesting if child.type in ("link_open", "link_close") else 0
        if child.type == "html_inline" and (tag := _UNREAD_TAGS.match(child.content)):
            _count(tag, unread)
        if child.type in ("softbreak", "hardbreak") or (
            child.type == "html_inline" and _LINE_BREAK.match(child.content)
        ):
            pieces.append(("\n", "\n"))
        elif child.type in ("code_inline", "image") or ((links or unread.total()) and child.content):
            pieces.append((_OPAQUE, _OPAQUE))
        elif child.type in ("text", "text_special"):
            text = child.content.replace("\n", " ")
            pieces.append((text, _SIGN.sub(_OPAQUE, text) if child.type == "text_special" else text))
        else:
            pieces.append((_BOUNDARY, _BOUNDARY))
    return pieces


def _count(tag: re.Match[str], unread: Counter[str]) -> None:
    """Count an HTML element whose text is not read when it opens and when it closes."""
    name = tag[2].lower()
    if tag[1]:
        unread[name] = max(0, unread[name] - 1)
    else:
        # A link ends where the next one begins.
        unread[name] = 1 if name == "a" else unread[name] + 1
