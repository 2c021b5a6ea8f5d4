"""What engines could read and what not: nothing is resolved, passed or hidden by a file that was not read."""

import json

import pytest
from django.test import Client

from reviews.findings import LeftOutReason, Report
from reviews.models import Review
from sandbox import PullRequest, Repository, Sandbox, Symlink
from sandbox.state.git import Submodule
from tests.support.runs import admit, run

pytestmark = pytest.mark.django_db

TOKEN = "ghp_" + "0f3Kd9XwQz7LmN2pR5tV" + "8yB1cE4gH6jSaaab"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12\n"
GATE = {".kodiai.yml": "check: {fail_on: minor}\n"}
FOUND = {
    "a.py": "import os\n",
    "b.js": "export const f = (a) => a == a;\n",
    "c.sh": "#!/bin/sh\ncd $1\n",
    "Dockerfile": "FROM debian\nCMD a\nCMD b\n",
}
BROKEN = {"a.py": "def g(:\n", "b.js": "function (\n", "c.sh": "if true; then\n", "Dockerfile": "EXPOSE ${PORT:-80}\n"}


def report_of(pull: PullRequest, action: str = "opened") -> Report:
    return Report.from_json(run(admit(pull, action)).report)


def conclusion(repo: Repository) -> str:
    return str(repo.check_runs[-1]["conclusion"])


def test_a_file_that_cannot_be_parsed_resolves_nothing(repo: Repository) -> None:
    """V4: threads stay, and the summary names the files."""
    pull = repo.open_pull_request(changes=FOUND, author="mona")
    first = report_of(pull)
    assert {finding.path for finding in first.findings} == FOUND.keys()
    of_first = len(pull.review_comments)
    pull.push({path: text + BROKEN[path] for path, text in FOUND.items()})
    second = report_of(pull, "synchronize")
    assert set(second.partially_analysed) == FOUND.keys()
    pull.push(FOUND)
    before = len(pull.review_comments)
    third = report_of(pull, "synchronize")
    assert third.partially_analysed == ()
    assert len(pull.review_comments) == before
    assert not any("**Resolved**" in comment["body"] for comment in pull.review_comments[:of_first])
    assert {finding.fingerprint for finding in first.findings} == {finding.fingerprint for finding in third.findings}


def test_the_summary_names_what_could_not_be_parsed(repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"a.py": "def g(:\n", "ok.py": "x = 1\n"}, author="mona")
    report_of(pull)
    assert "Only partially analysed: `a.py` (ruff: cannot be parsed (line 1))." in pull.reviews[0]["body"]


def test_an_analyzer_that_dies_on_a_file_loses_only_that(repo: Repository) -> None:
    """V7: the other files' findings stand, the file is named, and the check does not pass."""
    repo.commit(GATE)
    changes = {f"m{number}.js": f"export const f{number} = (a) => a == a;\n" for number in range(5)}
    pull = repo.open_pull_request(changes={**changes, "zz.js": "[" * 1500}, author="mona")
    report = report_of(pull)
    assert {finding.path for finding in report.findings} == changes.keys()
    assert report.partially_analysed == ("zz.js",)
    assert "oxlint" in report.engines
    assert "`zz.js`" in pull.reviews[0]["body"]
    assert conclusion(repo) == "failure"


WAYS = {
    "a generator's header": ("evil.js", "// @generated\n{}"),
    "a generated name": ("evil_pb2.py", "{}"),
    "a minified name": ("evil.min.js", "{}"),
    "a vendored folder": ("vendor/evil.py", "{}"),
    "a lock file": ("poetry.lock", "{}"),
    "an unknown type": ("evil.xyz", "{}"),
    "a comment for gitleaks": ("evil.py", "{}  # gitleaks:allow\n"),
    "attributes of its own": (".gitattributes", "* linguist-generated\n# {}"),
    "a configuration of its own": (".kodiai.yml", "paths: {{ignore: ['*']}}\nengines: {{disable: [secrets]}}\n# {}"),
    "a test folder": ("tests/fixtures/evil.py", "{}"),
    "a byte order mark": ("evil.py", "\ufeff{}"),
    "carriage returns": ("evil.py", "x = 1\r{}\r"),
    "a long line": ("evil.js", "/*" + "a" * 100_000 + "*/ {}"),
    "a syntax error": ("evil.py", "def (:\n{}"),
    "a name with a line break": ("e\nvil.py", "{}"),
}


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("way", "fail_on"), [*((way, "critical") for way in WAYS), ("a generator's header", "never")])
def test_a_pull_request_cannot_hide_a_secret(repo: Repository, way: str, fail_on: str) -> None:
    """V8: what a pull request contains takes nothing out of the search for secrets."""
    path, text = WAYS[way]
    repo.commit({".kodiai.yml": f"check: {{fail_on: {fail_on}}}\n"})
    pull = repo.open_pull_request(changes={path: text.format(f"T = '{TOKEN}'")}, author="octocat")
    assert "github-token" in [finding.rule for finding in report_of(pull).findings]
    assert conclusion(repo) == ("failure" if fail_on == "critical" else "neutral")


