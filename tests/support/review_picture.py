"""A picture of a review: the page that shows it as a forge does, and the PNG that a headless browser makes of it."""

import re
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.template import Context, Engine
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token

from sandbox import PullRequest
from sandbox.state.diffs import patch_lines
from tests.support.waiting import PATIENCE

TEMPLATE = Path(__file__).with_suffix(".html")
FOLDER = Path(__file__).parents[2] / "docs" / "images"
SCHEMES = ("light", "dark")
WIDTH = 800
"""CSS pixels. The picture has twice as many, for sharp text on dense displays."""
MAX_LINES = 3
"""Lines of the diff above a comment, the commented one included."""
BROWSER = "chromium"

_BROWSER_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SOURCE = b"Source\0sha256:"


@dataclass(frozen=True)
class _DiffLine:
    right: int | None
    """The line's number in the head, None if it was removed."""
    sign: str
    text: str

    @property
    def kind(self) -> str:
        return {"+": "added", "-": "removed"}.get(self.sign, "")


def file(scheme: str) -> Path:
    """Return the path of the picture in a colour scheme."""
    return FOLDER / f"review-{scheme}.png"


def page(pull: PullRequest, summary: str, comments: Sequence[Mapping[str, Any]], scheme: str) -> str:
    """Return the HTML of a review: its summary, and these of its comments."""
    template = Engine().from_string(TEMPLATE.read_text(encoding="utf-8"))
    shown = [
        {
            "path": comment["path"],
            "lines": _diff_lines(comment["diff_hunk"])[-MAX_LINES:],
            "body": _html(comment["body"], _commented(comment)),
        }
        for comment in comments
    ]
    context = {"scheme": scheme, "pull": pull, "bot": pull.app.slug, "summary": _html(summary, []), "comments": shown}
    return template.render(Context(context))


def is_picture_of(path: Path, html: str) -> bool:
    """Return whether a picture was taken of this page: it contains the page's digest."""
    return path.exists() and _source(html) in path.read_bytes()


def take(path: Path, html: str) -> None:
    """Write the picture of a page. Needs Chromium."""
    with tempfile.TemporaryDirectory() as folder:
        source, screenshot = Path(folder, "page.html"), Path(folder, "page.png")
        measure = "<script>document.title = document.documentElement.getBoundingClientRect().height</script>"
        source.write_text(html + measure, encoding="utf-8")
        title = re.search(r"<title>([\d.]+)</title>", _browse(folder, source, "--dump-dom", height=600))
        assert title, "Chromium did not measure the page"
        _browse(
            folder, source, f"--screenshot={screenshot}", "--force-device-scale-factor=2", height=int(float(title[1]))
        )
        path.write_bytes(_with_source(screenshot.read_bytes(), html))


def can_be_taken() -> bool:
    """Return whether Chromium is installed."""
    return shutil.which(BROWSER) is not None


def _browse(folder: str, source: Path, *options: str, height: int) -> str:
    command = [BROWSER, *_BROWSER_OPTIONS, f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{height}"]
    done = subprocess.run(
        [*command, *options, source.as_uri()], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, f"{BROWSER} failed: {done.stderr[-2000:]}"
    return done.stdout


def _source(html: str) -> bytes:
    return _SOURCE + sha256(html.encode()).hexdigest().encode()


def _with_source(png: bytes, html: str) -> bytes:
    """Add a text chunk after the header. Source: PNG specification, 5.3 "Chunk layout" and 11.3.3.2 "tEXt"."""
    header_end = len(_PNG_SIGNATURE) + 4 + 4 + 13 + 4
    chunk = b"tEXt" + _source(html)
    return (
        png[:header_end]
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + png[header_end:]
    )


def _diff_lines(hunk: str) -> list[_DiffLine]:
    texts = hunk.split("\n")
    return [_DiffLine(line.right, texts[line.position][:1], texts[line.position][1:]) for line in patch_lines(hunk)]


def _commented(comment: Mapping[str, Any]) -> list[str]:
    """Return the text of the lines that a suggestion replaces."""
    first = comment.get("start_line") or comment["line"]
    lines = _diff_lines(comment["diff_hunk"])
    return [line.text for line in lines if line.right and first <= line.right <= comment["line"]]


def _html(markdown: str, commented: list[str]) -> SafeString:
    parser = MarkdownIt("commonmark")
    parser.add_render_rule("fence", _fence)
    return mark_safe(parser.render(markdown, {"commented": commented}))  # noqa: S308 - Kodiai's own text


def _fence(
    renderer: RendererProtocol, tokens: Sequence[Token], index: int, options: object, env: Mapping[str, Any]
) -> str:
    """Render a suggestion as the change that it makes."""
    assert tokens[index].info == "suggestion"
    rows = [("removed", "-", line) for line in env["commented"]]
    rows += [("added", "+", line) for line in tokens[index].content.splitlines()]
    return format_html(
        '<div class="suggestion"><p>Suggested change<span>Commit suggestion</span></p>'
        '<table class="diff">{}</table></div>',
        format_html_join("\n", '<tr class="{}"><td class="sign">{}</td><td>{}</td></tr>', rows),
    )
