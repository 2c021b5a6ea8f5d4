"""Sphinx: the pages of this folder as a site. `make docs` builds it; README.md stays the one list of pages."""

import re

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "Kodiai"
root_doc = "README"
extensions = ["myst_parser"]
exclude_patterns = ["images"]
html_theme = "furo"
html_title = "Kodiai"
html_show_sphinx = False
myst_heading_anchors = 3

OUTSIDE = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+(?:CHANGELOG|README)\.md)(?:#[^)]*)?\)")
"""Links to pages that are not in this folder: they are offered for download, as other files are."""
PAGE = re.compile(r"\]\(([a-z0-9/-]+\.md)\)")


def read_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the list of pages a table of contents for each of its headings."""
    text = OUTSIDE.sub(r"{download}`\1 <\2>`", source[0])
    if page == root_doc:
        text += "".join(map(contents, re.split(r"^## ", text, flags=re.MULTILINE)[1:]))
    source[0] = text


def contents(part: str) -> str:
    """Return the table of contents of one heading and the links below it."""
    caption, _, text = part.partition("\n")
    pages = "\n".join(PAGE.findall(text))
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", read_page)
    # GitHub's suggestions, in samples of reviews.
    app.add_lexer("suggestion", TextLexer)
