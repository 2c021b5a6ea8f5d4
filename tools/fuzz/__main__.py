"""Coverage-guided fuzzing of everything that reads a stranger's text: `make fuzz`, or `python -m tools.fuzz TARGET …`.

A target is a function of bytes that fails on whatever `tests.support.hostile` forbids. The arguments after its name are
libFuzzer's. What is found is kept as a test; the corpus begins with the seeds below and stays in `var/fuzz/`.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
with atheris.instrument_imports(include=["reviews", "unidiff", "yaml"]):
    import django

    django.setup()
    from reviews.findings import Finding, Severity, Suggestion, bounded
    from tests.support import hostile
    from tests.support.webhooks import comment_payload, pull_request_payload

ROOT = "/scratch"
FILES = {"a.py": "import os\nx = f'a'\n\n", "cr.py": "x = 1\rimport os\r\n\ty = 2", "b/c.py": ""}
MAX_INPUT = 4096


def intake(data: bytes) -> None:
    event = ["pull_request", "issue_comment", "installation", "ping", "push"][data[0] % 5 if data else 0]
    hostile.check_intake("d-1", event, data[1:])


def patch(data: bytes) -> None:
    hostile.check_patch(data.decode(errors="replace"))


def config(data: bytes) -> None:
    hostile.check_config(data.decode(errors="replace"))


def linters(data: bytes) -> None:
    path = hostile.LINTER_FILES[data[0] % len(hostile.LINTER_FILES) if data else 0]
    hostile.check_linters(path, data[1:].decode(errors="replace"))


def engine_output(data: bytes) -> None:
    hostile.check_engine_output(data, FILES, ROOT)


def sarif(data: bytes) -> None:
    hostile.check_sarif(data, FILES, ROOT)


def markdown(data: bytes) -> None:
    """Half of the input picks pieces of markup, so that the fuzzer need not find them letter by letter."""
    provider = atheris.FuzzedDataProvider(data)

    def text() -> str:
        pieces = []
        for _ in range(provider.ConsumeIntInRange(0, 6)):
            if provider.ConsumeBool():
                pieces.append(hostile.MARKUP[provider.ConsumeIntInRange(0, len(hostile.MARKUP) - 1)])
            else:
                pieces.append(provider.ConsumeUnicode(provider.ConsumeIntInRange(0, 12)))
        return "".join(pieces)

    finding = bounded(
        Finding(
            path=text(),
            start_line=1,
            end_line=1,
            severity=Severity.MAJOR,
            rule=text() or "F401",
            message=text(),
            rule_url=hostile.RULE_URL if provider.ConsumeBool() else text(),
            fix=text(),
            suggestion=Suggestion(1, 1, text()) if provider.ConsumeBool() else None,
        )
    )
    hostile.check_comment(finding)
    hostile.check_summary([finding], [text()], text())


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (intake, patch, config, linters, engine_output, sarif, markdown)
}
LOCATION = {"row": 1, "column": 1}
PLACE = {"artifactLocation": {"uri": "a.py", "uriBaseId": "A", "index": 0}, "region": {"startLine": 1, "endColumn": 7}}
CHANGE = {"deletedRegion": PLACE["region"], "insertedContent": {"text": "x"}}
SEEDS: dict[str, list[bytes]] = {
    "intake": [
        b"\0" + json.dumps(pull_request_payload()).encode(),
        b"\1" + json.dumps(comment_payload()).encode(),
        b"\2" + json.dumps({"action": "deleted", "installation": {"id": 1}, "sender": {"login": "mona"}}).encode(),
    ],
    "patch": [
        b"@@ -1,3 +1,4 @@ def f():\n one\n+two\n three\n-four\n+five\n\\ No newline at end of file",
        b"@@ -0,0 +1 @@\n+a\n@@ -5,2 +6 @@\n-gone\n kept",
    ],
    "config": [
        b"telemetry:\n  enabled: false\n",
        b"telemetry: {enabled: 'no', other: [1, 1.5e3, 2001-01-01, 1:30:00.5, 0x1F, ~]}\n# comment\n",
        b"? - a\n: |\n  text\n!!int x: &a 1\n*a : <<\n",
    ],
    "linters": [
        bytes([number]) + text
        for number in range(len(hostile.LINTER_FILES))
        for text in (
            b"[tool.ruff]\nlint.ignore = ['F']\n[project]\nrequires-python = '>=3.9'\n",
            b"[flake8]\nper-file-ignores =\n  a.py:F821\n",
            b'{"rules": {"no-undef": "off"}, "overrides": [{"files": ["*"], "rules": {}}]} // x',
            b"rules: {a: {ignore: [x.yml:1]}}\nignored: [DL3006]\n",
        )
    ],
    "engine_output": [
        json.dumps(
            [
                {
                    "filename": f"{ROOT}/{name}",
                    "location": LOCATION,
                    "end_location": {"row": 1, "column": 5},
                    "code": "F401",
                    "message": "`os` imported but unused",
                    "url": hostile.RULE_URL,
                    "fix": {
                        "applicability": "safe",
                        "message": "Remove unused import",
                        "edits": [{"content": "", "location": LOCATION, "end_location": {"row": 2, "column": 1}}],
                    },
                }
            ]
        ).encode()
        for name in FILES
    ],
    "sarif": [
        json.dumps(
            {
                "version": "2.1.0",
                "runs": [
                    {
                        "tool": {
                            "driver": {"name": "x", "rules": [{"id": "R", "messageStrings": {"m": {"text": "{0}"}}}]},
                            "extensions": [{"name": "y", "rules": [{"id": "S", "helpUri": hostile.RULE_URL}]}],
                        },
                        "artifacts": [{"location": {"uri": "cr.py"}}],
                        "originalUriBaseIds": {"A": {"uri": f"file://{ROOT}/", "uriBaseId": "B"}},
                        "columnKind": "utf16CodeUnits",
                        "results": [
                            {
                                "ruleId": "S/1",
                                "rule": {"index": 0, "toolComponent": {"index": 0}},
                                "message": {"id": "m", "arguments": ["[x](1)"]},
                                "level": "note",
                                "locations": [{"physicalLocation": PLACE}],
                                "fixes": [
                                    {
                                        "description": {"markdown": "`x`"},
                                        "artifactChanges": [
                                            {"artifactLocation": {"uri": "a.py"}, "replacements": [CHANGE]}
                                        ],
                                    }
                                ],
                                "suppressions": [{"status": "rejected"}],
                            }
                        ],
                    }
                ],
            }
        ).encode()
    ],
    "markdown": [bytes(range(256)), b"\xff" * 64],
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        raise SystemExit(f"usage: python -m tools.fuzz {'|'.join(TARGETS)} [options of libFuzzer]")
    corpus = Path("var/fuzz", name)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)

    def keep_what_fails(data: bytes) -> None:
        try:
            TARGETS[name](data)
        except BaseException:
            # libFuzzer keeps it too, unless its alarm clock ends the process before.
            Path(f"var/fuzz/{name}-failure").write_bytes(data)
            raise

    # A second without an answer is a hang: the process ends, and the input is kept as `timeout-…`.
    options = ["-timeout=1", f"-max_len={MAX_INPUT}", f"-artifact_prefix=var/fuzz/{name}-", "-print_final_stats=1"]
    atheris.Setup([f"fuzz {name}", *options, *sys.argv[2:], str(corpus)], keep_what_fails)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