HIDDEN: dict[str, dict[str, str | bytes | Symlink]] = {
    "a name that differs in case": {"Config.py": f"T = '{TOKEN}'\n", "config.py": "a = 1\n"},
    "a name in another form of Unicode": {"caf\u00e9.env": f"T={TOKEN}\n", "cafe\u0301.env": "A=1\n"},
    "a link's target": {"link.py": Symlink(f"a/{TOKEN}")},
    "a pointer of Git LFS": {"a.py": POINTER.replace("oid", f"ext-0-x {TOKEN}\noid")},
}


@pytest.mark.parametrize("way", HIDDEN)
def test_a_file_that_is_left_out_cannot_hide_a_secret(repo: Repository, way: str) -> None:
    """V8: the patch is searched whatever the reason for which the file is not analysed."""
    repo.commit(GATE)
    report = report_of(repo.open_pull_request(changes=HIDDEN[way], author="octocat"))
    assert [finding.rule for finding in report.findings] == ["github-token"]
    assert conclusion(repo) == "failure"


def test_a_path_of_tests_does_not_hide_a_key_from_a_gate(repo: Repository) -> None:
    repo.commit({".kodiai.yml": "check: {fail_on: critical}\n"})
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{TOKEN[4:] * 2}\n-----END RSA PRIVATE KEY-----\n"
    report_of(repo.open_pull_request(changes={"tests/prod/id_rsa": key}, author="octocat"))
    assert conclusion(repo) == "failure"


@pytest.mark.parametrize("after", ['T = "{}"\n', "T = '{}'  # of the build\n", "class C:\n    T: str = '{}'\n"])
def test_a_secret_that_the_base_has_is_not_new(repo: Repository, after: str) -> None:
    repo.commit({"a.py": f"T = '{TOKEN}'\n"})
    report = report_of(repo.open_pull_request(changes={"a.py": after.format(TOKEN)}, author="mona"))
    assert (report.findings, report.pre_existing) == ((), 1)


@pytest.mark.parametrize(
    "text", ["-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", "T = (\n  'ghp_'\n  '{}'\n)\n"]
)
def test_another_secret_below_an_unchanged_line_is_new(repo: Repository, text: str) -> None:
    secret = TOKEN[4:] if "ghp_" in text else TOKEN[4:] * 2
    repo.commit({"a.py": text.format(secret)})
    report = report_of(repo.open_pull_request(changes={"a.py": text.format(secret[::-1])}, author="mona"))
    assert [finding.severity for finding in report.findings if finding.engine == "secrets"] == ["critical"]


