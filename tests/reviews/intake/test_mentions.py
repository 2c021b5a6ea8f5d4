"""Mentions: what GitHub renders as one, and the command after it."""

import pytest

from reviews.intake import mentions
from reviews.intake.mentions import MAX_COMMENT, command_in

PAUSE = "@kodiai pause"


@pytest.mark.parametrize(
    "text",
    [
        f"`{PAUSE}`",
        f"```\n{PAUSE}\n```",
        f"~~~sh\n{PAUSE}\n",
        f"    {PAUSE}",
        f"\t{PAUSE}",
        f"- a\n\n      {PAUSE}",
        f"<!-- {PAUSE} -->",
        f"a <!-- {PAUSE} --> b",
        f"<!--\n\n{PAUSE}\n\n-->",
        f"<code>{PAUSE}</code>",
        f"<a href='x'>{PAUSE}</a>",
        f"<img alt='{PAUSE}'>",
        f"<blockquote>\n\n{PAUSE}\n\n</blockquote>",
        f"> {PAUSE}",
        f"> a\n{PAUSE}",
        f"[{PAUSE}](https://example.com)",
        f"[{PAUSE}][x]\n\n[x]: https://example.com",
        "[@kodiai]\n\n[@kodiai]: https://example.com",
        f"[x]: https://example.com '{PAUSE}'",
        f"![{PAUSE}](https://example.com/x.png)",
        "<https://example.com/@kodiai>",
        "https://example.com/?by=@kodiai pause",
        "www.example.com/~@kodiai pause",
        f"https://example.com/?a=1&amp;{PAUSE}",
        f"https://example.com/\\_{PAUSE}",
        f"https://example.com/`x`{PAUSE}",
        f"${PAUSE}$",
        f"$$\n{PAUSE}\n$$",
        f"<tt>{PAUSE}</tt>",
        f"<pre>`</pre> <code>\n{PAUSE}</code>",
        f"a <code></a> {PAUSE}</code>",
        f"<details>\n<pre>{PAUSE}</pre>\n</details>",
        f"<p title='{PAUSE}'>a</p>",
        f"<?php {PAUSE} ?>",
        f"\ufeff> {PAUSE}",
        "@kodiai\\_too pause",
        "a\\_@kodiai pause",
        f"\\{PAUSE}",
        "&#64;kodiai pause",
        "@kodi**ai** pause",
        "mail@kodiai",
        "npm/@kodiai",
        "@kodiai/team",
        "@kodiai-too",
        "@kodiai_too",
        "@kodiai.com",
        "kodiai pause",
        f"| a |\n|---|\n| b | {PAUSE} |",
        f"a\n:-\nb | {PAUSE}",
        f"Text\na|b\n-|-\n1|2\n\\|1|2|{PAUSE}|",
        f"- | a |\n  |:-:|\n  | b | {PAUSE} |",
        f"| `a | b |\n|---|---|\n| `{PAUSE}` | c |",
        f"[^x]: {PAUSE}",
        f"Text[^y]\n\n[^y]: a\n[^x]: b\n{PAUSE}",
        "",
    ],
)
def test_what_github_renders_as_no_mention_is_none(text: str) -> None:
    assert command_in(text) is None


