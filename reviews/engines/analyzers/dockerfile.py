"""Detect what Docker refuses in a Dockerfile, to judge hadolint's parse errors: its parser knows less than Docker's.

Only what is sure: unknown instructions, missing arguments, no FROM, a here-document without its end. Source: Docker
docs, "Dockerfile reference".
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache

_INSTRUCTIONS = frozenset(
    (
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
        *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    )
)
_WITHOUT_ARGUMENTS = frozenset(("CMD", "ENTRYPOINT"))
_DIRECTIVE = re.compile(r"(?:#|//)\s*(\w+)\s*=\s*(\S+)\s*$")
_OWN_SYNTAX = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?::|@|$)")
_HEREDOC = re.compile(r"(?:^|\s)\d*<<(-?)([^<\s]+)(?=\s|$)")
_QUOTED = re.compile(r"\"[^\"<]*<[^\"]*\"|'[^'<]*<[^']*'")
_SURE = re.compile(r"(?:RUN|CMD|COPY|ENTRYPOINT|EXPOSE|WORKDIR)[ \t]+[\w./\[$\"-]")
"""No line of another language begins like that."""
_QUOTING = re.compile(r"[\"'\\]")
_OPERATOR = re.compile(r"[=:(.,+|&]")
_QUOTES = re.compile(r"[\"'\\`#]")
_FLAGS = re.compile(r"(?:--\w[\w-]*(?:=\S*)?\s*)*+")
_KNOWN_FLAGS: Mapping[str, tuple[str, ...]] = {
    "ADD": ("checksum", "chmod", "chown", "exclude", "keep-git-dir", "link", "unpack"),
    "COPY": ("chmod", "chown", "exclude", "from", "link", "parents"),
    "FROM": ("platform",),
    "HEALTHCHECK": ("interval", "retries", "start-interval", "start-period", "timeout"),
    "RUN": ("device", "mount", "network", "security"),
}
"""Later versions of Docker may know more: a flag that is unknown counts only if it is like one of these."""
_PORT = re.compile(r"[\d-]+(?:/\w+)?|.*[$:\"'\\`].*", re.DOTALL)
"""A port, ports from one to another, or what only Docker can read."""

Refusal = tuple[int, str]
"""The line, from 1, and the reason."""


def has_other_syntax(text: str) -> bool:
    """Return whether a `# syntax=` directive names a frontend other than Docker's."""
    return any(name == "syntax" and not _OWN_SYNTAX.match(value) for name, value in _directives(text))


@lru_cache(maxsize=8)
def refusal(text: str, *, is_fragment: bool = False) -> Refusal | None:
    """Return where and why Docker refuses a Dockerfile, or one with this fragment in it, if that is sure."""
    escape = _escape(text)
    lines = _lines(text)
    has_stage = is_fragment
    index = 0
    while index < len(lines):
        if _is_blank(lines[index]):
            index += 1
            continue
        first = index + 1
        instruction, index = _logical_line(lines, index, escape)
        name, _, arguments = instruction.partition(" ")
        name, arguments = name.upper(), arguments.strip()
        if name == "ONBUILD":
            name, _, arguments = arguments.partition(" ")
            name, arguments = name.upper(), arguments.strip()
        if reason := _refused(name, arguments, has_stage=has_stage):
            return first, reason
        has_stage = has_stage or name == "FROM"
        if name in ("ADD", "COPY", "RUN"):
            for tabs, word in _HEREDOC.findall(_QUOTED.sub("", arguments)):
                end = _QUOTING.sub("", word)
                index = _after_heredoc(lines, index, end, tabs=bool(tabs))
                if index < 0:
                    return first, f"the here-document has no end `{end}`"
    return None if has_stage else (1, "there is no `FROM`")


def is_named_after_language(path: str, text: str) -> bool:
    """Return whether a file is a Dockerfile although its suffix is another language's: `Dockerfile.py`."""
    return path.rpartition("/")[2].startswith(("Dockerfile.", "Containerfile.")) and is_dockerfile(text)