UNDEFINED = "print(undefined_name)"
ESCAPES = {
    "a generator's header": {"evil.py": f"# @generated\n{UNDEFINED}\n"},
    "a generated name": {"evil_pb2.py": UNDEFINED},
    "a vendored folder": {"vendor/evil.py": UNDEFINED},
    "noqa": {"evil.py": f"{UNDEFINED}  # noqa\n"},
    "noqa of the file": {"evil.py": f"# ruff: noqa\n{UNDEFINED}\n"},
    "flake8's noqa": {"evil.py": f"# flake8: noqa: F821\n{UNDEFINED}\n"},
    "a blank in a comment of ruff": {"evil.py": f"# ruff : file-ignore[F821]\n{UNDEFINED}\n"},
    "a comment of oxlint": {"evil.js": "// oxlint-disable-next-line\nexport const f = (a) => a == a;\n"},
    "a comment of ESLint": {"evil.js": "/* eslint-disable */\nexport const f = (a) => a == a;\n"},
    "a comment of ShellCheck": {"evil.sh": "#!/bin/sh\n# shellcheck disable=all\nrm $@\n"},
    "another comment of it": {"evil.sh": "#!/bin/sh\n# shellcheck source=/dev/null disable=all\nrm $@\n"},
    "a comment of hadolint": {"Dockerfile": "# hadolint global ignore=DL4003\nFROM a:1\nCMD a\nCMD b\n"},
    "a configuration of ruff": {"evil.py": UNDEFINED, "ruff.toml": "lint.ignore = ['ALL']\n"},
    "a configuration of its own": {"evil.py": UNDEFINED, ".kodiai.yml": "check: {fail_on: never}\n"},
    "attributes of its own": {"evil.py": UNDEFINED, ".gitattributes": "*.py linguist-generated\n"},
    "a syntax error": {"evil.py": f"{UNDEFINED}\ndef (:\n"},
    "a template's tag": {"evil.py": f"{UNDEFINED}\n{{% if a %}}\n"},
    "another shell": {"evil.sh": "#!/bin/zsh\nrm $@\n"},
    "pylint's comment": {"evil.py": f"{UNDEFINED}  # pylint: disable=undefined-variable\n"},
    "Biome's comment": {
        "evil.js": "// biome-ignore lint/suspicious/noSelfCompare: x\nexport const f = (a) => a == a;\n"
    },
    "a pointer of Git LFS": {"evil.py": POINTER},
    "a NUL byte": {"evil.js": "export const f = (a) => a == a; // \0\n"},
    "a NUL byte in settings": {"config.json": f'{{"t": "{TOKEN}"}}\n\0'},
    "a NUL byte in a file that was text": {"old.xyz": f"{TOKEN}\n\0"},
    "UTF-16": {".env": f"T={TOKEN}\n".encode("utf-16")},
    "another encoding": {"evil.py": f"{UNDEFINED}  # caf\xe9\n".encode("latin-1")},
    "an analyzer that dies": {"evil.js": "[" * 1500},
    "a folder of fixtures": {"tests/fixtures/evil.py": UNDEFINED},
    "a folder of bundles": {"dist/evil.js": "export const f = (a) => a == a;\n"},
    "a library's banner": {
        "evil.js": "/*!\n * evil v1.2.3\n * (c) Eve, MIT licence\n */\nexport const f = (a) => a == a;\n"
    },
    "long lines": {"evil.js": "export const f = (a) => a == a; //" + " x" * 2000},
    "a name of a test": {"test_evil.py": "def f(ask):\n    answer = ask.it\n"},
    "a name of a licence": {"LICENSE-EVIL.md": "We recieve the goods of the day.\n"},
    "prose in bulk": {"a.md": "This is the line of it.\n" * 400 + "We recieve the goods of the day.\n"},
    "more files than the limit": {f"m{number}.md": "Fine.\n" for number in range(12)} | {"evil.py": UNDEFINED},
}


@pytest.mark.sampled(12)
@pytest.mark.parametrize("way", ESCAPES)
def test_a_pull_request_cannot_pass_the_check(repo: Repository, way: str) -> None:
    """V8: what a pull request contains takes no file out of a check run that may fail."""
    repo.commit({".kodiai.yml": "check: {fail_on: minor}\nlimits: {files: 10}\n", "old.xyz": "x\n"})
    report_of(repo.open_pull_request(changes=ESCAPES[way], author="octocat"))
    assert conclusion(repo) == "failure"


def test_what_the_base_settles_is_not_analysed(repo: Repository) -> None:
    repo.commit({**GATE, "made_pb2.py": "x = 1\n", "b.py": "# @generated\n", "c.py": "print(known)  # noqa\n"})
    changes = {
        "made_pb2.py": f"{UNDEFINED}\n",
        "b.py": f"# @generated\n{UNDEFINED}\n",
        "c.py": "x = 1\nprint(known)  # noqa\n",
    }
    report = report_of(repo.open_pull_request(changes=changes, author="octocat"))
    assert report.findings == ()
    assert {left.path: left.reason for left in report.left_out} == dict.fromkeys(
        ("made_pb2.py", "b.py"), LeftOutReason.GENERATED
    )
    assert conclusion(repo) == "success"