@pytest.mark.parametrize(
    "text",
    [
        PAUSE,
        "@KODIAI:  Please, PAUSE now",
        f"**{PAUSE}**",
        f"<div>\n{PAUSE}\n</div>",
        "**@kodiai** _pause_",
        f"~~{PAUSE}~~",
        f"# {PAUSE}",
        f"- [ ] {PAUSE}",
        f"| a | b |\n| - | - |\n| {PAUSE} | x |",
        f"a | {PAUSE}\n-|-\nb | c",
        f"| a |\n|---|\n| b \\| {PAUSE} | c |",
        f"| a | b |\n|---|\n| c | {PAUSE} |",
        f"| a |\n|---|\n\nb | c | {PAUSE}",
        f"| a | b |\n|---|---|\n| `c | {PAUSE}` |",
        f"Text[^x]\n\n[^x]: {PAUSE}",
        f"Text[^x]\n\n[^x]: https://example.com\n{PAUSE}",
        f"[^y]: a\n\nText: [^X]: b\n[^x]: {PAUSE}",
        f"<details>\n\n{PAUSE}\n\n</details>",
        f"a<br>{PAUSE}",
        f"a\n    {PAUSE}",
        f"> quoted\n\n{PAUSE}",
        f"`@kodiai resume`, {PAUSE}",
        f"```\n@kodiai resume\n```\n{PAUSE}",
        f"`a\n\n{PAUSE}",
        "@kodiai&nbsp;pause",
        f"@kodiai it is fine\n\n{PAUSE}",
        f"Thanks, @kodiai!\n{PAUSE}",
        f"請{PAUSE}",
        f"({PAUSE})",
        f"$5 {PAUSE} $6",
        f"\\${PAUSE}\\$",
        f"<p>{PAUSE}</p>",
        f"<p>`{PAUSE}`</p>",
        f"<details>\n<summary>a</summary>\n{PAUSE}\n</details>",
        f"</details>\n{PAUSE}",
        f"<img alt='a' src='b' />\n{PAUSE}",
        f"<!-- a --> {PAUSE}",
        f"<pre>`</pre>\n\n{PAUSE} `",
        f"<a-b>a {PAUSE}",
        f"a <img alt='<code>'> {PAUSE}",
        f"<a name='a'>a <a name='b'>b</a> {PAUSE}",
    ],
)
def test_a_mention_with_a_command_is_that_command(text: str) -> None:
    assert command_in(text) == "pause"


@pytest.mark.parametrize(
    "text", ["@kodiai", "cc @kodiai", "@kodiai?!", "@kodiai, please.", "(@kodiai)", "@kodiai  \npause", "@kodiai..."]
)
def test_a_mention_that_stands_alone_asks_for_a_review(text: str) -> None:
    assert command_in(text) == "review"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("@kodiai[bot] pause", "[bot]"),
        ("@kodiai /pause", "/pause"),
        ("@kodiai's comment is wrong", "'s"),
        ("@kodiai: -pause", ":"),
        ("@kodiai `pause`", "\N{REPLACEMENT CHARACTER}"),
        ("@kodiai [pause](https://example.com)", "\N{REPLACEMENT CHARACTER}"),
        ("Thanks @kodiai \N{THUMBS UP SIGN}", "\N{THUMBS UP SIGN}"),
        ("@kodiai \ud800\0", "\N{REPLACEMENT CHARACTER}" * 2),
        ("@kodiai it is fine", "it"),
        ("@kodiai help @kodiai pause", "help"),
        ("@kodiai pleased", "pleased"),
        ("@kodiai überprüfe", "überprüfe"),
        ("@kodiai " + "x" * 1000, "x" * 32),
    ],
)
def test_a_word_that_is_not_understood_is_no_command(text: str, word: str) -> None:
    assert command_in(text) == word


HOSTILE = {
    "backticks": "".join("`" * length + "a" for length in range(360, 0, -1)),
    "a word": "a" * MAX_COMMENT,
    "links": "[a](b)" * MAX_COMMENT,
    "images": "![" * MAX_COMMENT,
    "declarations": "<![CDATA[" * MAX_COMMENT,
    "nesting": "\n" + "> - " * MAX_COMMENT,
    "mentions in cells": f"\n\n{'|@kodiai' * 2500}\n{'|-' * 2500}\n" + "|@kodiai" * 5000,
    "tags in cells": f"\n\n{'|<' * 10_000}\n{'|-' * 10_000}\n" + "|<" * 10_000,
    "footnotes": "\n\n[^a]\n\n" + "[^a]: @kodiai\n" * MAX_COMMENT,
    "paragraphs of footnotes": "\n\n[^a]\n\n" + "[^a]: @kodiai\n\n" * MAX_COMMENT,
    "cells": "\n\n" + "|a" * 500 + "|\n" + "|-" * 500 + "|\n" + "|\n" * MAX_COMMENT,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_comment_of_full_length_is_read(kind: str) -> None:
    assert command_in(f"{PAUSE} {HOSTILE[kind]}"[:MAX_COMMENT]) == "pause"


def test_what_stands_beyond_the_longest_comment_is_not_read() -> None:
    assert command_in("a\n" * (MAX_COMMENT // 2) + PAUSE) is None


def test_a_comment_without_the_name_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mentions, "_parser")
    assert command_in("`@somebody` *else*") is None
    with pytest.raises(NameError):
        command_in("@kodiai")
