"""What is reported at which severity: what is most likely wrong first, taste in the folded part or not at all."""

import json
from collections.abc import Mapping

import pytest

from reviews.config.linters import parse
from reviews.engines import run_analyzers
from reviews.engines.analyzer import run_analyzer
from reviews.engines.analyzers import ANALYZERS, ruff
from reviews.engines.verification import verify_suggestions
from reviews.findings import Finding, Severity, Suggestion

BY_NAME = {analyzer.name: analyzer for analyzer in ANALYZERS}


def found_in(name: str, files: Mapping[str, str]) -> list[Finding]:
    """What is reported about new files."""
    found = run_analyzer(BY_NAME[name], files)
    return [finding for finding in found if not BY_NAME[name].is_only_breakage(finding)]


def shown(findings: list[Finding], path: str) -> set[tuple[str, str]]:
    return {(finding.rule, finding.severity) for finding in findings if finding.path == path}


PYTHON: Mapping[str, tuple[str, set[tuple[str, str]]]] = {
    # N1: a closure that is called, or joined, in its iteration
    "closure.py": (
        "def f(names, start):\n    for name in names:\n        def say():\n            print(name)\n"
        "        say()\n        thread = start(lambda: name)\n        thread.join()\n",
        set(),
    ),
    # N6
    "fastapi_app.py": (
        "from typing import Annotated\n\nfrom fastapi import Body, Depends, FastAPI, File\n\napp = FastAPI()\n\n\n"
        "@app.post('/')\ndef make(x: dict = Body(...), y=Depends(dict), z=File(), w: Annotated[int, Body()] = 1):\n"
        "    return x, y, z, w\n",
        set(),
    ),
    "asserts.py": ("def test_a():\n    assert False, 'never'\n", set()),
    "cause.py": ("try:\n    pass\nexcept KeyError:\n    raise ValueError('no')\n", {("B904", "info")}),
    "late.py": ("import sys\n\nsys.path.insert(0, '.')\nimport os\n\nprint(os)\n", set()),
    "types.py": ("def f(x):\n    return type(x) == int\n", {("E721", "info")}),
    "truth.py": ("def f(x):\n    return x == True\n", set()),
    "none.py": ("def f(query, Row):\n    return query.filter(Row.gone == None)\n", {("E711", "info")}),
    "bare.py": ("try:\n    pass\nexcept:\n    pass\n", {("E722", "info")}),
    "attributes.py": ("def f(x):\n    setattr(x, 'a', getattr(x, 'b'))\n", set()),
    "handler.py": (
        "def f():\n    try:\n        g()\n    except KeyError as e:\n        pass\n\n\ndef g(): ...\n",
        {("F841", "info")},
    ),
    "star.py": ("from os.path import *\n\nprint(join('a', 'b'))\n", set()),
    "jax.py": ("from jaxtyping import Float\n\n\ndef f(x: Float['batch dim']): ...\n", set()),
    "both.py": ("import sys\n\nif sys.version_info[0] == 2:\n    text = unicode\n", set()),
    "cells.py": ("# %%\nx = 1\nx\nx == 2\n", set()),
    "first.py": ("1 == 2\nwith print().raises(): pass", {("B015", "minor")}),
    "raising.py": ("import pytest\n\n\ndef test_a(x, y):\n    with pytest.raises(TypeError):\n        x < y\n", set()),
    "asking.py": ("try:\n    str.casefold\nexcept AttributeError:\n    pass\n", set()),
    "loguru_app.py": ("from loguru import logger\n\nlogger.info('{} {}', 1, 2)\n", set()),
    "notebook.py": ("c = get_config()\nc.x = get_ipython()\n", set()),
    "lazy.py": ("__all__ = ['later']\n\n\ndef __getattr__(name):\n    return name\n", set()),
    # most likely wrong
    "undefined.py": ("print(nam)\n", {("F821", "critical")}),
    "always.py": ("assert (1 == 2, 'no')\n", {("F631", "major")}),
    "identity.py": ("def f(x):\n    return x is 'a'\n", {("F632", "major")}),
    "finally.py": (
        "def f():\n    try:\n        g()\n    finally:\n        return 1\n\n\ndef g(): ...\n",
        {("B012", "minor")},
    ),
    "filled.py": ("Thing = None\n\n\nclass Thing: ...\n", set()),
    "own_logger.py": ("from shop.log import log\n\nlog.info('{} {}', 1, 2)\n", set()),
    "logger.py": ("import logging\n\nlogging.info('{} {}', 1, 2)\n", {("PLE1205", "minor")}),
    "called.py": ("def f(g):\n    x = g.h()\n    y = [1]\n", {("F841", "info"), ("F841", "minor")}),
    "chain.py": ("def f(g):\n    x = y = g()\n    return x\n", {("F841", "info")}),
    "test_twice.py": ("def test_a(): ...\n\n\ndef test_a(): ...\n", {("F811", "major")}),
    "api_app.py": (
        "app = print\n\n\n@app.get('/a')\ndef a(): ...\n\n\n@app.get('/b')\ndef a(): ...\n",
        {("F811", "minor")},
    ),
    "test_classes.py": ("class TestA: ...\n\n\nclass TestA: ...\n", {("F811", "major")}),
    "plain_twice.py": ("def a(): ...\n\n\ndef a(): ...\n", {("F811", "minor")}),
    "old_unicode.py": ("try:\n    print(1)\nexcept SyntaxError:\n    text = unicode\n", set()),
    "asks.py": ("try: ask = raw_input\nexcept: ask = input\n", {("E722", "info")}),
    "index.py": ("def f(x, y):\n    try:\n        a = x[y]\n    except IndexError:\n        return 1\n", set()),
    "has_attribute.py": (
        "def f(x):\n    try:\n        a = x.b.c\n    except (AttributeError, TypeError):\n        return 1\n",
        {("F841", "info")},
    ),
    "other_error.py": (
        "def f(x):\n    try:\n        a = x.b.c\n        try:\n            x()\n        except KeyError:\n"
        "            pass\n    except OSError:\n        return 1\n",
        {("F841", "minor")},
    ),
    "item.py": ("def f(x, y):\n    a = x[y]\n", {("F841", "minor")}),
    "jupyterhub_config.py": ("import os\n\nc.Hub.path = os.sep\nd.Hub.path = 1\n", {("F821", "critical")}),
    "c.py": ("c.Hub.path = 1\n", {("F821", "critical")}),
    "commented_out.py": ("import os\nimport sys\n\n# print(os.sep)\n", {("F401", "info"), ("F401", "minor")}),
    "registered.py": ("hooks = print\n\n\n@hooks.on('a')\ndef a(): ...\n\n\n@hooks.on('b')\ndef a(): ...\n", set()),
    "other_logger.py": ("import logging\nfrom shop import log\n\nlog.info('{} {}', logging, 2)\n", set()),
    "attribute.py": ("def f(x):\n    x.row\n    x\n    return 1\n", {("B018", "info"), ("B018", "minor")}),
    "init.py": (
        "class A:\n    def __init__(self):\n        return super().__init__()\n\n\n"
        "class B:\n    def __init__(self):\n        return 1\n",
        {("PLE0101", "info"), ("PLE0101", "major")},
    ),
    "public.py": ("import api\n\n__all__ = sorted(vars(api))\n", set()),
    "later.py": ("__all__ = ['a']\nglobals().update(a=1)\n", set()),
    "never.py": ("__all__ = ['a']\n", {("F822", "major")}),
    "installed.py": ("print(_('Hello'))\n", {("F821", "minor")}),
    "quoted.py": ("def f(x: 'Shop') -> 'list[Shop]':\n    return f'{x}'\n", {("F821", "minor")}),
    "filled_in.py": ("print(f'{nam}', ['%s'], 'a' + nam)\n", {("F821", "critical")}),
    "loop.py": (
        "def f(x):\n    for line in x:\n        if line > 3 and line > last:\n            break\n"
        "        last = line\n\n\ndef g(x):\n    for line in x:\n        line(le)\n    le = 1\n    return le\n",
        {("F821", "minor"), ("F821", "critical")},
    ),
    "read.py": ("def f(x):\n    x.get(x + '/').content\n", {("B018", "info")}),
    "attributes_of_loop.py": ("def f(x, y):\n    for x.a in x.b:\n        y()\n", set()),
    "loop_of_itself.py": ("def f(x):\n    for x in x:\n        x()\n", {("B020", "minor")}),
    "no_handler.py": ("def f():\n    raise\n", {("PLE0704", "info")}),
    "equal.py": ("x = {'a': 1, 'a': 1}\n", {("F601", "minor")}),
    "with.py": ("def f(g):\n    with g() as h:\n        pass\n    x: int = g.h()\n", {("F841", "info")}),
    "arguments.py": ("print('%s %s' % (1,))\n", {("F507", "major")}),
    "mapping.py": ("def f():\n    print('a' % locals())\n    return 'a' % {}\n", {("F507", "info")}),
    "forgotten.py": ("def f(x):\n    return 'a' % x\n", {("F507", "major")}),
    "shadow.py": (
        "import uuid\n\nprint(uuid)\n\n\ndef f(x):\n    for uuid in x:\n        print(uuid)\n",
        {("F402", "info")},
    ),
    "local.py": (
        "from base import db\n\n\nclass A:\n    def f(self, x):\n        db = self.database\n        return db(x)\n",
        {("F401", "info"), ("F811", "info")},
    ),
    "local_twice.py": ("def f():\n    def g(): ...\n\n    g = 3\n    return g\n", {("F811", "minor")}),
    "shadowed.py": ("import uuid\n\nfor uuid in range(3):\n    print(uuid)\n", {("F402", "minor")}),
    "characters.py": ("def f(x):\n    return x.strip('\\x0d\\x0a\\x0a')\n", {("B005", "info")}),
    "prefix.py": ("def f(x):\n    return x.lstrip('http://')\n", {("B005", "minor")}),
    "keys.py": ("x = {'a': 1, 'a': 2}\n", {("F601", "major")}),
    # Sphinx, kernprof and jaxtyping define names
    "roles/hub/templates/hub.py": ("print(nam)\n", {("F821", "minor")}),
    "examples/passwords.py": ("log(nam)\n", {("F821", "minor")}),
    "docs/conf.py": ("if tags.has('draft'):\n    print(1)\n", set()),
    "tags.py": ("print(tags)\n", {("F821", "critical")}),
    "lines.py": ("@profile\ndef f(): ...\n", set()),
    "profiles.py": ("print(profile)\n", {("F821", "critical")}),
    "shapes.py": (
        "from jaxtyping import Array, Float\n\n\ndef f(x: Float[Array, 'dim'], y: Float[Array, \"dim\"]): ...\n",
        set(),
    ),
    "default.py": ("def f(x=[]):\n    x.append(1)\n", {("B006", "info")}),
}


