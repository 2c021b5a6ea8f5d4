"""Names that a change moves to a file that is loaded together with the first: classic scripts, parts of a script."""

import re
from collections.abc import Mapping
from functools import lru_cache

from reviews.engines.analyzers.oxlint import is_module
from reviews.findings import Finding

_UNDEFINED = {"eslint(no-undef)": re.compile(r"'([\w$]+)'"), "SC2154": re.compile(r"^(\w+)\b")}
"""Rules about names that nothing in the file defines, and where their messages have the name."""
_OF_SHELL = re.compile(r"(?:^|[\s;&|(])(?:(\w+)=|read\s([^\n]*))", re.MULTILINE)
_OF_MODULE = re.compile(r"\b(?:window|globalThis|self|global)\.([\w$]+)\s*=")
_OF_SCRIPT = re.compile(
    rf"(?:^|;)(?:async\s+)?(?:function\b\s*+\*?|(?:class|const|let|var)\b)\s*([\w$]+)|{_OF_MODULE.pattern}",
    re.MULTILINE,
)
"""What stands at the top of a classic script, without indentation, is for all scripts of the page."""
_FOR_BOTH = re.compile(r"\btypeof\s+(?:module|exports)\b")
"""A script that asks whether it is a module."""
_NAME = re.compile(r"[\w$]+")


def is_defined_elsewhere(finding: Finding, texts: Mapping[str, str]) -> bool:
    """Return whether another changed file (`texts`: path → text) defines the name that a finding calls undefined."""
    pattern = _UNDEFINED.get(finding.rule)
    name = pattern.search(finding.message) if pattern else None
    if name is None or (finding.rule != "SC2154" and _is_module(texts.get(finding.path, ""))):
        return False
    kind = finding.path.rpartition(".")[2]
    return any(
        name[1] in _defined(text, is_shell=finding.rule == "SC2154")
        for path, text in texts.items()
        if path != finding.path and path.rpartition(".")[2] == kind
    )


# A text can define thousands of names that another one no longer does, so each text is searched once.


@lru_cache(maxsize=32)
def _is_module(text: str) -> bool:
    return is_module(text) and _FOR_BOTH.search(text) is None


@lru_cache(maxsize=32)
def _defined(text: str, *, is_shell: bool) -> frozenset[str]:
    """The names that a script defines for others, and those of its `read` commands."""
    defines = _OF_SHELL if is_shell else _OF_MODULE if _is_module(text) else _OF_SCRIPT
    found = (part for match in defines.finditer(text) for part in match.groups(""))
    return frozenset(name for part in found for name in _NAME.findall(part))
