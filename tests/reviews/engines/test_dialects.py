"""What an engine cannot parse although the real tool can is no finding; what the real tool refuses too is one."""

import shutil
from collections.abc import Mapping
from dataclasses import replace

import pytest

from reviews import engines
from reviews.engines import confinement
from reviews.engines.analyzer import run_analyzer
from reviews.engines.analyzers import ANALYZERS, dockerfile, shellcheck
from reviews.findings import Finding, Report, Severity
from sandbox import Repository
from tests.support.runs import admit, run

BY_NAME = {analyzer.name: analyzer for analyzer in ANALYZERS}


def by_path(name: str, files: Mapping[str, str]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {path: [] for path in files}
    # zizmor gives up at some files and reads no other.
    for batch in [{path: text} for path, text in files.items()] if name == "zizmor" else [files]:
        for finding in run_analyzer(BY_NAME[name], batch):
            found[finding.path].append(finding)
    return found


@pytest.mark.parametrize(
    ("path", "text", "reading"),
    [
        ("Dockerfile.dockerignore", "*.pyc\n", ""),
        ("docker/Dockerfile.md", "# How\n", ""),
        ("Dockerfile.j2", "FROM {{ image }}\n", ""),
        ("Dockerfile.tmpl", "FROM a\n", ""),
        ("Containerfile.in", "FROM a\n", ""),
        ("Dockerfile~", "FROM a\n", ""),
        ("Dockerfile.orig", "FROM a\n", ""),
        ("Dockerfile.dev", "FROM a\n", "hadolint"),
        ("Dockerfile-dev", "# For tests.\nFROM a\n", "hadolint"),
        ("docker/Containerfile_22.04", "ARG A\nFROM a\n", "hadolint"),
        ("dockerfile", "FROM a\n", "hadolint"),
        ("api.containerfile", "FROM a\n", "hadolint"),
        ("Dockerfile-images", "debian:12\nalpine:3\n", ""),
        ("Dockerfile_lint/rules.txt", "FROM a\n", ""),
        ("Dockerfile-notes.md", "FROM a\n", ""),
        ("Dockerfile.php", "FROM a\n", "hadolint"),
        ("Dockerfile.ubuntu-22.04", "FROM a\n", "hadolint"),
        ("Dockerfile.go", "# syntax=docker/dockerfile:1\n\nARG A=1\nFROM a\n", "hadolint"),
        ("Dockerfile.py", "# Reads them.\nfrom os import path\n", "ruff"),
        ("Dockerfile.py", "FROM python:3\nRUN pip install .\n", "hadolint"),
        ("Containerfile.ts", "ARG V=1\nFROM node:$V\n", "hadolint"),
        ("Dockerfile.py", 'COPY = 1\nTEXT = """\nRUN a\n"""\n', "ruff"),
        ("Dockerfile.js", "const RUN = `\nRUN a\n`;\n", "oxlint"),
        ("Dockerfile.go", "package main\n", ""),
        ("Dockerfile.xml", "<a/>\n", ""),
        ("Dockerfile.svg", "<svg/>\n", ""),
        ("Dockerfile.csv", "a,b\n", ""),
        ("Dockerfile.log", "done\n", ""),
        ("Dockerfile.gitignore", "*.pyc\n", ""),
        ("Dockerfile.test.js", "it('works');\n", "oxlint"),
        ("Containerfile.rb", "puts 1\n", ""),
        ("action.yml", "name: a\nruns: {using: node20, main: a.js}\n", "zizmor"),
        ("a/action.yaml", "'runs':\n  using: composite\n  steps: []\n", "zizmor"),
        ("roles/a/tasks/action.yml", "- name: runs\n  shell: a\n", ""),
        ("i18n/app_de.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS version="2.1"/>\n', ""),
        ("app_fr.ts", '\ufeff\n<!DOCTYPE TS><TS version="2.1" language="fr"/>\n', ""),
        ("app_it.ts", '<TS version="2.1"/>\n', ""),
        ("app_es.ts", "<!-- a -->\n<TS version='2.1'></TS>\n", ""),
        ("app_pt.ts", "<TS>\n<context>\n</context>\n</TS>\n", ""),
        ("typed.ts", "<TS>window;\n", "oxlint"),
        ("page.js", "<!doctype html>\n<html></html>\n", "oxlint"),
        ("view.jsx", "<div/>\n", "oxlint"),
        ("app.ts", "export const a = 1;\n", "oxlint"),
    ],
)
def test_name_and_content_decide_what_is_source(path: str, text: str, reading: str) -> None:
    code = ("hadolint", "oxlint", "ruff", "zizmor")
    assert " ".join(name for name in code if BY_NAME[name].reads(path, text)) == reading
    found, _, failures, _ = engines.run_analyzers({path: text}, disabled=set(BY_NAME) - set(code))
    assert not failures
    assert not [finding for finding in found if finding.severity == Severity.CRITICAL and not finding.internal]


EXCUSED = {
    "ruff": {
        "jinja.py": "{% if a %}\nimport os\n{% endif %}\n",
        "class.py": "class {{ name }}:\n    pass\n",
        "cookiecutter.py": "import os\nNAME = {{ cookiecutter.name }}\n",
        "{{cookiecutter.slug}}/main.py": "import os\n",
        "setup.tmpl.py": "import os\n",
        "mako.py": "<%! x %>\n",
        "comment.py": "{# Of the project. #}\nimport os\nx = 1\n",
        "package.py": "from ${package}.models import A\n",
        "loop.py": "% for name in names:\n${name} = 1\n% endfor\n",
        "magic.py": "%matplotlib inline\nimport os\n!pip install x\n",
        "old.py": 'print "a"\nprint "b"\n',
        "older.py": "#!/usr/bin/env python2\nprint 'a'\n",
        "oldest.py": "try:\n    pass\nexcept A, e:\n    raise B, e\n",
    },
    "oxlint": {
        "jinja.js": "var data = {{ data|tojson }};\ndebugger;\n",
        "django.js": "{% load static %}\ndebugger;\n",
        "erb.js": "var x = <%= x %>;\n",
        "php.js": "<?php echo 1 ?>\n",
        "go.js": '{{ $URL := .Env.URL | default "/" -}}\nvar url = "{{ $URL }}";\n',
        "handlebars.js": "{{#if a}}\nvar x;\n{{/if}}\n",
        "jekyll.js": "---\nlayout: null\n---\nvar x;\n",
        "flow.js": "/**\n * @flow strict\n */\nimport type { A } from 'a';\ndebugger;\n",
        "lib.js": ".pragma library\nvar a;\n",
        "qml.js": ".import QtQuick 2.0 as Q\nvar a;\n",
        "404.js": "<!DOCTYPE html>\n<html>404</html>\n",
        "h.ts": "<!-- a -->\n<html>\n<p></p></html>\n",
        "g.js": '<?xml version="1.0"?>\n<a/>\n',
        "typed.js": "import type { A } from 'a';\n",
        "types.js": "type Props = {| a: number |};\nvar x;\n",
        "maybe.js": "export function f(x: ?number) {}\n",
        "comment.js": "{# of the site #}\nvar x;\n",
        "pipe.js": "a |> b(%);\n",
        "photoshop.jsx": "#include 'a.jsx'\nvar a;\n",
        "using.js": "using file = open();\n",
        "blocks.js": "{\n  function f() {}\n}\n{\n  var f = 1;\n}\n",
        "setup.ts": "page = PAGE\npage.10 = TEXT\n",
    },
    "shellcheck": {
        "z.sh": "#!/bin/zsh\nrm $1 ${(s: :)x}\n",
        "autoload.sh": "autoload -U compinit\nrm ${(s: :)x}\n",
        "fish.sh": "#!/usr/bin/env fish\nset x (ls)\n",
        "python.sh": "#!/usr/bin/env python3\nimport os\n",
        "perl.sh": "#!/usr/bin/perl\nmy $x = 1;\n",
        "node.sh": "#!/usr/bin/env node\nconst x = { a: 1 };\nif (x) { y(); }\n",
        "deno.sh": "#!/usr/bin/env -S deno run\nconst a = (b) => b;\n",
        "nu.sh": "#!/usr/bin/env nu\ndef f [x] { $x }\n",
        "tclsh.sh": "#!/usr/bin/tclsh8.6\nproc f {a} { puts $a }\n",
        "power.sh": "#!/usr/local/bin/pwsh -File\n$a = @{x=1}\n",
        "compound.ksh": "compound c=(\n  integer x=1\n)\necho ${c.x}\n",
        "ksh.sh": "#!/bin/ksh93\ntypeset -T Point=(\n  integer x\n)\nPoint p=(x=1)\n",
        "jinja.sh": "#!/bin/sh\n{% if a %}\nrm $x\n{% endif %}\n",
        "both.sh": "#!/bin/sh\n''''exec python3 \"$0\" # '''\nprint(1)\n",
    },
    "hadolint": {
        "Dockerfile": "FROM debian:12\nEXPOSE ${PORT:-80}\nCMD a\nCMD b\n",
        "a/Dockerfile": "FROM debian:12\nRUN <<EOF\nset -e\nEOF\nRUN true\n",
        "b/Dockerfile": "FROM debian:12\nRUN <<A cat > a && <<B cat > b\nx\nA\ny\nB\nRUN true\n",
        "c/Dockerfile": 'FROM debian:12\nRUN <<-"EOF"\n\tx\n\tEOF\nCMD ["a"]\n',
        "d/Dockerfile": "# syntax=example.org/frontend\nINCLUDE x\n",
        "e/Dockerfile": "{% if a %}\nFROM a:1\n{% endif %}\n",
        "jq/Dockerfile": '{{ def tool: if .old then "yum" else "dnf" end -}}\nFROM a:{{ .version }}\nRUN {{ tool }}\n',
        "f/Dockerfile": 'FROM debian:12\nEXPOSE "80"\n',
        "g/Dockerfile": "FROM debian:12\nRUN echo $((1<<2))\nEXPOSE ${PORT:-80}\n",
        "Dockerfile.common": "RUN true\n",
    },
    "zizmor": {
        ".github/workflows/no.yml": "a: 1\n",
        ".github/workflows/template.yml": "on: push\n{% if x %}\njobs: {}\n",
        ".github/workflows/twice.yml": "on: push\njobs: {}\n---\non: push\n",
    },
}


@pytest.mark.parametrize("name", EXCUSED)
def test_what_only_the_engine_cannot_parse_is_no_finding(name: str) -> None:
    for path, found in by_path(name, EXCUSED[name]).items():
        assert [finding.internal for finding in found] == [True], (path, found)
        assert found[0].internal or BY_NAME[name].is_parse_error(found[0])


JOB = "jobs:\n  a:\n    runs-on: x\n    steps:\n      - run: a\n"
ACTION = "name: a\nruns:\n  using: composite\n  steps:\n    - {run: a, shell: bash}\n"
REFUSED: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "ruff": {
        "a.py": ("x = '{% if a %}'\nfoo(\n", 3),
        "b.py": ("<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> b\n", 1),
        "c.py": ('dates = ["2020-01-01", "2020-01-02"\nx = 1\n', 2),
        "d.py": ('print "a"\n', 1),
        "e.py": ("x = (a\n    % b c)\n", 2),
        "f.py": ("x = {# why\n    'a': 1\nfoo(\n", 3),
        "g.py": ("x = '${y}'  # {# a #}\nfoo(\n", 3),
    },
    "oxlint": {
        "a.js": ('const x = "{{ a }}";\nfoo(\n', 3),
        "b.jsx": ("const a = <A style={{ width }}>;\n", 1),
        "c.ts": ("export type A = {\nexport const x = 1;\n", 2),
        "d.js": ("const x: number = 1;\n", 1),
        "e.js": ("let a = 1; let a = 2;\n", 1),
        "f.js": ("type = 3;\nfoo(\n", 3),
        "g.js": ("class A { #x = 1; f() { return {#x}; } }\n", 1),
        "h.js": ("const a = b ? c : ?;\n", 1),
        "i.js": ("function g() {\n  function f() {}\n  let f;\n}\n", 2),
    },
    "shellcheck": {
        "a.sh": ("#!/bin/bash\nif true; then\n  echo a\n", 2),
        "b.sh": ("#!/bin/sh\ncat <<EOF\nx\n", 2),
        "c.sh": ("#!/bin/bash\nfor f in a b; echo $f; done\n", 2),
        "d.sh": ("#!/bin/sh\nf() { echo '{{ a }}'\n", 3),
        "e.sh": ("#!/bin/sh\nif true; then\nexit 0\n", 2),
        "then.sh": ("#!/bin/bash\nif [ -f a ] then\n  echo a\nfi\n", 2),
        "do.sh": ("#!/bin/sh\nfor i in a b do\n  echo $i\ndone\n", 2),
        "semicolon.sh": ("#!/bin/bash\nif true; then; a; fi\n", 2),
        "background.sh": ("#!/bin/bash\na &; b\n", 2),
        "function.sh": ("#!/bin/bash\nfunction f(x) {\n  a\n}\n", 2),
        "f.ksh": ("#!/bin/ksh\nset -A names a b\nif true; then\n", 4),
        "g.sh": ("#!/usr/bin/with-contenv bash\nif true; then node x.js\n", 2),
    },
    "hadolint": {
        "Dockerfile": ("FROM debian:12\nRUN a && \\\n    b\n    apt-get x\n", 4),
        "a/Dockerfile": ("FRO debian:12\n", 1),
        "b/Dockerfile": ("RUN true\n", 1),
        "c/Dockerfile": ("FROM debian:12\nRUN <<EOF\nfoo\n", 2),
        "d/Dockerfile": ("FROM debian:12\nCOPY a\n", 2),
        "e/Dockerfile": ("FROM debian:12\nENV A\n", 2),
        "f/Dockerfile": ("FROM debian:12 as\n", 1),
        "g/Dockerfile": ("FROM\n", 1),
        "h/Dockerfile": ("FROM debian:12\nRUN <<EOF\n", 2),
        "i/Dockerfile": ("FROM debian:12\nENV A=1 B\n", 2),
        "j/Dockerfile": ("FROM debian:12\nLABEL a\n", 2),
        "k/Dockerfile": ("FROM debian:12\nHEALTHCHECK --interval=5s curl x\n", 2),
        "l/Dockerfile": ("FROM debian:12\nSHELL bash -c\n", 2),
        "m/Dockerfile": ("FROM debian:12\nRUN --mont=type=cache,target=/x a\n", 2),
        "n/Dockerfile": ("FROM debian:12\nCOPY --link --chwon=a:b a /b\n", 2),
        "o/Dockerfile": ("FROM --platfrom=linux/amd64 debian:12\n", 1),
        "p/Dockerfile": ("FROM debian:12\nHEALTHCHECK --intervall=5s CMD true\n", 2),
        "q/Dockerfile": ("FROM debian:12\nEXPOSE 80 # http\n", 2),
        "r/Dockerfile": ("FROM debian:12\nEXPOSE 80, 443\n", 2),
        "Dockerfile.common": ("RUN true\nFOO\n", 2),
        "Dockerfile.prod": ("FRO debian:12\n", 1),
        "api.Dockerfile": ("FRO debian:12\n", 1),
        "Dockerfile.py": ("FORM python:3\nRUN pip install .\n", 1),
        "Dockerfile.ts": ("# a\nFROM node AS build it\nRUN npm ci\n", 2),
    },
    "zizmor": {
        ".github/workflows/a.yml": ("on: push\njobs:\n\ta: x\n", 3),
        ".github/workflows/b.yml": ("on: push\njobs:\n  a:\n    runs-on: x\n   steps: []\n", 5),
        ".github/workflows/c.yml": ("on: push\n", 1),
        ".github/workflows/d.yml": ("name: a\non: push\njobs:\n", 3),
        ".github/workflows/e.yml": ("name: a\non:\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n", 2),
        ".github/workflows/f.yml": ("on: push\njobs:\n  a:\n    steps:\n      - run: a\n", 3),
        ".github/workflows/h.yml": ("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - name: a\n", 6),
        ".github/workflows/i.yml": ("on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: a, uses: b/c@v1}]\n", 5),
        ".github/workflows/j.yml": ("on: push\njobs:\n  a: {runs-on: x, steps: [{run: a}], needs: [b]}\n", 3),
        ".github/workflows/k.yml": (f"on: push\n{JOB}on: pull_request\n", 7),
        ".github/workflows/l.yml": (f"on: push\n{JOB}  a: {{uses: ./b.yml}}\n", 7),
        ".github/workflows/m.yml": (f"on: push\n{JOB}    env:\n      A: 1\n      A: 2\n", 9),
        ".github/workflows/n.yml": (f"on:\n  push:\n  pull_requests:\n{JOB}", 3),
        ".github/workflows/o.yml": (f"on: [push, pull-request]\n{JOB}", 1),
        ".github/workflows/p.yml": (f"on: pushs\n{JOB}", 1),
        ".github/workflows/q.yml": (f"on: push\npermissions:\n  content: read\n{JOB}", 3),
        ".github/workflows/r.yml": (f"on: push\n{JOB}      - run: b\n        working_directory: c\n", 8),
        ".github/workflows/s.yml": (f"on: push\n{JOB}    if: !cancelled()\n", 7),
        ".github/workflows/t.yml": (f"on: push\n{JOB}      - run: echo ${{{{ github.sha }}\n", 7),
        ".github/workflows/u.yml": (f"on: push\n{JOB}      - uses: actions/checkout\n", 7),
        ".github/workflows/v.yml": (f"on: push\n{JOB}      - run: a\n        id: b\n      - {{run: a, id: b}}\n", 9),
        ".github/workflows/w.yml": ("on: push\njobs:\n  a:\n    uses: ./b.yml\n    runs-on: x\n", 5),
        "action.yml": (f"{ACTION}    - run: b\n", 6),
        "a/action.yml": (f"inputs: {{}}\n{ACTION}inputs: {{}}\n", 7),
        "b/action.yml": (f"{ACTION}    - {{uses: actions/checkout}}\n", 6),
        ".github/workflows/x.yml": (f"on:\n  push:\n    branches: [*release]\n{JOB}", 3),
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_real_tool_refuses_too_is_one_critical_finding(name: str) -> None:
    cases = REFUSED[name]
    for path, found in by_path(name, {path: text for path, (text, _) in cases.items()}).items():
        reported = [(finding.severity, finding.internal, finding.start_line, finding.suppression) for finding in found]
        assert reported == [(Severity.CRITICAL, False, cases[path][1], "")], (path, found)
        assert found[0].internal or BY_NAME[name].is_parse_error(found[0])


@pytest.mark.parametrize("path", ["Dockerfile.py", "Dockerfile.ts"])
def test_a_broken_dockerfile_stays_one(path: str) -> None:
    text, _ = REFUSED["hadolint"][path]
    assert [name for name in ("hadolint", "oxlint", "ruff") if BY_NAME[name].reads(path, text)] == ["hadolint"]


def test_a_job_without_steps_costs_no_other_file() -> None:
    """zizmor gives up at it and reads no other file."""
    broken = "on: push\njobs:\n  a:\n    runs-on: x\n"
    files = {".github/workflows/a.yml": broken, ".github/workflows/b.yml": f"{broken}    steps: [{{run: b}}]\n"}
    found, _, failures, _ = engines.run_analyzers(files, disabled=set(BY_NAME) - {"zizmor"})
    assert [(finding.path, finding.start_line, finding.severity) for finding in found] == [
        (".github/workflows/a.yml", 3, Severity.CRITICAL)
    ]
    assert not failures


@pytest.mark.parametrize(
    "text",
    [
        "on: push\njobs:\n  a: &a {runs-on: x, steps: [{run: a}]}\n  b: *a\n",
        "on: push\njobs:\n  a: {uses: ./.github/workflows/b.yml}\n  B: {needs: A, runs-on: x, steps: [{uses: a/b@v1}]}",
        "on: {workflow_call: }\njobs:\n  a: {runs-on: {group: x}, needs: [], steps: [{run: a, with: b}]}\n",
        "on: []\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n",
        '"on": [push]\njobs: {a: {<<: {runs-on: x}}}\n',
        "on: push\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n---\na: 1\n",
        f"on: push\njobs: {'[' * 5000}{']' * 5000}\n",
        f"on: [push, merge_group, something_new, Pull_Request]\nx-new: 1\npermissions: read-all\n{JOB}",
        "on: push\njobs:\n  a: {uses: b/c/.github/workflows/d.yml@v1, with: {on: x, On: y}, secrets: inherit}\n",
        "on: push\njobs:\n  a: {runs-on: x, steps: [{uses: docker://a, id: b}, {uses: ./c, id: d}]}\n"
        "  b: {runs-on: x, steps: [{run: '${{ a }} }} ${{ b }}', id: b, if: '!cancelled()'}]}\n",
    ],
)
def test_what_github_may_run_is_not_refused(text: str) -> None:
    (found,) = by_path("zizmor", {".github/workflows/a.yml": text}).values()
    assert [finding for finding in found if finding.rule == "zizmor/invalid-workflow"] == []


@pytest.mark.parametrize(
    "text", [ACTION, "runs: {using: docker, image: Dockerfile, args: ['${{ a }}']}\n", "inputs:\n  a: {run: b}\n"]
)
def test_an_action_that_github_may_run_is_not_refused(text: str) -> None:
    (found,) = by_path("zizmor", {"action.yml": text}).values()
    assert [finding for finding in found if finding.rule == "zizmor/invalid-workflow"] == []


def test_a_keyword_may_be_an_argument() -> None:
    text = "#!/bin/bash\nif a; then\nexit 1\nfi\nfor x in a b; do b && echo done; done\nshopt -s extglob\nrm !(a|b)\n"
    assert [(finding.rule, finding.severity) for finding in by_path("shellcheck", {"a.sh": text})["a.sh"]] == [
        ("SC1010", Severity.MINOR)
    ]


def test_what_bash_parses_is_no_error_of_parsing() -> None:
    text = "#!/bin/bash\nn=0\nA[((n++))]=$(cat <<EOF\na\nEOF\n)\ndeclare -A A\nrm !(a|b) $A[1]\n"
    found = by_path("shellcheck", {"accepted.sh": text, "refused.sh": f"{text}fi\n"})
    assert {finding.rule for finding in found["accepted.sh"]} == {"SC1087", "SC2086", "SC2128"}
    assert {(finding.rule, finding.severity) for finding in found["refused.sh"]} == {("SC1072", Severity.CRITICAL)}


def test_without_bash_shellcheck_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    script = {"both.sh": EXCUSED["shellcheck"]["both.sh"]}
    if shutil.which("bash", path=confinement.SYSTEM_PATH):
        assert [finding.internal for finding in by_path("shellcheck", script)["both.sh"]] == [True]
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None if name == "bash" else which(name, path=path))
    assert [finding.internal for finding in by_path("shellcheck", script)["both.sh"]] == [False]


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN --mount=type=cache,target=/x --network=none b\nONBUILD RUN c\n",
        "ARG A=1\nfrom --platform=$BUILDPLATFORM a:$A as b\nCOPY --from=b --link --chmod=755 c d\n",
        "# escape=`\nFROM a\nRUN b `\n  c\n",
        "\ufeff# syntax=docker/dockerfile:1-labs\nFROM a\r\nRUN b \\\r\n\r\n# comment\r\n  c\r\n",
        'FROM a\nHEALTHCHECK NONE\nSHELL ["bash", "-c"]\nCMD []\nVOLUME $A\nSTOPSIGNAL 9\nCOPY ["a b", "c"]\n',
        "FROM a\nRUN foo <<<'a' 3<<EOF\nx\nEOF\nRUN cat<<X\n",
        "FROM a\nRUN echo \"see <<EOF\" 'and <<EOF'\n",
        "FROM a\nENTRYPOINT\nLABEL a=b \\\n",
        "FROM a\nRUN cat <<\\EOF > b\n$x\nEOF\nCOPY <<'A' <<\"B\" /c/\nFOO\nA\nFOO\nB\nRUN a <<C'D'\nFOO\nCD\n",
        "FROM a\nADD --keep-git-dir=true --checksum=b --unpack c /d\nRUN --device=a --new=b c --mont\nCMD --mont\n",
        'FROM a\nEXPOSE 80/tcp 443/udp 8000-8010 $A ${B}/tcp ${C:-1} "90" 1:2\n',
        "FROM a\nHEALTHCHECK --start-interval=1s --retries=3 CMD a --timeot=1\n",
        'FROM a\nENV A="b c" D=e\\ f\nENV A b c\nLABEL "a b"="c d"\nONBUILD HEALTHCHECK --retries=1 cmd b\nSHELL ["a"]',
    ],
)
def test_what_docker_builds_is_not_refused(text: str) -> None:
    assert dockerfile.refusal(text) is None


