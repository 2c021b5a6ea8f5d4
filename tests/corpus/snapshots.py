"""The review of each pull request as a file that a person can read and judge: `tests/corpus/reviews/<name>.md`."""

import difflib
import re
import unicodedata
from pathlib import Path

from tests.corpus.reviewing import Published, lines_of

FOLDER = Path(__file__).parent / "reviews"
_MARKER = re.compile(r"<!-- kodiai:(\w+) [0-9a-f]{32}(-\d+)?(?: [0-9a-f]{32}(?:-\d+)?)* -->\Z")
_MARKUP = re.compile(r"[<>@#`*\[\u200b-\u202e]")
_KEY = re.compile(r"\b(AKIA)[0-9A-Z]{16}\b")
_MAX_LINE = 160
"""Characters of a line of the file that are shown."""


def as_text(published: Published) -> str:
    """The page of a review: what was reviewed, how the run ended, and all that was said, with the lines it is on.

    What differs from run to run is not in it: commits, and the digests in the markers that end what is said.
    """
    ended = f"**{published.conclusion}**" + (f": {_shown(published.reason)}" if published.reason else "")
    parts = [
        f"# {_name(published.title) if _MARKUP.search(published.title) else published.title}",
        published.declared.meant,
        f"The run ended with {ended}.",
        "## Review",
        _quoted(published.body) if published.body else "None was published.",
    ]
    if published.body:
        parts.append("## Comments on lines")
    if published.body and not published.comments:
        parts.append("None.")
    for comment in published.comments:
        lines = lines_of(comment)
        where = f"line {lines.start}" if len(lines) == 1 else f"lines {lines.start} to {lines.stop - 1}"
        parts += [
            f"### {_name(comment['path'])}, {where}",
            _commented(published.heads[comment["path"]], lines),
            _quoted(comment["body"]),
        ]
    text = "\n\n".join(parts) + "\n"
    # The corpus has keys in it that are nobody's. Scanners of this repository are not to find them in these pages.
    text = _KEY.sub(r"\1…", text)
    return text.replace(published.head_sha, "HEAD").replace(published.head_sha[:12], "HEAD")


def filed(name: str) -> str:
    """The review that is filed for a pull request; nothing where there is none yet."""
    path = FOLDER / f"{name}.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def file(published: Published) -> None:
    """File a review in place of the one before."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{published.declared.name}.md").write_text(as_text(published), encoding="utf-8")


def difference(published: Published) -> str:
    """How a review differs from the one that is filed, as a diff; empty where it does not."""
    before, now = (text.splitlines() for text in (filed(published.declared.name), as_text(published)))
    return "\n".join(difflib.unified_diff(before, now, "as filed", "as published now", lineterm=""))


def _commented(head: bytes, lines: range) -> str:
    text = head.decode("utf-8").split("\n")
    rows = [f"{number:>4} | {_shown(text[number - 1])[:_MAX_LINE]}".rstrip() for number in lines]
    fence = max("```", _longer_than_any_in("\n".join(rows)), key=len)
    return "\n".join([fence, *rows, fence])


def _name(text: str) -> str:
    """A title or a path as code, on one line."""
    shown = _shown(text).replace("\n", "⟨U+000A⟩")
    fence = _longer_than_any_in(shown)
    padding = " " if "`" in (shown[:1], shown[-1:]) else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def _longer_than_any_in(text: str) -> str:
    return "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))


def _quoted(markdown: str) -> str:
    shown = _shown(_MARKER.sub(r"<!-- kodiai:\1 …\2 -->", markdown))
    return "\n".join(f"> {line}".rstrip() for line in shown.split("\n"))


def _shown(text: str) -> str:
    """Characters that nobody sees by their numbers, line breaks and tabs aside."""
    return "".join(
        f"⟨U+{ord(letter):04X}⟩" if letter not in "\n\t" and unicodedata.category(letter) in _UNSEEN else letter
        for letter in text
    )


_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
