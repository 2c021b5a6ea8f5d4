"""Compare findings with the base: what a change introduces is reported, what it found is not."""

import pytest

from reviews import engines
from reviews.analysis.baseline import BaseFile, compare
from reviews.analysis.file_selection import FileSelection
from reviews.analysis.removed_names import find_removed_names
from reviews.config.linters import NO_SETTINGS
from reviews.findings import Report
from reviews.github.patches import Hunk
from reviews.github.schemas import ChangedFile
from sandbox import PullRequest, Repository, Sandbox
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db

FUNCTION = "def f():\n    try:\n        g()\n    except KeyError:\n        raise ValueError('{}')\n\n\n"
WRAPPED = FUNCTION.replace("('{}')", '(\n            "{}",\n        )')
CALLED = "def g(): ...\n\n\n"


def opened(repo: Repository, before: dict[str, str], after: dict[str, str | None]) -> PullRequest:
    repo.commit(before)
    return repo.open_pull_request(changes=after, author="mona", author_association="MEMBER")


def report_of(pull: PullRequest, action: str = "opened") -> Report:
    return Report.from_json(run(admit(pull, action)).report)


@pytest.mark.parametrize(
    ("path", "before", "after", "rule", "line"),
    [
        ("a.py", "x = foo(\n    1,\n    2,\n)\n\n\ndef f():\n    return x\n", "    2,\n)", "invalid-syntax", 3),
        ("a.js", "function f(a) {\n  if (a) {\n    go();\n  }\n  return 1;\n}\n", "go();\n  }", "syntax-error", 4),
        ("a.sh", "#!/bin/sh\nif true; then\n  echo a\nfi\necho b\n", "a\nfi", "SC1072", 3),
        ("a.vue", "<p>a</p>\n<script>\nexport default {\n  a: 1,\n}\n</script>\n", "1,\n}", "syntax-error", 5),
        ("a.astro", "---\nconst a = f(\n  1,\n);\n---\n<p>{a}</p>\n", "1,\n);", "syntax-error", 4),
    ],
)  # fmt: skip
def test_a_file_that_no_longer_parses_is_reported(
    repo: Repository, path: str, before: str, after: str, rule: str, line: int
) -> None:
    """The error stands on an unchanged line; the last line of `after` is what the pull request deletes (V1)."""
    broken = before.replace(after, after.rsplit("\n", 1)[0], 1)
    pull = opened(repo, {path: before}, {path: broken})
    (finding,) = report_of(pull).findings
    assert (finding.rule, finding.severity, finding.start_line) == (rule, "critical", line)
    (review,) = pull.reviews
    assert [comment["line"] for comment in review["comments"]] == [line]
    assert "no findings" not in review["body"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("path", "before", "rule", "message"),
    [
        ("a.py", 'def ask(d):\n    comment_id = d["id"]\n    return f"{comment_id}"\n', "F821", "`comment_id`"),
        ("a.py", "import json as comment_id\n\n\ndef f(x):\n    return comment_id.dumps(x)\n", "F821", "`comment_id`"),
        ("a.js", "export function ask(d) {\n  const comment_id = d.id;\n  return `${comment_id}`;\n}\n",
         "eslint(no-undef)", "'comment_id'"),
        ("a.ts", "export function ask(d: any) {\n  const comment_id = d.id;\n  return comment_id;\n}\n",
         "eslint(no-undef)", "'comment_id'"),
        ("a.sh", '#!/bin/bash\ncomment_id="$1"\necho "$comment_id"\n', "SC2154", "comment_id"),
        ("a.svelte", "<script>\n  const comment_id = $page.id;\n  console.log(comment_id);\n</script>\n",
         "eslint(no-undef)", "'comment_id'"),
        ("Dockerfile", "FROM debian:12 AS comment_id\nRUN make\nFROM debian:12\nCOPY --from=comment_id /a /b\n",
         "DL3022", "COPY --from"),
    ],
)  # fmt: skip
def test_a_use_of_what_was_renamed_is_reported(
    repo: Repository, path: str, before: str, rule: str, message: str
) -> None:
    """V2: the use stands on an unchanged line, which the comment names."""
    pull = opened(repo, {path: before}, {path: before.replace("comment_id", "renamed", 1)})
    (finding,) = [finding for finding in report_of(pull).findings if finding.rule == rule]
    used = next(number for number, line in enumerate(before.split("\n"), 1) if "comment_id" in line and number > 2)
    assert (finding.elsewhere, message in finding.message) == (used, True)
    assert finding.severity in ("critical", "major")
    assert any(f"Line {used}: " in comment["body"] for comment in pull.reviews[0]["comments"])


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("path", "before", "removed", "rule"),
    [
        ("a.js", "export class A extends Array {\n  constructor() {\n    super();\n    this.x = 1;\n  }\n}\n",
         "    super();\n", "eslint(constructor-super)"),
        ("a.js", "export class A {\n  get x() {\n    return 1;\n  }\n}\n", "    return 1;\n", "eslint(getter-return)"),
        ("a.js", "export const b = 1\n;\n[1].map(String);\n", ";\n", "eslint(no-unexpected-multiline)"),
        ("a.jsx", "export const A = (all) => all.map((x) => (\n  <p\n    key={x}\n    id={x}\n  />\n));\n",
         "    key={x}\n", "react(jsx-key)"),
        ("a.py", "print('{} {}'.format(\n    1,\n    2,\n))\n", "    2,\n", "F524"),
        ("a.py", "print('%s %s' % (\n    1,\n    2,\n))\n", "    2,\n", "F507"),
    ],
)  # fmt: skip
def test_a_line_that_lost_what_it_needs_is_reported(
    repo: Repository, path: str, before: str, removed: str, rule: str
) -> None:
    report = report_of(opened(repo, {path: before}, {path: before.replace(removed, "")}))
    assert rule in [finding.rule for finding in report.findings]
    assert report.outside_changes == 0


