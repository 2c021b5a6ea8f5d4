"""Mentions of the App in a comment, and the command after one. A mention is what GitHub renders as one.

Not rendered as one, and so not read: code, quotes, links, HTML blocks and comments, and an escaped `\\@`. The comment
is parsed as Markdown, since no pattern finds these. Source: GitHub Flavored Markdown; html-pipeline, MentionFilter,
for the characters around a mention.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.conf import settings

from reviews.models import Command
from reviews.redaction import storable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_COMMENT = 65_536
"""Characters of a comment. Source: GitHub's answer to longer ones. The slowest take a second of processor time."""
MAX_COMMAND = 32
"""Characters that are kept of the word after a mention; longer than any command."""

_OPAQUE = "\N{REPLACEMENT CHARACTER}"
"""Stands for text that is not read."""
_BOUNDARY = "\ufdd1"
"""Stands for a tag or a marker of emphasis, which people do not see. Not a character of Unicode."""
_UNREAD_TAGS = re.compile(r"<(/?)(?:a|blockquote|code|pre|script|style)\b", re.IGNORECASE)
_COMMENTS = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LINE_BREAK = re.compile(r"<br\b", re.IGNORECASE)
_ADDRESS = re.compile(r"\b(?:\w+://|www\.)[^\s<]*", re.ASCII | re.IGNORECASE)
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

    Both have the same length. What is not read is opaque in both, an escape or entity only where it is searched.
    """
    parser = _parser()
    references: dict[str, Any] = {}
    quotes = unread_tags = 0
    for token in parser.parse(comment, references):
        quotes += token.nesting if token.type.startswith("blockquote") else 0
        if token.type == "html_block":
            unread_tags = _opened(token.content, unread_tags)
        elif token.type == "inline" and ("<" in token.content or _name() in token.content.lower()):
            children: list[Token] = []
            parser.inline.parse(token.content, parser, references, children)
            pieces, unread_tags = _pieces(children, unread_tags)
            if not quotes:
                read, searched = ("".join(side) for side in zip(*pieces, strict=True))
                yield from zip(read.split("\n"), searched.split("\n"), strict=True)


def _parser() -> "MarkdownIt":
    """A parser that leaves the text of blocks to `_lines`: most need not be parsed. Without tables, which are slow."""
    # Imported only for comments that have the App's name.
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("strikethrough")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _pieces(children: Iterable["Token"], unread_tags: int) -> tuple[list[tuple[str, str]], int]:
    """The text of a block in pieces, as read and as searched; and how many unread HTML elements are open at its end."""
    pieces = []
    links = 0
    for child in children:
        links += child.nesting if child.type in ("link_open", "link_close") else 0
        if child.type == "html_inline":
            unread_tags = _opened(child.content, unread_tags)
        if child.type in ("softbreak", "hardbreak") or (
            child.type == "html_inline" and _LINE_BREAK.match(child.content)
        ):
            pieces.append(("\n", "\n"))
        elif child.type in ("code_inline", "image") or ((links or unread_tags) and child.content):
            pieces.append((_OPAQUE, _OPAQUE))
        elif child.type == "text":
            text = _ADDRESS.sub(lambda address: _OPAQUE * len(address[0]), child.content)
            pieces.append((text, text))
        elif child.type == "text_special":
            pieces.append((child.content.replace("\n", " "), _OPAQUE * len(child.content)))
        else:
            pieces.append((_BOUNDARY, _BOUNDARY))
    return pieces, unread_tags


def _opened(html: str, before: int) -> int:
    """How many elements whose text is not read are open after a piece of HTML."""
    for tag in _UNREAD_TAGS.finditer(_COMMENTS.sub("", html)):
        before = max(0, before - 1) if tag[1] else before + 1
    return before