def test_python_is_reported_by_how_likely_it_is_wrong() -> None:
    found = found_in("ruff", {path: text for path, (text, _) in PYTHON.items()})
    assert {path: shown(found, path) for path in PYTHON} == {path: wanted for path, (_, wanted) in PYTHON.items()}


def test_the_lowest_python_is_not_that_of_tools() -> None:
    lowest = parse({"pyproject.toml": "project.requires-python = '>=3.7'"})
    files = dict.fromkeys(("tools/a.py", "shop/tools/a.py"), "while row := next(rows):\n    print(row)\n")
    found = run_analyzers(files, settings=lowest).findings
    severities = {finding.path: finding.severity for finding in found if finding.rule == ruff.SYNTAX}
    assert severities == {"tools/a.py": "minor", "shop/tools/a.py": "critical"}


def test_every_selected_rule_of_ruff_has_one_severity() -> None:
    listed = [*ruff.CRITICAL.split(), *ruff.MAJOR.split(), *ruff.MINOR.split(), *ruff.INFO.split()]
    assert len(listed) == len(set(listed)) == len(ruff.SEVERITIES) - 1


UNUSED: Mapping[str, str] = {
    # N3: for another changed file, for a side effect, for pytest, for a type comment
    "app/bounds.py": "from app.settings import LIMIT\n",
    "app/_compat.py": "from urllib.parse import quote\n",
    "app/checking.py": "import plugins.check\nimport plugins.other as _other\nfrom plugins import third as _third\n",
    "app/names.py": "from forms import A, B\n\n__all__ = [name for name in dir() if name.isupper()]\n",
    "app/globals.py": "from forms import A, B\n\n\ndef form(name):\n    return globals()[name]()\n",
    "app/apps.py": "class A:\n    def ready(self):\n        import app.signals\n        from app.signals import late\n",
    "app/urls.py": "from . import handlers\n",
    "app/celery.py": "from app import tasks\n",
    "app/__init__.py": "from app.models import Thing\n",
    "migrations/env.py": "from app.models.user import User\n",
    "app/optional.py": "try:\n    import yaml\n\n    HAS_YAML = True\nexcept ImportError:\n    HAS_YAML = False\n",
    "app/nested.py": "try:\n    if print():\n        import yaml\nexcept ImportError:\n    print(1)\n",
    "app/thread.py": "try: import thread\nexcept ImportError: import _thread as thread\n",
    "app/stands_in.py": "try:\n    import a\nexcept ImportError:\n    import b as a\n",
    "tests/__main__.py": "import unittest\nfrom .test_scan import TestScan\n\nunittest.main()\n",
    "app/asked.py": "def has_yaml():\n    import yaml\n\n    return True\n",
    "tests/test_lazy.py": (
        "import pytest\n\n\ndef test_import_is_quick():\n    import shop\n\n\n"
        "def test_b():\n    with pytest.warns(UserWarning):\n        import shop.old\n"
    ),
    "app/fallback.py": "try:\n    import simplejson as json\nexcept ImportError:\n    import json\n\nprint(json)\n",
    "app/alias.py": "import api as api\nfrom forms import Form as Form\n",
    "app/public.py": "from forms import Field\n\n__all__ = ['Field']\n",
    "app/plot.py": "from mpl_toolkits.mplot3d import Axes3D\n",
    "app/commented.py": "from forms import Widget  # re-exported for plugins\nimport readline\n",
    "app/silenced.py": "import os  # noqa: F401\nimport sys  # noqa\n",
    "setup.py": "import fastentrypoints\nfrom setuptools import setup\n\nsetup()\n",
    "app/typed.py": "from typing import List\n\nx = []  # type: List[int]\n",
    "app/documented.py": 'import os\n\n\ndef f():\n    """Join.\n\n    >>> os.path.join("a", "b")\n    """\n',
    "tests/conftest.py": "from tests.fixtures import shop\n",
    "tests/test_shop.py": "from tests.fixtures import user\n\n\ndef test_a(\n    user,\n):\n    assert user\n",
    "tests/test_used.py": "import pytest\nfrom shop import db\n\n\n@pytest.mark.usefixtures('db')\ndef t(): ...\n",
}