@pytest.mark.slow
def test_a_large_script_is_read_without_dataflow_analysis() -> None:
    large = "#!/bin/bash\n" + "".join(f'step "$v{n % 50}" "item {n}" || exit 1\n' for n in range(4000)) + "x = 1\n"
    assert len(large) > 130_000
    small = "#!/bin/bash\ny = 1\n"
    found = by_path("shellcheck", {"large.sh": large, "small.sh": small})
    assert "SC2283" in {finding.rule for finding in found["large.sh"]}
    assert [finding.rule for finding in found["small.sh"]] == ["SC2283"]
    assert shellcheck.ANALYZER.variants is not None
    assert shellcheck.ANALYZER.variants(small) == ()


def reviewed(repo: Repository, before: Mapping[str, str], after: Mapping[str, str]) -> Report:
    repo.commit(dict(before))
    return Report.from_json(run(admit(repo.open_pull_request(changes=dict(after), author="mona"))).report)


@pytest.mark.sampled(3)
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.py", "def f(): ...\n", "try:\n    f()\nexcept IOError, e:\n    print e\n"),
        ("a.py", "def f(): ...\n", 'def f(): ...\n\n\nprint "a"\nprint "b"\n'),
        ("a.py", "name = 1\n", "name = 1\ny = {{ name }} {{ name }}\n"),
        ("a.js", "export const a = 1;\n", "export const a = 1;\nconst b = <%= x %>;\n"),
        ("a.js", "export const a = 1;\n", "<!DOCTYPE html>\n<html>404</html>\n"),
        ("a.sh", "#!/bin/sh\necho a\n", "#!/bin/sh\necho a\nfor {{ x }} in a; do\n"),
        ("Dockerfile", "FROM debian:12\n", "FROM debian:12\n{% if a %}\n"),
    ],
)
def test_a_base_without_a_dialect_shows_what_broke(repo: Repository, path: str, before: str, after: str) -> None:
    (broken,) = [finding for finding in reviewed(repo, {path: before}, {path: after}).findings if finding.path == path]
    assert (broken.severity, broken.internal) == (Severity.CRITICAL, False)