@pytest.mark.parametrize(
    ("path", "before", "above", "added", "rule"),
    [
        ("a.py", "x = {\n    'b': 1,\n    'c': 2,\n}\n", "    'b'", "    'c': 3,\n", "F601"),
        ("a.py", "from __future__ import annotations\n", "from", "import abc as abc\n", "F404"),
        ("a.jsx", "import { useId } from 'react';\nexport function A({ x }) {\n  return useId(x);\n}\n", "  return",
         "  if (x) return null;\n", "react-hooks(rules-of-hooks)"),
    ],
)  # fmt: skip
def test_a_line_in_conflict_with_a_new_one_is_reported(
    repo: Repository, path: str, before: str, above: str, added: str, rule: str
) -> None:
    report = report_of(opened(repo, {path: before}, {path: before.replace(above, added + above, 1)}))
    assert rule in [finding.rule for finding in report.findings]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.js", "it('works', () => expect($('x')).toBe(1));\nprocess.exit(0);\n"),
        ("a.sh", '#!/bin/bash\necho "$workspace"\n'),
        ("Dockerfile", "FROM debian:12\nCOPY --from=other /a /b\n"),
    ],
)
def test_a_new_use_of_what_other_files_define_is_not(repo: Repository, path: str, text: str) -> None:
    assert report_of(opened(repo, {}, {path: text})).findings == ()


