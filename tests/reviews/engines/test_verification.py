"""A suggestion is offered only after it was applied and the engine ran again."""

import ast
from collections.abc import Mapping
from dataclasses import replace

import pytest

from reviews import engines
from reviews.config import linters
from reviews.engines import llm, verification
from reviews.engines.analyzer import Analyzer, AnalyzerFailed, run_analyzer
from reviews.engines.verification import applied, verify_suggestions
from reviews.findings import Finding, Severity, Suggestion


def found_in(files: Mapping[str, str]) -> list[Finding]:
    found, _, failures, _ = engines.run_analyzers(files)
    assert not failures
    return found


def offered(files: Mapping[str, str], **wrong: Suggestion) -> dict[str, Suggestion | None]:
    """Suggestions that remain of all findings, by rule; `wrong` ones take the place of the engine's."""
    found = found_in(files)
    findings = [replace(one, suggestion=wrong.get(one.rule, one.suggestion)) for one in found]
    return {finding.rule: finding.suggestion for finding in verify_suggestions(findings, found, files)}


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "wrong",
    [
        Suggestion(1, 1, "import syss"),  # unused too
        Suggestion(1, 1, "import os  # still unused"),
        Suggestion(1, 1, "import (os"),  # does not parse
        Suggestion(1, 3, "import sys"),  # loses what the file prints
        Suggestion(1, 1, "import sys\nprint(undefined)"),
    ],
    ids=["other-name", "unchanged", "syntax", "too-much", "new-finding"],
)
def test_a_suggestion_that_does_not_hold_is_not_offered(wrong: Suggestion) -> None:
    files = {"a.py": "import os, sys\nname = sys.argv[1]\nprint(name)\nprint(name)\n"}
    assert offered(files) == {"F401": Suggestion(1, 1, "import sys")}
    assert offered(files, F401=wrong) == {"F401": None}


def test_one_wrong_suggestion_costs_only_itself() -> None:
    script = "#!/bin/sh\n" + "".join(f"rm ${name}\n" for name in "abcdefgh")
    files = {"a.sh": script, "b.sh": "#!/bin/sh\nrm $1\n", "a.md": "We recieve it and seperate it.\n"}
    found = found_in(files)
    findings = [
        replace(one, suggestion=Suggestion(5, 5, "rm '$d")) if (one.path, one.start_line) == ("a.sh", 5) else one
        for one in found
    ]
    left = {(one.path, one.start_line): one for one in verify_suggestions(findings, found, files)}
    assert [place for place, one in sorted(left.items()) if one.suggestion is None] == [("a.sh", 5)]
    assert left["a.md", 1].suggestion == Suggestion(1, 1, "We receive it and separate it.")


def test_overlapping_suggestions_are_verified_one_by_one() -> None:
    files = {"a.py": "from x import (\n    a,\n    b,\n)\n"}
    (found,) = found_in(files)
    assert found.suggestion == Suggestion(1, 4, None)
    assert verify_suggestions([found] * 2, [found] * 2, files) == [found] * 2


TEXTS = {
    "tabs.py": "def f():\n\timport os\n\treturn 1\n",
    "emoji.py": "import os, sys  # 😀 é\n\nprint(sys, '🧑‍🚀')\n",
    "end.py": "import sys\n\nprint(sys)\nimport os",
    "crlf.py": "import os\r\nimport sys\r\nprint(sys)\r\n",
    "mark.py": "\ufeffimport os, sys\nprint(sys)\n",
    "feed.py": "\x0cimport os, sys\nprint(sys)\n\x0cimport json\n",
    "body.py": "def f():\n    import os\n",
    "list.py": "from x import (\n    a,\n    b,\n    c,\n)\nprint(a, c)\n",
    "semicolon.py": "import os; import sys\nprint(sys)\n",
    "continued.py": "from x import a, \\\n    b\nprint(a)\n",
    "string.py": "x = f'''\n{1}'''\ny = f'a' f'b'\n",
    "quotes.sh": "#!/bin/bash\nrm é/$1 # 😀\nfoo `bar $1`\nx=$(echo $2)\ncp $a\t$b",
}


@pytest.mark.slow
def test_what_is_offered_of_odd_texts_holds() -> None:
    found = found_in(TEXTS)
    kept = verify_suggestions(found, found, TEXTS)
    assert {one.path for one in kept if one.suggestion} >= {"tabs.py", "end.py", "list.py", "quotes.sh"}
    assert not {one.path for one in kept if one.suggestion} & {"crlf.py", "mark.py", "feed.py"}
    for finding in kept:
        if finding.suggestion is None:
            continue
        text = applied(TEXTS[finding.path], [finding.suggestion])
        if finding.path.endswith(".py"):
            ast.parse(text)
        after = [one.rule for one in found_in({finding.path: text}) if one.path == finding.path]
        before = [one.rule for one in found if one.path == finding.path]
        before.remove(finding.rule)
        assert sorted(after) == sorted(before), finding


def test_the_other_files_count_as_in_the_first_run() -> None:
    files = {
        "app/values.py": "from app.settings import LIMIT\nimport os\n",
        "app/use.py": "from app.values import LIMIT\n\nprint(LIMIT)\n",
    }
    assert offered(files) == {"F401": Suggestion(2, 2, None)}