def test_an_import_that_somebody_needs_is_no_finding() -> None:
    uses = {"app/limits.py": "from app.bounds import LIMIT\n\nprint(LIMIT)\n"}
    assert found_in("ruff", UNUSED | uses) == []


def test_an_import_that_nobody_seems_to_need_is_a_finding() -> None:
    files = {
        "a.py": "from app.settings import LIMIT\nimport os\nimport requests\nimport numpy as np\nimport json.tool\n",
        "b.py": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from c import D\n",
        "d.py": "def f():\n    import json\n",
    }
    found = {(finding.path, finding.start_line): finding for finding in found_in("ruff", files)}
    assert {place: (finding.rule, finding.severity) for place, finding in found.items()} == dict.fromkeys(
        [*(("a.py", line) for line in range(1, 6)), ("b.py", 4), ("d.py", 2)], ("F401", Severity.MINOR)
    )
    # Nobody knows what happens when `requests` is not imported any more; of the standard library it is known.
    assert [found["a.py", line].suggestion for line in (1, 2, 3, 4)] == [
        Suggestion(1, 1, None),
        Suggestion(2, 2, None),
        None,
        Suggestion(4, 4, None),
    ]


@pytest.mark.parametrize(
    ("text", "message", "suggestion"),
    [
        ("import os, sys\n", "`os` and `sys` imported but unused", Suggestion(1, 1, None)),
        (
            "from x import a, b, c\n\nprint(b)\n",
            "`x.a` and `x.c` imported but unused",
            Suggestion(1, 1, "from x import b"),
        ),
        ("import os; import sys\n", "`os` and `sys` imported but unused", None),
        # F8: columns count from the byte order mark
        ("\ufeffimport os, sys\n\nprint(sys)\n", "`os` imported but unused", None),
        ("\x0cimport os\n", "`os` imported but unused", None),
        ("import os\r\n", "`os` imported but unused", None),
        ("if True:\n\timport os\n\tx = '😀'\n", "`os` imported but unused", Suggestion(2, 2, None)),
        ("import os", "`os` imported but unused", Suggestion(1, 1, None)),
        (
            "from x import (\n    a,\n    b,\n    c,\n)\n\nprint(b)\n",
            "`x.a` and `x.c` imported but unused",
            Suggestion(1, 5, "from x import (\n    b,\n)"),
        ),
    ],
)
def test_unused_imports_of_one_statement_are_one_remark(text: str, message: str, suggestion: Suggestion | None) -> None:
    [finding] = found_in("ruff", {"a.py": text})
    assert finding.message == message
    if suggestion is not None or ";" not in text:
        assert finding.suggestion == suggestion