@pytest.mark.parametrize("graphql", [True, False])
def test_the_mode_decides_what_is_no_source(github: Sandbox, repo: Repository, graphql: bool) -> None:
    """F1, F2: links, submodules and pointers are no source; a file with one word is."""
    github.graphql_available = graphql
    changes = {
        "link.py": Symlink("/etc/my passwd"),
        "linked.js": Symlink("somewhere"),
        "module.py": Submodule("a" * 40),
        "word.py": "undefined.x",
        "data.py": POINTER,
        "data.js": POINTER,
        "crlf.py": POINTER.replace("\n", "\r\n"),
        "blank.ts": f"{POINTER}\n",
        "old.js": POINTER.replace("git-lfs", "hawser"),
    }
    pull = repo.open_pull_request(changes=changes, author="mona")
    report = report_of(pull)
    assert {left.path: left.reason for left in report.left_out} == {
        "link.py": LeftOutReason.LINK,
        "linked.js": LeftOutReason.LINK,
        "module.py": LeftOutReason.SUBMODULE,
        "data.py": LeftOutReason.LFS_POINTER,
        "data.js": LeftOutReason.LFS_POINTER,
        "crlf.py": LeftOutReason.LFS_POINTER,
        "blank.ts": LeftOutReason.LFS_POINTER,
        "old.js": LeftOutReason.LFS_POINTER,
    }
    assert ("word.py", "F821") in [(finding.path, finding.rule) for finding in report.findings]
    assert {finding.path for finding in report.findings} == {"word.py"}


def test_a_file_without_a_diff_is_named_only_if_it_has_text(repo: Repository) -> None:
    repo.commit({"old.py": "x = 1\n", "big.py": "x = 1\n"})
    pull = repo.open_pull_request(
        changes={"a.png": b"\0\1", "empty.py": "", "big.py": "x = 2\n" * 5000}, renames={"old.py": "new.py"}
    )
    report = report_of(pull)
    assert {left.path: left.reason for left in report.left_out} == {"big.py": LeftOutReason.NO_DIFF}
    assert report.without_engine == 3
    assert report.is_incomplete


@pytest.mark.parametrize(
    ("old", "new"),
    [("x.txt", "x.py"), ("x.sh.off", "x.sh"), ("off/ci.yml", ".github/workflows/ci.yml"), ("x.yml.off", "action.yml")],
)
def test_a_file_that_a_rename_alone_makes_source_is_named(repo: Repository, old: str, new: str) -> None:
    """No engine has read it under its old name, and GitHub shows none of its lines."""
    repo.commit({old: "if x [\n", **GATE})
    repo.commit({"NEWS": "x = [\n", "b.js": "x [\n"})
    renames = {old: new, "NEWS": "NEWS.md", "b.js": "b.ts"}
    report = report_of(repo.open_pull_request(changes={}, renames=renames, author="mona"))
    assert {left.path: left.reason for left in report.left_out} == {new: LeftOutReason.NO_DIFF}
    assert conclusion(repo) == "failure"