def is_dockerfile(text: str) -> bool:
    """Return whether a text begins as a Dockerfile does, or its first instruction is broken and a later one is not."""
    lines = _lines(text)
    first = next((index for index, line in enumerate(lines) if not _is_blank(line)), None)
    if first is None:
        return False
    name, _, arguments = _logical_line(lines, first, "\\")[0].partition(" ")
    if not _refused(name.upper(), arguments, has_stage=False):
        return True
    is_like_one = get_close_matches(name[:20], _INSTRUCTIONS, cutoff=0.7) and not _OPERATOR.match(arguments)
    return bool(is_like_one) and any(_SURE.match(line) for line in lines[first + 1 :])


def instruction(text: str, line: int) -> str:
    """The instruction that starts on a line (from 1), continued lines joined."""
    return _logical_line(_lines(text), line - 1, _escape(text))[0]


@lru_cache(maxsize=8)
def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n"))


def _escape(text: str) -> str:
    return next((value for name, value in _directives(text) if name == "escape" and value in ("\\", "`")), "\\")


def _directives(text: str) -> list[tuple[str, str]]:
    """The parser directives, which are comments before anything else."""
    found = []
    for line in _lines(text):
        directive = _DIRECTIVE.match(line.strip())
        if directive is None:
            break
        found.append((directive[1].lower(), directive[2]))
    return found


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _logical_line(lines: Sequence[str], index: int, escape: str) -> tuple[str, int]:
    """The instruction that starts at `index`, continued lines joined, and the index after it."""
    parts: list[str] = []
    while index < len(lines):
        line = lines[index]
        index += 1
        if parts and _is_blank(line):
            continue  # Docker skips comments and, with a warning, empty lines.
        stripped = line.rstrip()
        # Two escape characters at the end are one, escaped.
        if stripped.endswith(escape) and not stripped.endswith(escape * 2):
            parts.append(stripped[:-1])
            continue
        parts.append(line)
        break
    return re.sub(r"\s+", " ", "".join(parts)).strip(), index


def _refused(name: str, arguments: str, *, has_stage: bool) -> str:
    """Why Docker refuses an instruction; empty if it may accept it."""
    if name not in _INSTRUCTIONS:
        return f"there is no instruction `{name[:40]}`"
    if not has_stage and name not in ("FROM", "ARG"):
        return f"`{name}` stands before `FROM`"
    given, arguments = arguments, _FLAGS.sub("", arguments, count=1)
    for flag in given.removesuffix(arguments).split():
        if error := _misspelled(name, flag.partition("=")[0].removeprefix("--")):
            return error
    words = arguments.split()
    if not words:
        return "" if name in _WITHOUT_ARGUMENTS else f"`{name}` has no arguments"
    if name == "FROM" and not (len(words) == 1 or (len(words) == 3 and words[1].upper() == "AS")):
        return "`FROM` takes an image, or an image, `AS` and a name"
    if name in ("ADD", "COPY") and len(words) < 2 and not arguments.startswith("["):
        return f"`{name}` takes a source and a destination"
    if name in ("ENV", "LABEL") and len(words) < 2 and "=" not in arguments:
        return f"`{name}` takes a name and a value"
    if name in ("ENV", "LABEL") and "=" in words[0] and not _QUOTES.search(arguments):
        unset = next((word for word in words if "=" not in word), None)
        return f"`{unset[:40]}` has no value" if unset else ""
    if name == "HEALTHCHECK" and words[0].upper() not in ("CMD", "NONE"):
        return "`HEALTHCHECK` takes `CMD` or `NONE`"
    if name == "EXPOSE" and (odd := next((word for word in words if not _PORT.fullmatch(word)), None)):
        return f"`{odd[:40]}` is no port"
    if name == "SHELL" and not arguments.startswith("["):
        return "`SHELL` takes a list in JSON"
    return ""


def _misspelled(name: str, flag: str) -> str:
    known = _KNOWN_FLAGS.get(name, ())
    like = get_close_matches(flag[:20], known, 1, 0.7) if flag not in known else ()
    return f"`{name}` has no flag `--{flag[:20]}`; did you mean `--{like[0]}`" if like else ""


def _after_heredoc(lines: Sequence[str], index: int, end: str, *, tabs: bool) -> int:
    """The index after the line that ends a here-document; -1 if there is none."""
    for number in range(index, len(lines)):
        if (lines[number].lstrip("\t") if tabs else lines[number]) == end:
            return number + 1
    return -1