def test_equal_findings_on_one_line_are_one() -> None:
    files = {"a.py": "print(foo, foo, bar)\nx: 'foo' = foo\n\n\ndef f():\n    x = y = 1\n"}
    found = [(one.start_line, one.message, one.severity) for one in found_in("ruff", files)]
    assert found == [
        (1, "Undefined name `foo`", "critical"),
        (1, "Undefined name `bar`", "critical"),
        (2, "Undefined name `foo`", "critical"),
        (6, "Local variables `x` and `y` are assigned to but never used", "minor"),
    ]


def test_the_fixes_of_equal_findings_are_one_suggestion() -> None:
    files = {"a.py": "def f(x, y):\n    return x is 'a' or y is 'b'\n"}
    (finding,) = found_in("ruff", files)
    assert finding.suggestion == Suggestion(2, 2, "    return x == 'a' or y == 'b'")
    assert verify_suggestions([finding], [finding], files) == [finding]


def test_no_fix_removes_a_name_that_another_file_needs() -> None:
    names = "(\n    quote,\n    urlsplit,\n)\n"
    alone = {"app/given.py": f"from urllib.parse import {names}"}
    (both,) = found_in("ruff", alone)
    assert both.suggestion is not None
    used = {"app/use.py": "from app.given import urlsplit\n\nprint(urlsplit)\n"}
    (quote,) = found_in("ruff", alone | used)
    assert quote.message == "`urllib.parse.quote` imported but unused"
    assert quote.suggestion is None