SHELL = "#!/bin/bash\nsay_it() {\n  echo a\n}\n\n\n\n\n\n"
SHOP = "export interface Shop {\n  a: 1;\n}\n"
TYPES = f"{SHOP}\n\n\n\n\nexport function f(x: Shop, y: Array<Shop>): Shop[] {{\n  return [x, ...y];\n}}\n"
IMPORTED = "import {\n  type Shop,\n  d,\n} from 'b';\nd();\n"
DOCKERFILE = "FROM debian:12\nARG TAG\n\n\n\n\nRUN echo ${TAG:-1} $TAG\n"
METHOD = "    def say_it(self):\n        return 1\n"
CLASS = f"class A:\n{METHOD}\n\n\n\n\n    def g(self):\n        return self.say_it()\n"
MODULE = {"p/b.py": "class C:\n    pass\n\n\nX = 1\n", "p/a.py": "from .b import (\n    C,  # why\n)\n\n\nprint(C)\n"}
SCRIPT = {"b.js": "export const c = 1;\nexport const d = 2;\n", "a.js": "import { c } from './b.js';\n\n\n\nf(c);\n"}


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ({"a.sh": f"{SHELL}if say_it; then b; fi\n"}, {"say_it() {": "say() {"}, 10),
        ({"bin/a": f"{SHELL}if say_it; then b; fi\n"}, {"say_it() {": "say() {"}, 10),
        ({"a.sh": f'{SHELL}x="$(say_it)"  # say_it\n'}, {"say_it() {": "function say_that {"}, 10),
        ({"a.ts": TYPES}, {"interface Shop": "interface Store"}, 9),
        ({"a.ts": f"{IMPORTED}{TYPES.removeprefix(SHOP)}"}, {"  type Shop,\n": ""}, 10),
        ({"Dockerfile": DOCKERFILE}, {"ARG TAG": "ARG RELEASE"}, 7),
        ({"a.py": CLASS}, {"def say_it": "def say"}, 10),
        ({"a.py": CLASS}, {METHOD: ""}, 8),
        (MODULE, {"class C": "class D", "print(": "print(1, "}, 2),
        (
            {**MODULE, "p/a.py": "from p.b import X, C as D\n\n\n\n\nprint(X, D)\n"},
            {"class C": "class E", "X, D": "D, X"},
            1,
        ),
        (SCRIPT, {"const c": "const e", "f(": "f(1, "}, 1),
    ],
)
def test_a_use_of_what_no_engine_looks_for_is_reported(
    repo: Repository, before: dict[str, str], after: dict[str, str], line: int
) -> None:
    """V2: functions of shell, types of TypeScript, methods of Python, and imports of other changed files."""
    (finding,) = report_of(opened(repo, before, _edited(before, after))).findings
    assert (finding.rule in ("removed-name", "import(named)"), finding.severity) == (True, "major")
    assert finding.elsewhere == line


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a.sh": f"{SHELL}. lib\nsay_it\n"}, {"say_it() {": "say_that() {"}),
        ({"a.sh": f"{SHELL}case $1 in\n  say_it | b) c ;;\nesac\n"}, {"say_it() {": "say_that() {"}),
        ({"a.sh": f"{SHELL}cat <<EOF\nsay_it\nEOF\necho say_it\n"}, {"say_it() {": "say_that() {"}),
        ({"a.sh": f"{SHELL}say_it\n"}, {"say_it() {\n  echo a\n}\n": ""}),
        ({"a.sh": SHELL.replace("say_it", "docker") + "docker run\n"}, {"docker() {": "quiet() {"}),
        ({"a.ts": TYPES}, {SHOP: "import { Shop } from './b';\nexport type B = 1;\n"}),
        ({"a.ts": TYPES}, {SHOP: ""}),
        ({"a.ts": TYPES.replace("Shop", "Request")}, {"interface Request": "interface ShopRequest"}),
        ({"a.ts": TYPES, "b.ts": ""}, {"interface Shop": "interface Store", "": "export interface Shop {}\n"}),
        ({"a.ts": "import React from 'react';\n\n\n\n\nexport type A = (x: React.FC) => 1;\n"},
         {"import React from 'react';": ""}),
        ({"a.ts": f"{IMPORTED}{TYPES.removeprefix(SHOP)}"}, {IMPORTED: "import { d as Shop } from 'c';\n"}),
        ({"Dockerfile": DOCKERFILE}, {"ARG TAG\n": ""}),
        ({"Dockerfile.md": DOCKERFILE}, {"ARG TAG": "ARG RELEASE"}),
        ({"Dockerfile": DOCKERFILE.replace("echo", "TAG=1; echo")}, {"ARG TAG": "ARG RELEASE"}),
        ({"a.py": CLASS.replace("A:", "A(B):")}, {"def say_it": "def say"}),
        ({"a.py": CLASS}, {METHOD: "    def __init__(self):\n        self.say_it = f\n"}),
        ({"a.py": CLASS}, {METHOD: "    say_it = len\n"}),
        (MODULE, {"class C:\n    pass\n": "from .c import C as C\n", "print(": "print(1, "}),
        (MODULE, {"class C:\n    pass\n": "from .c import *\n", "print(": "print(1, "}),
        ({**MODULE, "p/a.py": "try:\n    from .b import C\nexcept ImportError:\n    C = 1\n"},
         {"class C": "class D", "= 1\n": "= 2\n"}),
        ({"q/b.py": MODULE["p/b.py"], "p/a.py": "from b import C\nprint(C)\n"},
         {"class C": "class D", "print(": "print(1, "}),
        (SCRIPT, {"export const c = 1;": "export * from './c.js';", "f(": "f(1, "}),
    ],
)  # fmt: skip
def test_a_name_that_may_come_from_elsewhere_is_not(
    repo: Repository, before: dict[str, str], after: dict[str, str]
) -> None:
    found = report_of(opened(repo, before, _edited(before, after))).findings
    assert [finding for finding in found if finding.rule in ("removed-name", "import(named)")] == []