SCRIPTS = {
    "bin/deploy": ("#!/bin/sh\nset -e\nif true; then\n  make\nfi\n", "fi\n", "SC1072"),
    "hooks/pre-push": ('#!/usr/bin/env -S bash -eu\nname=$1\necho "$name"\n', "name=$1\n", "SC2154"),
    "init": ('#! /bin/busybox sh\nname=$1\necho "$name"\n', "name=$1\n", "SC2154"),
    "tools/plan": ("#!/usr/bin/env python3.12\nimport os\nprint(os.sep)\n", "import os\n", "F821"),
    "manage": ("#!/usr/bin/env -S uv run --script\nx = 1\nprint(x)\n", "x = 1\n", "F821"),
    "bin/cli": ("#!/usr/bin/env node\nconst a = 1;\nconsole.log(a);\n", "const a = 1;\n", "eslint(no-undef)"),
    "bin/cli.min": ("#!/usr/bin/env node\nconst a = 1;\nconsole.log(a);\n", "const a = 1;\n", None),
    "bin/rake": ("#!/usr/bin/env ruby\nputs 1 if true\n", "puts 1 ", None),
    "LICENSE": ("import os\nprint(os.sep)\n", "import os\n", None),
    "gradlew": ('#!/bin/sh\nname=$1\necho "$name"\n', "name=$1\n", None),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("path", SCRIPTS)
def test_a_script_without_a_suffix_is_read(repo: Repository, path: str) -> None:
    """By its first line. A file that is no script is searched for secrets, and missed by nobody."""
    before, removed, rule = SCRIPTS[path]
    repo.commit({path: before})
    pull = repo.open_pull_request(changes={path: before.replace(removed, "", 1)}, author="mona")
    report = report_of(pull)
    assert [finding.rule for finding in report.findings] == [rule] * (rule is not None)
    assert [left.reason for left in report.left_out] == [LeftOutReason.GENERATED] * (path == "gradlew")


def test_what_is_no_script_is_not_fetched_in_vain(repo: Repository) -> None:
    """A file without a suffix that is too large to be shown as a whole is named only if it is a script."""
    long = "x" * 79 + "\n"
    repo.commit({"COPYING": long * 8_000, "install": "#!/bin/sh\n" + long * 8_000})
    changes = {"COPYING": long * 8_000 + "y\n", "install": "#!/bin/sh\n" + long * 8_000 + f"echo {TOKEN}\n"}
    report = report_of(repo.open_pull_request(changes=changes, author="mona"))
    assert [(left.path, left.reason) for left in report.left_out] == [("install", LeftOutReason.TOO_LARGE)]
    assert [finding.path for finding in report.findings] == ["install"]


def test_coverage_is_in_the_api_and_in_the_admin(admin_client: Client, repo: Repository) -> None:
    pull = repo.open_pull_request(changes={"a.py": "def g(:\n", "poetry.lock": "x\n"}, author="mona")
    report_of(pull)
    pk = Review.objects.get().pk
    answer = admin_client.get(f"/api/v1/reviews/{pk}/coverage/")
    assert answer.status_code == 200
    coverage = json.loads(answer.content)
    assert coverage["complete"] is False
    assert {engine["name"] for engine in coverage["engines"]} == {"ruff", "secrets", "typos"}
    assert all(engine["version"] for engine in coverage["engines"])
    assert coverage["files"] == [
        {
            "path": "a.py",
            "changed_lines": 1,
            "read_by": ["secrets", "typos"],
            "unread": [{"engine": "ruff", "reason": "cannot be parsed (line 1)"}],
            "left_out": None,
        },
        {"path": "poetry.lock", "changed_lines": 1, "read_by": ["secrets"], "unread": [], "left_out": None},
    ]
    page = admin_client.get(f"/admin/reviews/review/{pk}/change/").content.decode()
    assert "<td>a.py</td><td>secrets, typos</td><td>ruff: cannot be parsed (line 1)</td>" in page
    (listed,) = json.loads(admin_client.get("/api/v1/reviews/", {"repo": pull.repository.full_name}).content)["results"]
    assert (listed["id"], listed["conclusion"]) == (pk, "success")


RENAMED = "def ask(d):\n    {name} = d['id']\n" + "\n" * 5 + "    return f'{{comment_id}}'\n"


@pytest.mark.parametrize("way", ["another encoding", "renamed on the base"])
def test_what_is_not_known_of_the_base_is_no_green_check(repo: Repository, way: str) -> None:
    """The change may have broken an unchanged line, and what was found there is not resolved."""
    before, after = (RENAMED.format(name=name) for name in ("comment_id", "_id"))
    latin = f"# caf\xe9\n{before}".encode("latin-1")
    repo.commit({"a.py": latin if way == "another encoding" else before, **GATE})
    pull = repo.open_pull_request(changes={"a.py": f"# caf\xe9\n{after}"}, author="mona")
    if way == "renamed on the base":
        repo.commit({"a.py": None, "b.py": before})

    report = report_of(pull)

    assert report.partially_analysed == ("a.py",)
    assert "ruff: its text on the base branch is not available" in pull.reviews[0]["body"]
    assert conclusion(repo) == "failure"