JAVASCRIPT: Mapping[str, tuple[str, list[int]]] = {
    # N5: what a classic script declares at its top is for the page
    "page.js": ("function init() {}\nvar a = 1,\n    b = 2;\nclass C {}\nconst d = () => 1;\n", []),
    "strict.js": ("'use strict';\n\nasync function load() {}\n", []),
    "wrapped.js": ("(function () {\n  function inner() {}\n  var x = 1;\n})();\n", [2, 3]),
    "local.js": ("function init() {\n  var x = 1;\n}\n", [2]),
    "marked.js": ("\ufeffimport { a, b } from 'a';\na();\n", [1]),
    "module.js": ("import a from 'a';\nfunction init() {\n  a();\n}\n", [2]),
    "common.js": ("const a = require('a');\nfunction init() {\n  a();\n}\n", [2]),
    "dynamic.js": ("function init() {\n  import('a');\n}\n", []),
    "jsdoc.js": ("import { A, B } from 'a';\n/** @param {Array<A>} a */\nexport const f = (a) => a;\n", [1]),
    "emotion.jsx": ("/** @jsx jsx */\nimport { jsx, css } from '@emotion/react';\nexport default () => <p />;\n", [2]),
    "preact.jsx": ("// @jsx h\n// @jsxFrag F\nimport { h, F } from 'preact';\nexport default () => <><p /></>;\n", []),
    "having.test-d.ts": ("import { a, b } from 'a';\nconst main = async () => {\n  a();\n};\n", [1]),
    "types/test.ts": ("import { a, b } from 'a';\nconst main = async () => {\n  a();\n};\n", [1]),
    "expects.ts": ("import { expectType } from 'a';\nfunction f() {\n  expectType<1>(1);\n}\n", []),
    "classic.jsx": ("import React, { memo } from 'react';\nexport default () => <p />;\n", [1]),
    "globals.ts": ("function init(): void {}\n", []),
    "decorated.ts": (
        "import { A } from 'a';\ndescribe('b', () => {\n  @A({\n    c: 1,\n  })\n  class B {}\n  class C {}\n});\n",
        [7],
    ),
}


