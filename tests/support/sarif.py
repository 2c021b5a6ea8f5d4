"""SARIF documents, and the findings that are read from them."""

import json
from typing import Any

from reviews.engines.sarif import read
from reviews.findings import Finding

Json = dict[str, Any]

APP = "import os\n\n\ndef load(name):\n    return eval(name)\n"
FILES = {"src/app.py": APP, "b c%41.js": "a == b\n", "ä.md": "Ein\n😀 teh é teh\nEnde\n"}


def document(*results: Json, rules: list[Json] | None = None, **run: Any) -> bytes:
    tool = run.pop("tool", {"driver": {"name": "tool", "rules": rules or []}})
    return json.dumps({"version": "2.1.0", "runs": [{"tool": tool, "results": list(results), **run}]}).encode()


def result(uri: str = "src/app.py", line: int = 5, **changes: Any) -> Json:
    place = {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}
    return {
        "ruleId": "R1",
        "message": {"text": "no good"},
        "locations": [{"physicalLocation": place}],
    } | changes


def fix(*replacements: tuple[Json, str], uri: str = "ä.md") -> Json:
    changes = [{"deletedRegion": region, "insertedContent": {"text": text}} for region, text in replacements]
    return {
        "description": {"text": "put it right"},
        "artifactChanges": [{"artifactLocation": {"uri": uri}, "replacements": changes}],
    }


def one(document: bytes, *, fixes: bool = True) -> Finding:
    (finding,) = read(document, FILES, "/scratch", fixes=fixes)
    return finding


def span(start: int, end: int | None, line: int = 2) -> Json:
    return {"startLine": line, "startColumn": start} | ({} if end is None else {"endColumn": end})