PYTHON = {"p/q/a.py": "from ..b import C\n\n\n\n\nprint(C)\n", "p/b.py": "C = 1\nD = 2\nE = 3\n"}
ABSOLUTE = {**PYTHON, "p/q/a.py": "from p.b import C\n\n\n\n\nprint(C)\n"}
JS = {"p/a.js": "import { c } from '../b.js';\n\n\n\n\nprint(c);\n", "b.js": "export const c = 1;\n// c\n// d\n"}
VUE = {"p/a.vue": "<script>\n  import C from '../B.vue'\n\n\n\nprint(C)\n</script>\n", "B.vue": "<p>b</p>\n"}
OF_VUE = {"p/a.ts": "import C from '../B.vue';\n\n\n\n\nprint(C);\n", "B.vue": "<p>b</p>\n"}
TS = {"p/a.ts": "import '../b.js';\n\n\n\n\nprint(1);\n", "b.ts": "declare global { var c: 1 }\nexport {};\n"}


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (PYTHON, {"p/b.py": None}, True),
        (PYTHON, {"p/b.py": None, "p/c.py": PYTHON["p/b.py"]}, True),
        (ABSOLUTE, {"p/b.py": None}, True),
        (
            {"p/a": "#!/usr/bin/env python3\nfrom p.b import C\n\n\n\nprint(C)\n", "p/b.py": PYTHON["p/b.py"]},
            {"p/b.py": None},
            True,
        ),
        (PYTHON, {"p/b.py": None, "p/b/__init__.py": "C = 1\n"}, False),
        (PYTHON, {"p/b.py": None, "p/b.pyx": "C = 1\n"}, False),
        (PYTHON, {"p/b.py": None, ".gitignore": "p/b.py\n"}, False),
        ({"p/q/a.py": "from b import C\nprint(C)\n", "b.py": "C = 1\n"}, {"b.py": None}, False),
        ({**PYTHON, "p/q/a.py": "if 1:\n    from ..b import C\nprint(C)\n"}, {"p/b.py": None}, False),
        ({**PYTHON, "p/b/__init__.py": "", "p/b/d.py": ""}, {"p/b/__init__.py": None, "p/b.py": None}, True),
        ({**ABSOLUTE, "r/p/b.py": "C = 1\n"}, {"r/p/b.py": None}, False),
        (JS, {"b.js": None}, True),
        (JS, {"b.js": None, "b/index.js": "export const c = 1;\n"}, True),
        (JS, {"b.js": None, "b.ts": "export const c = 1;\n"}, False),
        ({**JS, "p/a.js": "/*\nimport '../b';\n*/\nprint(1);\n"}, {"b.js": None}, False),
        (
            {"p/a.js": "export * from '../b';\n\n\n\nprint(1);\n", "b/index.js": "export {};\n"},
            {"b/index.js": None},
            True,
        ),
        (TS, {"b.ts": None}, True),
        ({**TS, "b.js": "export {};\n"}, {"b.js": None}, False),
        (VUE, {"B.vue": None}, True),
        (OF_VUE, {"B.vue": None}, True),
        (VUE, {"B.vue": None, "B/index.vue": "<p>b</p>\n", "B.vue.js": "export default 1;\n"}, False),
    ],
)
def test_an_import_of_a_file_that_is_removed_is_reported(
    repo: Repository, before: dict[str, str], after: dict[str, str | None], found: bool
) -> None:
    (path,) = before.keys() & {"p/q/a.py", "p/a.js", "p/a.ts", "p/a.vue", "p/a"}
    used = before[path].replace("print(", "print(1, ")
    report = report_of(opened(repo, before, {**after, path: used}))
    assert ("removed-name" in [finding.rule for finding in report.findings]) == found