@pytest.mark.sampled(2)
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.py", 'print "a"\nprint "b"\n', 'print "a"\nprint "b"\nprint "c"\n'),
        ("a.py", "", 'print "a"\nprint "b"\n'),
        ("a.py", "#!/usr/bin/env python2\n", '#!/usr/bin/env python2\nprint "a"\n'),
        ("a.js", "var a = 1;\n", "import type { A } from 'a';\nvar a = 1;\n"),
        ("a.js", "var a = {{ a }};\n", "var a = {{ b }};\n"),
    ],
)
def test_a_dialect_that_the_base_may_have_is_unread(repo: Repository, path: str, before: str, after: str) -> None:
    report = reviewed(repo, {path: before} if before else {}, {path: after})
    assert (report.findings, report.partially_analysed) == ((), (path,))


@pytest.mark.django_db
def test_a_heredoc_without_its_end_is_reported(repo: Repository) -> None:
    """hadolint cannot parse the base either; the judgement on what Docker accepts can be had of both."""
    before = 'FROM alpine:3\nRUN <<EOF\necho x\nEOF\nCMD ["a"]\n'
    (broken,) = reviewed(repo, {"Dockerfile": before}, {"Dockerfile": before.replace("EOF\nCMD", "CMD")}).findings
    assert (broken.severity, broken.elsewhere) == (Severity.CRITICAL, 2)
    broken_before = before.replace("EOF\nCMD", "CMD")
    assert reviewed(repo, {"b/Dockerfile": broken_before}, {"b/Dockerfile": f"{broken_before}# a\n"}).findings == ()


def test_files_that_oxlint_skips_are_named() -> None:
    skipping = replace(BY_NAME["oxlint"], scratch_path=None)
    (unread,) = run_analyzer(skipping, {"x.min.js": "debugger;\n"})
    assert (unread.path, unread.internal) == ("x.min.js", True)


@pytest.mark.django_db
def test_a_name_that_oxlint_skips_hides_nothing(repo: Repository) -> None:
    files = {"x.min.js": "function ( { debugger\n", "src/clamp-min.js": "debugger;\n"}
    found = {(finding.path, finding.rule) for finding in reviewed(repo, {}, files).findings}
    assert ("src/clamp-min.js", "eslint(no-debugger)") in found
    assert ("x.min.js", "syntax-error") not in found, "generated, and nothing can fail"
    repo.commit({".kodiai.yml": "check: {fail_on: minor}\n"})
    found = {(finding.path, finding.rule) for finding in reviewed(repo, {}, files).findings}
    assert ("x.min.js", "syntax-error") in found