def test_an_import_of_what_the_file_defined_before_may_be_needed() -> None:
    files = {"app/values.py": "from app.settings import LIMIT, load\n"}
    found = found_in(files)
    for base in ("LIMIT = 5\n", "def load():\n    return 5\n", "LIMIT: int = 5\n", "async def load(): ...\n"):
        [finding] = verify_suggestions(found, found, files, {"app/values.py": base})
        assert finding.suggestion is None
    [finding] = verify_suggestions(found, found, files, {"app/values.py": "print(LIMIT)\n"})
    assert finding.suggestion == Suggestion(1, 1, None)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("app/use.py", "from app.settings import X, \\\n    LIMIT\n\nprint(X, LIMIT)\n"),
        ("app/use.py", "from app.settings import (\n    X,  # (really)\n    LIMIT,\n)\n\nprint(X, LIMIT)\n"),
        ("app/use.py", "import importlib\n\nprint(importlib.import_module('app.settings').LIMIT)\n"),
        ("app/use.py", "from app import settings\n\nprint(getattr(settings, 'LIMIT'))\n"),
        ("app/use.py", "from app import settings as given\n\nconfig = given\nprint(config.LIMIT)\n"),
        ("tests/test_use.py", "from app import settings\n\n\ndef test_a(mock):\n    mock(settings, 'LIMIT', 3)\n"),
        ("run.sh", "#!/bin/sh\npython -c 'from app.settings import X, LIMIT; print(LIMIT)'\n"),
        ("Dockerfile", 'FROM python:3.14\nCMD ["gunicorn", "app.settings:LIMIT"]\n'),
    ],
)
def test_an_import_that_another_file_may_need_is_not_removed(path: str, text: str) -> None:
    files = {"app/settings.py": "from app.defaults import (\n    LEAST,\n    LIMIT,\n)\n\nX = 1\n", path: text}
    assert offered(files).get("F401") is None


def test_an_import_that_a_patch_names_is_not_removed() -> None:
    files = {"app/a.py": "from app.settings import main\n"}
    found = found_in(files)
    for patch, is_removed in (("app = 'app.a:main'\n", False), ("app = 'app.b:main'\n", True)):
        [finding] = verify_suggestions(found, found, files, patches={"pyproject.toml": patch})
        assert (finding.suggestion is not None) == is_removed


def test_an_import_that_another_file_has_itself_is_removed() -> None:
    files = {
        "app/settings.py": "import os\n\nX = 1\n",
        "app/use.py": "import os\n\nfrom app.settings import X\n\nprint(os.path.join(X))\n",
    }
    assert offered(files) == {"F401": Suggestion(1, 1, None)}


def test_thousands_of_imports_are_looked_up_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "run_analyzer", lambda *_: [])
    lines = [f"import a{number}" for number in range(20_000)]
    text = "\n".join(lines) + "\n# padding" * 60_000
    found = [
        Finding("a.py", line, line, Severity.MINOR, "F401", "m", engine="ruff", suggestion=Suggestion(line, line, None))
        for line in range(1, len(lines) + 1)
    ]
    kept = verify_suggestions(found, found, {"a.py": text}, {"a.py": "# padding\n" * 60_000 + "a7 = 1\n"})
    assert [one.start_line for one in kept if one.suggestion is None] == [8]


def test_what_the_settings_turn_off_costs_no_suggestion() -> None:
    files = {"a.py": "import os\n\nx = 1\nif x == None:\n    pass\n"}
    settings = linters.parse({"pyproject.toml": "[tool.ruff.lint]\nignore = ['E711']\n"})
    found, _ = settings.split(found_in(files), files)
    (finding,) = verify_suggestions(found, found, files, settings=settings)
    assert finding.suggestion == Suggestion(1, 1, None)


def test_whatever_cannot_be_verified_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a.py": "import os\n"}

    def fails(*_: object) -> list[Finding]:
        raise AnalyzerFailed("it took longer than 20 seconds")

    with monkeypatch.context() as patched:
        patched.setattr(verification, "run_analyzer", fails)
        assert offered(files) == {"F401": None}
    with monkeypatch.context() as patched:
        patched.setattr(verification, "SECONDS", 0)
        assert offered(files) == {"F401": None}
    assert offered(files) == {"F401": Suggestion(1, 1, None)}


def test_the_number_of_runs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    def counted(analyzer: Analyzer, files: Mapping[str, str], deadline: float) -> list[Finding]:
        runs.append(analyzer.name)
        return run_analyzer(analyzer, files, deadline)

    monkeypatch.setattr(verification, "run_analyzer", counted)
    files = {f"{name}.py": "import os\nimport sys\n" for name in "abcdefghij"}
    assert set(offered(files).values()) != {None}
    assert runs == ["ruff"]
    text = "".join(f"import m{number} as n{number}\n" for number in range(300))
    found = found_in({"a.py": text})
    wrong = [replace(one, suggestion=Suggestion(one.start_line, one.end_line, "import (")) for one in found]
    runs.clear()
    assert {one.suggestion for one in verify_suggestions(wrong, found, {"a.py": text})} == {None}
    assert len(runs) == verification.MAX_ROUNDS


@pytest.mark.parametrize(
    ("text", "holds"), [("    return 2", True), ("    return (2", False), ("    return undefined", False)]
)
def test_a_suggestion_of_the_language_model_is_verified_too(text: str, holds: bool) -> None:
    files = {"a.py": "def f():\n    return 1\n"}
    finding = Finding("a.py", 2, 2, Severity.MAJOR, llm.NAME, "wrong", suggestion=Suggestion(2, 2, text))
    [kept] = verify_suggestions([finding], [], files)
    assert (kept.suggestion is not None) is holds
