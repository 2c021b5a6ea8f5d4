"""Names that a change moves to a file that is loaded together with the first: classic scripts, parts of a script."""

import re
from collections.abc import Mapping

from reviews.findings import Finding

_UNDEFINED = {"eslint(no-undef)": re.compile(r"'([\w$]+)'"), "SC2154": re.compile(r"^(\w+)\b")}
"""Rules about names that nothing in the file defines, and where their messages have the name."""
_MODULE = re.compile(r"^\s*(?:import\b(?!\s*\()|export\b)", re.MULTILINE)
"""A module sees nothing of another file that it does not import."""


def is_defined_elsewhere(finding: Finding, texts: Mapping[str, str]) -> bool:
    """Return whether another changed file (`texts`: path → text) defines the name that a finding calls undefined."""
    pattern = _UNDEFINED.get(finding.rule)
    name = pattern.search(finding.message) if pattern else None
    if name is None or (finding.rule != "SC2154" and _MODULE.search(texts.get(finding.path, ""))):
        return False
    own = re.escape(name[1])
    if finding.rule == "SC2154":
        defines = re.compile(rf"(?:^|[\s;&|(])(?:{own}=|read\s[^\n]*\b{own}\b)", re.MULTILINE)
    else:
        defines = re.compile(
            rf"\b(?:function\*?|class|const|let|var)\s+{own}\b|\b(?:window|globalThis|self)\.{own}\s*="
        )
    kind = finding.path.rpartition(".")[2]
    return any(
        defines.search(text) for path, text in texts.items() if path != finding.path and path.rpartition(".")[2] == kind
    )