def test_a_name_of_a_classic_script_may_be_used_elsewhere() -> None:
    found = found_in("oxlint", {path: text for path, (text, _) in JAVASCRIPT.items()})
    assert {finding.rule for finding in found} == {"eslint(no-unused-vars)"}
    assert not any("'React'" in finding.message for finding in found)
    lines = {path: sorted(finding.start_line for finding in found if finding.path == path) for path in JAVASCRIPT}
    assert lines == {path: wanted for path, (_, wanted) in JAVASCRIPT.items()}


def test_unused_names_of_one_line_are_one_remark_in_javascript() -> None:
    text = "import { a, b, c } from 'd';\nexport function f() {\n  const x = 1, y = 2;\n  let z = 3;\n  return b;\n}\n"
    assert {(finding.start_line, finding.message) for finding in found_in("oxlint", {"a.ts": text})} == {
        (1, "'a' and 'c' are imported but never used."),
        (3, "'x' and 'y' are declared but never used."),
        (4, "Variable 'z' is declared but never used."),
    }


def test_unused_names_of_one_import_are_one_remark_in_javascript() -> None:
    text = "import {\n  a,\n  b,\n  type C,\n} from 'd';\nimport { e } from 'f';\n{\n  b();\n}\n"
    found = [(finding.start_line, finding.end_line, finding.message) for finding in found_in("oxlint", {"a.ts": text})]
    assert found == [
        (2, 4, "'a' and 'C' are imported but never used."),
        (6, 6, "Identifier 'e' is imported but never used."),
    ]


def test_a_bundle_may_declare_a_function_twice() -> None:
    """oxlint does not say which of the blocks of a long line it is about."""
    text = "function a(){\nif(b){let f=1;function f(){}}}\n"
    found = run_analyzer(BY_NAME["oxlint"], {"bundle.js": text.replace("\n", "x;" * 600), "a.js": text})
    assert {finding.path: finding.internal for finding in found} == {"bundle.js": True, "a.js": False}


def test_a_fixture_of_playwright_is_no_hook() -> None:
    fixture = "a: async ({}, use) => {\n    if (t) {\n      await use(1);\n    }\n  },"
    text = "import { test } from '@playwright/test';\nexport const t = test.extend({\n" + fixture + "\n});\n"
    assert found_in("oxlint", {"fixtures.ts": text}) == []