def test_what_a_file_is_copied_from_is_not_removed() -> None:
    copied = ChangedFile.model_validate({"filename": "p/c.py", "status": "copied", "previous_filename": "p/b.py"})
    path = "p/q/a.py"
    selection = FileSelection(texts={path: PYTHON[path]}, bases={path: BaseFile(path, PYTHON[path])}, hunks={path: ()})
    assert find_removed_names([copied], selection, ()) == []


def _edited(files: dict[str, str], edits: dict[str, str]) -> dict[str, str]:
    edited = dict(files)
    for path, text in files.items():
        for old, new in edits.items():
            edited[path] = edited[path].replace(old, new) if old else edited[path]
        if not text:
            edited[path] = edits[""]
    return edited


def test_a_name_that_was_undefined_before_is_not(repo: Repository) -> None:
    """ShellCheck reports the first use of a name only, and the change removes it."""
    before = '#!/bin/bash\necho "$workspace"\n' + "echo a\n" * 9 + 'echo "b $workspace"\n'
    pull = opened(repo, {"a.sh": before}, {"a.sh": before.replace('echo "$workspace"\n', "", 1)})
    assert report_of(pull).findings == ()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("path", "before", "defined", "found"),
    [
        ("a.js", "const LOCALE = 'de';\nshow(LOCALE);\n", "const LOCALE = 'de';\n", []),
        ("a.js", "const LOCALE = 'de';\nshow(LOCALE);\n", "const OTHER = 'de';\n", ["eslint(no-undef)"]),
        ("a.js", "const LOCALE = 'de';\nexport const a = () => LOCALE;\n", "const LOCALE = 'de';\n",
         ["eslint(no-undef)"]),
        ("a.js", "const LOCALE = 'de';\nmodule.exports = () => LOCALE;\n", "const LOCALE = 'de';\n",
         ["eslint(no-undef)"]),
        ("a.js", "const LOCALE = 'de';\nshow(LOCALE);\n", "export const LOCALE = 'de';\n", ["eslint(no-undef)"]),
        ("a.js", "const LOCALE = 'de';\nshow(LOCALE);\n", "export function f() {\n  window.LOCALE = 'de';\n}\n", []),
        ("a.js", "const LOCALE = 'de';\nshow(LOCALE);\n",
         "const LOCALE = 'de';\nif (typeof module === 'object') module.exports = LOCALE;\n", []),
        ("a.js", "const LOCALE = 'de';\nshow(LOCALE);\n", "// const LOCALE = 'de';\n", ["eslint(no-undef)"]),
        ("a.js", "const LOCALE = 'de';\nshow(LOCALE);\n", "function f() {\n  const LOCALE = 1;\n  show(LOCALE);\n}\n",
         ["eslint(no-undef)"]),
        ("a.sh", '#!/bin/bash\nfolder="$1"\necho "$folder"\n', '#!/bin/bash\nfolder="$1"\n', []),
    ],
)  # fmt: skip
def test_a_name_that_moves_to_another_script_is_not_reported(
    repo: Repository, path: str, before: str, defined: str, found: list[str]
) -> None:
    after = "\n".join(line for line in before.split("\n") if not line.startswith(("const LOCALE", "folder=")))
    pull = opened(repo, {path: before}, {path: after, f"lib/{path}": defined})
    assert [finding.rule for finding in report_of(pull).findings if finding.path == path] == found


