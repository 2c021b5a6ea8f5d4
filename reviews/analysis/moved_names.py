"""Names that a change moves to a file that is loaded together with the first: classic scripts, parts of a script."""

import re
from collections.abc import Mapping
from functools import lru_cache

from reviews.findings import Finding

_UNDEFINED = {"eslint(no-undef)": re.compile(r"'([\w$]+)'"), "SC2154": re.compile(r"^(\w+)\b")}
"""Rules about names that nothing in the file defines, and where their messages have the name."""
_MODULE = re.compile(r"^[\ufeff \t]*(?:import\b(?!\s*\()|export\b)", re.MULTILINE)
"""A module sees nothing of another file that it does not import."""
_OF_SHELL = re.compile(r"(?:^|[\s;&|(])(?:(\w+)=|read\s([^\n]*))", re.MULTILINE)
_OF_JAVASCRIPT = re.compile(
    r"\b(?:function\*?|class|const|let|var)\s+([\w$]+)|\b(?:window|globalThis|self)\.([\w$]+)\s*="
)
_NAME = re.compile(r"[\w$]+")


def is_defined_elsewhere(finding: Finding, texts: Mapping[str, str]) -> bool:
    """Return whether another changed file (`texts`: path → text) defines the name that a finding calls undefined."""
    pattern = _UNDEFINED.get(finding.rule)
    name = pattern.search(finding.message) if pattern else None
    if name is None or (finding.rule != "SC2154" and _is_module(texts.get(finding.path, ""))):
        return False
    defines = _OF_SHELL if finding.rule == "SC2154" else _OF_JAVASCRIPT
    kind = finding.path.rpartition(".")[2]
    return any(
        name[1] in _defined(text, defines)
        for path, text in texts.items()
        if path != finding.path and path.rpartition(".")[2] == kind
    )


# A text can define thousands of names that another one no longer does, so each text is searched once.


@lru_cache(maxsize=32)
def _is_module(text: str) -> bool:
    return _MODULE.search(text) is not None


@lru_cache(maxsize=32)
def _defined(text: str, defines: re.Pattern[str]) -> frozenset[str]:
    """The names that a script defines, and those of its `read` commands."""
    return frozenset(name for parts in defines.findall(text) for part in parts for name in _NAME.findall(part))