TASTE: Mapping[str, tuple[str, set[tuple[str, str]]]] = {
    "branches.js": (
        "import a from 'a';\nif (a) {\n  var x = 1;\n} else {\n  var x = 2;\n}\na(x);\n",
        {("eslint(no-redeclare)", "info")},
    ),
    "twice.js": ("import a from 'a';\na(f);\nfunction f() {}\nfunction g(f) {\n  f();\n}\na(g);\n", set()),
    "executor.js": (
        "export const f = (a) => new Promise(async (resolve) => {\n  resolve(await a());\n});\n",
        {("eslint(no-async-promise-executor)", "info")},
    ),
    "after.js": ("export function f() {\n  return 1;\n  f();\n}\n", {("eslint(no-unreachable)", "minor")}),
    "leaves.js": (
        "export function f(a) {\n  switch (a) {\n    case 1:\n      return 1;\n      break;\n  }\n}\n",
        {("eslint(no-unreachable)", "info")},
    ),
    "place.js": (
        "export function f(a) {\n  for (const [key, value] of a) f(key);\n}\n",
        {("eslint(no-unused-vars)", "info")},
    ),
    "not_a_number.js": ("export const f = (a) => a !== a;\n", {("eslint(no-self-compare)", "info")}),
    "itself.js": ("export const f = (a) => a === a;\n", {("eslint(no-self-compare)", "minor")}),
    "reload.js": (
        "export function f(a) {\n  a.src = a.src;\n  a = a;\n}\n",
        {("eslint(no-self-assign)", "info"), ("eslint(no-self-assign)", "minor")},
    ),
    "loop.js": (
        "export function f(a) {\n  let b;\n  while (b = a[0]) f(b);\n  if (b = a.c()) f(b);\n}\n",
        {("eslint(no-cond-assign)", "info")},
    ),
    "captures.js": (
        "export function f(a, b) {\n  if (b = /^a/.exec(a)) f(b);\n}\n",
        {("eslint(no-cond-assign)", "info")},
    ),
    "__tests__/a.test.js": ("require('a');\ndescribe(() => expect());\nother();\n", {("eslint(no-undef)", "major")}),
    "describe.js": ("require('a');\ndescribe(1);\n", {("eslint(no-undef)", "major")}),
    "mistake.js": (
        "export function f(a, b) {\n  if (a = b) f(a);\n}\n",
        {("eslint(no-cond-assign)", "major")},
    ),
    "poll.js": (
        "export function f(a) {\n  var poll, other;\n  (poll = () => a(poll))();\n  other = () => a(other);\n}\n",
        {("eslint(no-unused-vars)", "info"), ("eslint(no-unused-vars)", "minor")},
    ),
    "turned_off.js": (
        "export function f(a) {\n  if (false) a();\n  if (a || 'b') a();\n}\n",
        {("eslint(no-constant-condition)", "info"), ("eslint(no-constant-condition)", "minor")},
    ),
    "no_super.js": (
        "import B from 'b';\nexport class A extends B {\n  constructor() {\n    this.a = 1;\n  }\n}\n",
        {("eslint(constructor-super)", "major")},
    ),
    "late_super.js": (
        "import B from 'b';\nexport class A extends B {\n  constructor() {\n    this.a = 1;\n    super();\n  }\n}\n",
        {("eslint(no-this-before-super)", "major")},
    ),
    "brand.js": (
        "export class A {\n  #a;\n  #b = 1;\n  static is(o) {\n    return #a in o;\n  }\n}\n",
        {("eslint(no-unused-private-class-members)", "minor")},
    ),
    "brand_only.js": ("export class A {\n  #a;\n  static is = (o) => #a in o;\n}\n", set()),
    "zero.js": ("export const f = (a) => 0 * a;\n", {("oxc(erasing-op)", "minor")}),
    "enum.ts": ("export enum E {\n  A = 1,\n  B = 1,\n}\n", {("typescript(no-duplicate-enum-values)", "minor")}),
    "sure.ts": (
        "export const f = (a?: { b: 1 }) => a?.b!;\n",
        {("typescript(no-non-null-asserted-optional-chain)", "info")},
    ),
    "polyfill.js": ("console = console || {};\n", {("eslint(no-global-assign)", "info")}),
    "replaced.js": ("console = 1;\n", {("eslint(no-global-assign)", "minor")}),
    "caught.js": (
        "export function f() {\n  try {\n    f();\n  } catch (e) {\n    e = 1;\n    f(e);\n  }\n}\n",
        {("eslint(no-ex-assign)", "info")},
    ),
    "once.js": ("export function f() {\n  f = 1;\n}\n", {("eslint(no-func-assign)", "info")}),
    "page.js": ("function f() {\n  g();\n}\n", {("eslint(no-undef)", "minor")}),
    "node.js": ("export const f = () => [process, console, fetch, Map];\n", set()),
    # The page of an example gives it names.
    "www/src/examples/a.js": (
        "function Example() {\n  return <Button count={useState(1)} />;\n}\n\nrender(<Example />);\n",
        {("eslint(no-undef)", "info"), ("react(jsx-no-undef)", "info")},
    ),
    "docs/app.jsx": (
        "import { a } from 'a';\n\nrender(<Button b={a} />);\n",
        {("eslint(no-undef)", "major"), ("react(jsx-no-undef)", "major")},
    ),
    "examples/server.js": ("require('a');\nlisten();\n", {("eslint(no-undef)", "major")}),
    "elements.jsx": (
        "function A() {\n  return <Button />;\n}\n",
        {("eslint(no-undef)", "minor"), ("react(jsx-no-undef)", "minor")},
    ),
    "instances.ts": (
        "export interface A {\n  new (): A;\n}\nexport declare class B {\n  new(): B;\n}\n",
        {("typescript(no-misused-new)", "info"), ("typescript(no-misused-new)", "minor")},
    ),
    "entry.js": ("export function f() {\n  g();\n}\n", {("eslint(no-undef)", "major")}),
    "server.ts": ("export function f(a: 1) {\n  if (a) useStorage();\n}\nfunction useStorage() {}\n", set()),
    "a.stories.tsx": (
        "import { useState } from 'react';\nexport const A = { render: () => <p>{useState(1)[0]}</p> };\n",
        {("react-hooks(rules-of-hooks)", "info")},
    ),
    "a.tsx": (
        "import { useState } from 'react';\nexport const A = { render: () => <p>{useState(1)[0]}</p> };\n",
        {("react-hooks(rules-of-hooks)", "minor")},
    ),
    "branch.jsx": (
        "import { useId } from 'react';\nexport function A({ b }) {\n  if (b) useId();\n  return <p />;\n}\n",
        {("react-hooks(rules-of-hooks)", "minor")},
    ),
    "chain.js": (
        "export const f = (b) =>\n  f\n    .a()\n    [b]('c');\n",
        {("eslint(no-unexpected-multiline)", "info")},
    ),
    "unended.js": (
        "export const f = (b) => {\n  f()\n  [b]('c')\n};\n",
        {("eslint(no-unexpected-multiline)", "minor")},
    ),
    "src/spec.js": ("import a from './a';\n\nexpect(a);\n", set()),
    "test/typetests/hooks.tsx": (
        "import { useId } from 'react';\nexport function getA() {\n  return useId();\n}\n",
        set(),
    ),
    "A.vue": (
        "<script setup>\nimport { useA } from 'react-a';\nconst f = () => { if (a) useA(window); };\n</script>\n",
        {("eslint(no-undef)", "major")},
    ),
    "B.svelte": (
        "<script>\n  let a = [1];\n  $: b = a;\n  a = a;\n  f($a);\n</script>\n",
        {("eslint(no-undef)", "major")},
    ),
    "imported.vue": ("<script setup>\nconst a = ref(1);\nonMounted(() => a);\n</script>\n", set()),
    "macros.vue": (
        "<script setup>\nconst { a } = defineProps({ a: Number });\nf(a);\n</script>\n",
        {("eslint(no-undef)", "major")},
    ),
    "C.vue": (
        "<script>\nexport default { render() { return <p>a</p>; }, x: 1, x: 2 };\n</script>\n",
        {("syntax-error", "info")},
    ),
    "D.astro": ("---\nif (!Astro.props.a) return null;\n---\n<p>{a}</p>\n", set()),
    "takes.ts": ("import { stop } from './C.vue';\nexport default stop;\n", set()),
    "E.vue": ("<script>\nexport default { x: 1, x: 2 };\n</script>\n", {("eslint(no-dupe-keys)", "major")}),
}