@pytest.mark.parametrize("name", ["engines/a.py", "engines/b.py"])
def test_a_name_that_a_loader_defines_is_folded(repo: Repository, name: str) -> None:
    """The base works with undefined names: the loader gives them to the file and to its neighbours."""
    before = {"engines/a.py": "print(traits)\n", "engines/b.py": "", "other/c.py": ""}
    after = {path: f"{text}print(logger if 1 else traits)\n" for path, text in before.items()}
    after["engines/b.py"] = after["other/c.py"] = "print(traits)\n"
    found = {(finding.path, finding.severity) for finding in report_of(opened(repo, before, after)).findings}
    assert (name, "info") in found
    assert ("other/c.py", "critical") in found


def test_an_import_that_the_change_orphans_is_reported(repo: Repository) -> None:
    pull = opened(repo, {"a.py": "import os\n\nprint(1)\nprint(os.name)\n"}, {"a.py": "import os\n\nprint(1)\n"})
    (finding,) = report_of(pull).findings
    assert (finding.rule, finding.start_line, finding.elsewhere) == ("F401", 3, 1)


def test_a_component_without_its_import_is_reported_once(repo: Repository) -> None:
    before = "import { B } from './b';\nexport const A = () => <B.C />;\n"
    (finding,) = report_of(opened(repo, {"a.jsx": before}, {"a.jsx": before.split("\n", 1)[1]})).findings
    assert (finding.rule, finding.message) == ("eslint(no-undef)", "'B' is not defined.")


def test_a_name_is_reported_once_for_all_its_lines(repo: Repository) -> None:
    before = "def f(a):\n    total = a\n    print(total)\n    print(1, total)\n    print(2, total)\n"
    pull = opened(repo, {"a.py": before}, {"a.py": before.replace("total = a", "sum_ = a")})
    report_of(pull)
    (comment,) = [comment for comment in pull.reviews[0]["comments"] if "F821" in comment["body"]]
    assert "Line 3: Undefined name" in comment["body"]
    assert "Also on L4, L5." in comment["body"]


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.py", "# ruff: noqa\nimport os\nd = {'a': 1, 'a': 2}\n", "import os\nd = {'a': 1, 'a': 2}\n"),
        ("a.js", "/* eslint-disable */\ndebugger;\n/* eslint-enable */\n", "/* eslint-disable */\ndebugger;\n"),
        ("a.js", "/* eslint-disable */\ndebugger;\n", "/* eslint-disable no-debugger */\ndebugger;\n"),
    ],
)
def test_a_removed_suppression_breaks_nothing(repo: Repository, path: str, before: str, after: str) -> None:
    repo.commit({".kodiai.yml": "check: {fail_on: minor}\n"})
    report = report_of(opened(repo, {path: before}, {path: after}))
    assert report.findings == ()
    assert report.pre_existing > 0


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.py", "d = {'a': 1, 'a': 2}\n", 'd = {\n    "a": 1,\n    "a": 2,\n}\n'),
        ("a.py", "d = {('a','b'): 1, ('a','b'): 2}\n", 'd = {\n    ("a", "b"): 1,\n    ("a", "b"): 2,\n}\n'),
    ],
)
def test_code_in_a_message_may_be_reformatted(repo: Repository, path: str, before: str, after: str) -> None:
    report = report_of(opened(repo, {path: before}, {path: after}))
    assert (report.findings, report.pre_existing) == ((), 1)


@pytest.mark.parametrize("after", [WRAPPED, FUNCTION.replace("'", '"'), "# moved\n\n\n" + FUNCTION])
def test_what_the_base_has_is_not_reported(repo: Repository, after: str) -> None:
    """V3: lines are reformatted, quoted in another way or moved."""
    texts = ["".join(text.format(number) for number in range(15)) for text in (FUNCTION, after)]
    report = report_of(opened(repo, {"a.py": CALLED + texts[0]}, {"a.py": CALLED + texts[1]}))
    assert (report.findings, report.outside_changes) == ((), 0)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ("import os, sys\n", "import os\nimport sys\n", []),
        ("import os\nimport sys\n", "import os, sys\n", []),
        ("import sys, os\n", "import os, sys\n", []),
        ("from typing import Dict, List\n", "from typing import (\n    Dict,\n    List,\n)\n", []),
        ("from typing import (\n    Dict,\n    List,\n)\n", "from typing import Dict, List\n", []),
        ("import os, sys\n" + "# a\n" * 20, "import os\n" + "# a\n" * 20 + "import sys\n", []),
        ("import os\n", "import os, sys\n", ["`sys` imported but unused"]),
        ("import os\n", "import sys, os, re\n", ["`sys` and `re` imported but unused"]),
        ("import a1\n", "import a2\n", ["`a2` imported but unused"]),
        ("import os\n", "import os\n\n\ndef f():\n    import os\n", ["`os` imported but unused"]),
    ],
)
def test_only_unused_names_that_the_base_has_not_are_new(
    repo: Repository, before: str, after: str, new: list[str]
) -> None:
    found = report_of(opened(repo, {"a.py": before}, {"a.py": after})).findings
    assert [finding.message for finding in found if finding.rule == "F401"] == new


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("path", "before", "after", "new"),
    [
        ("a.ts", 'import { b, c } from "d";\n', 'import {\n  b,\n  c,\n} from "d";\n', []),
        ("a.ts", 'import { b, c } from "d";\n', 'import { b } from "d";\n', []),
        ("a.ts", 'import b from "b";\nimport c from "c";\n', 'import c from "c";\nimport b from "b";\n', []),
        ("a.ts", 'import { b } from "d";\n', 'import { b, c } from "d";\n', ["'c' is imported but never used."]),
        ("a.js", "export function f() {\n  let b, c;\n}\n", "export function f() {\n  let b;\n  let c;\n}\n", []),
        ("a.py", "def f():\n    b = c = 1\n", "def f():\n    b = 1\n", []),
        ("a.py", "def f():\n    b = 1\n", "def f():\n    b = c = 1\n",
         ["Local variable `c` is assigned to but never used"]),
    ],
)  # fmt: skip
def test_unused_names_are_compared_one_by_one(
    repo: Repository, path: str, before: str, after: str, new: list[str]
) -> None:
    report = report_of(opened(repo, {path: before}, {path: after}))
    assert [finding.message for finding in report.findings] == new


def test_functions_in_another_order_are_defined_twice_as_before(repo: Repository) -> None:
    one, two, other = "def f(a):\n    print(a)\n", "def f(b, c):\n    print(b, c)\n", "def g():\n    print(1)\n"
    before, after = ("\n\n".join(texts) for texts in ((one, other, two), (other, two, one)))
    report = report_of(opened(repo, {"a.py": before}, {"a.py": after}))
    assert (report.findings, report.pre_existing) == ((), 1)


@pytest.mark.parametrize(
    ("old", "name", "text"),
    [
        ("bin/tool", "bin/tool.py", "import os\n\n\ndef f():\n    x = 1\n    print(undefined)\n" + "f()\n" * 9),
        ("tool.py.in", "tool.py", "import os\n\n\ndef f():\n    x = 1\n    print(undefined)\n" + "f()\n" * 9),
        ("tool.txt", "tool.js", "debugger;\n" + "f(1);\n" * 9),
    ],
)
def test_a_file_that_becomes_source_is_compared_as_source(repo: Repository, old: str, name: str, text: str) -> None:
    repo.commit({old: text})
    pull = repo.open_pull_request(renames={old: name}, changes={}, author="mona")
    pull.push({name: text.replace("(", " (", 1)})
    report = report_of(pull)
    assert report.findings == ()
    assert report.pre_existing > 0