def test_what_is_mostly_taste_in_javascript_is_never_major() -> None:
    found = run_analyzer(BY_NAME["oxlint"], {path: text for path, (text, _) in TASTE.items()})
    assert {path: shown(found, path) for path in TASTE} == {path: wanted for path, (_, wanted) in TASTE.items()}
    in_test = [one.message for one in found if one.path == "__tests__/a.test.js"]
    assert in_test == ["'other' is not defined."]


def test_a_module_that_is_loaded_anyway_has_no_side_effect() -> None:
    files = {
        "loaded.py": "from ..server import loop\nfrom ..server.loop import run\n\nrun()\n",
        "perhaps.py": "from ..server import loop\nfrom ..other.loop import run\n\nrun()\n",
    }
    found = found_in("ruff", files)
    assert {path: shown(found, path) for path in files} == {
        "loaded.py": {("F401", "minor")},
        "perhaps.py": {("F401", "info")},
    }


def test_a_finding_below_the_end_of_a_file_is_read() -> None:
    """An engine that is wrong about its lines is no reason to lose the others' findings."""
    messages = {"F401": "`a` imported but unused", "F811": "Redefinition of unused `a` from line 98"}
    at = {"location": {"row": 99, "column": 1}, "end_location": {"row": 99, "column": 2}}
    entries = [{"filename": "/s/a.py", "code": code, "message": message, **at} for code, message in messages.items()]

    found = ruff.read(json.dumps(entries).encode(), {"a.py": "x = 1\n"}, "/s")

    assert {finding.start_line for finding in found} == {99}