def test_a_copy_of_what_the_base_has_is_reported(repo: Repository) -> None:
    one, other = FUNCTION.format("same"), FUNCTION.format("same").replace("def f", "def h")
    pull = opened(repo, {"a.py": CALLED + one}, {"a.py": CALLED + one + other})
    report = report_of(pull)
    assert ([finding.rule for finding in report.findings], report.pre_existing) == (["B904"], 1)
    assert report.findings[0].start_line > (CALLED + one).count("\n")


def test_another_secret_in_place_of_one_is_reported(repo: Repository) -> None:
    token = "ghp_" + "0f3Kd9XwQz7LmN2pR5tV" + "8yB1cE4gH6jS"
    pull = opened(repo, {"a.env": f"T={token}aaab\n"}, {"a.env": f"T={token}Zaac\n"})
    assert [finding.rule for finding in report_of(pull).findings] == ["github-token"]


def test_a_renamed_file_is_compared_with_its_old_name(repo: Repository) -> None:
    repo.commit({"old.py": CALLED + FUNCTION.format(1) * 9})
    pull = repo.open_pull_request(renames={"old.py": "new.py"}, changes={}, author="mona")
    pull.push({"new.py": "import os\n" + CALLED + FUNCTION.format(1) * 9})
    assert [finding.rule for finding in report_of(pull).findings] == ["F401"]


@pytest.mark.slow
def test_rewritten_lines_are_compared_in_linear_time() -> None:
    before, after = ([f"print(f'a', {number}{end}" for number in range(7_000)] for end in (")", ", 1)"))
    hunk = Hunk(1, len(after), frozenset(range(1, len(after) + 1)), removed=tuple(before))
    found = engines.run_analyzers({"a.py": "\n".join(after)}).findings
    bases = {"a.py": BaseFile("a.py", "\n".join(before))}
    assert len(compare(found, bases, {"a.py": [hunk]}, NO_SETTINGS).pre_existing) == len(found) == len(after)


def test_a_base_that_cannot_be_parsed_proves_nothing(repo: Repository) -> None:
    """Where the base is unknown, findings on changed lines are reported, and none on others."""
    broken = "def f(:\n    pass\n\n\nprint(undefined)\n"
    report = report_of(opened(repo, {"a.py": broken}, {"a.py": broken.replace("f(:", "f():") + "import os\n"}))
    assert [(finding.rule, finding.start_line) for finding in report.findings] == [("F401", 6)]


def test_the_base_is_analysed_once_for_many_pushes(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[list[str]] = []
    run_each = engines.run_each

    def counted(tasks: list) -> engines.AnalyzersRun:
        runs.append(sorted(analyzer.name for analyzer, files in tasks if files))
        return run_each(tasks)

    monkeypatch.setattr(engines, "run_each", counted)
    pull = opened(repo, {"a.py": "import os\n"}, {"a.py": "import os\nx = 1\n"})
    assert report_of(pull).pre_existing == 1
    pull.push({"a.py": "import os\nx = 2\n"})
    assert report_of(pull, "synchronize").pre_existing == 1
    of_head = ["ruff", "secrets", "typos"]
    assert [names for names in runs if names] == [of_head, ["ruff"], of_head]


def test_it_takes_no_call_more_than_without_the_base(github: Sandbox, repo: Repository) -> None:
    before = {f"m{number}.py": f"x = {number}\n" for number in range(100)}
    pull = opened(repo, before, {path: text + "import os\n" for path, text in before.items()})
    assert len(report_of(pull).findings) == 100
    assert github.count() <= 8
