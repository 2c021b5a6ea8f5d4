"""What the base's own linters settle is not contradicted, and what a pull request writes settles little."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from reviews.config.linters import MAX_PATHS, parse, paths_for
from reviews.config.linters.javascript import read_json
from reviews.config.linters.matching import tools_of
from reviews.config.linters.statements import BrokenFile
from reviews.findings import Finding, Severity, Suggestion
from reviews.local.git_range import GitRepository, review
from tests.support.git import Git


def found(rule: str, path: str = "app/a.py", message: str = "", line: int = 3, words: str = "") -> Finding:
    others = {"typo": "typos", "github-token": "secrets", "language-model": "llm", "zizmor/x": "zizmor"}
    engine = others.get(rule) or [*tools_of(path)][-1]
    words_of = tuple(words.split())
    return Finding(path, line, line, Severity.MAJOR, rule, message, words=words_of, snippet=words, engine=engine)


def is_off(files: dict[str, str], finding: Finding, text: str = "") -> bool:
    settings = parse(files)
    assert not settings.problems
    return settings.apply(finding, text) is None


F401, B006, SYNTAX = found("F401"), found("B006"), found("invalid-syntax")
UNUSED, USED = found("F841", message="Local variable `unused_x` is"), found("F841", message="Local variable `x` is")
UNKNOWN = found("F821", message="Undefined name `_`")
DEBUGGER = found("eslint(no-debugger)", "src/a.ts")
MISUSED = found("typescript(no-misused-new)", "src/a.ts")
SC2086, SC3010 = found("SC2086", "bin/a.sh"), found("SC3010", "bin/a.sh")
DL3006, IN_DOCKERFILE = found("DL3006", "Dockerfile"), found("SC2086", "images/x.Dockerfile")
INJECTION = found("zizmor/template-injection", ".github/workflows/ci.yml")
TYPO = found("typo", "docs/a.md", words="teh")
SECRET, MODEL = found("github-token"), found("language-model")
LINT = "[tool.ruff.lint]\n"
REQUIRES = "project.requires-python = '>=3.{}'"


@pytest.mark.parametrize(
    ("file", "text", "off", "stay"),
    [
        # ruff
        ("pyproject.toml", LINT + "ignore = ['F401', 'B0']", [F401, B006], [UNKNOWN]),
        ("pyproject.toml", "[tool.ruff]\nextend-ignore = ['F']", [F401, UNKNOWN], [B006, SYNTAX, SECRET, MODEL]),
        ("pyproject.toml", LINT + "ignore = ['ALL']", [F401, B006], [SYNTAX, SECRET]),
        ("pyproject.toml", LINT + "ignore = ['F']\nselect = ['F401', 'B']", [UNKNOWN], [F401, B006]),
        ("pyproject.toml", LINT + "select = ['E']\nfixable = ['F']", [], [F401, B006]),
        ("ruff.toml", "[lint]\nignore = ['F401']", [F401], [B006]),
        (".ruff.toml", "ignore = ['F401']", [F401], [B006]),
        ("app/ruff.toml", "lint.ignore = ['F401']", [F401], [found("F401", "lib/a.py")]),
        ("ruff.toml", "[lint.per-file-ignores]\n'app/*' = ['F401']", [F401, found("F401", "app/x/y.py")], [B006]),
        ("ruff.toml", "lint.per-file-ignores = {'a.py' = ['F4']}", [F401], [found("F401", "app/b.py")]),
        ("ruff.toml", "lint.per-file-ignores = {'**/{a,b}.py' = ['F4']}", [F401, found("F401", "b.py")], [B006]),
        ("ruff.toml", "lint.extend-per-file-ignores = {'!lib/**' = ['F4']}", [F401], [found("F401", "lib/a.py")]),
        ("app/ruff.toml", "lint.per-file-ignores = {'a.py' = ['F']}", [F401], [found("F401", "app/x/b.py")]),
        ("ruff.toml", "builtins = ['_']", [UNKNOWN], [found("F821", message="Undefined name `x`"), F401]),
        ("ruff.toml", "lint.dummy-variable-rgx = '^(_+|unused_.*)$'", [UNUSED], [USED, UNKNOWN]),
        ("ruff.toml", "dummy-variable-rgx = '^unused_'", [UNUSED], [USED, F401]),
        ("ruff.toml", "dummy-variable-rgx = '(u+)+$'", [], [UNUSED]),
        ("ruff.toml", "extend-exclude = ['app']", [F401, SYNTAX], [found("F401", "apple/a.py"), SECRET]),
        ("ruff.toml", "exclude = ['*.gen.py', 'app/**/x']", [found("F401", "app/b/x/c.py")], [F401]),
        # flake8 and pycodestyle
        ("setup.cfg", "[pycodestyle]\nignore = E711,\n  F401", [F401], [B006]),
        ("tox.ini", "[flake8]\nextend-ignore = F401  # why\n", [F401], [B006]),
        (".flake8", "[flake8]\nper-file-ignores =\n  app/*.py: F401, B0\n  b.py,c.py:E1", [F401, B006], [UNKNOWN]),
        (".flake8", "[flake8]\nextend_ignore = F401\nper_file_ignores = app/a.py:B006", [F401, B006], [UNKNOWN]),
        (".flake8", "[flake8]\nper-file-ignores = x.py:F401 app/a.py:B006", [B006], [F401]),
        (".flake8", "[flake8]\nbuiltins = _, __\nexclude = build,app/gen", [UNKNOWN], [F401]),
        ("setup.cfg", "[flake8]\nmax-line-length = 100\nselect = E", [], [F401]),
        # oxlint, ESLint, Biome
        (".oxlintrc.json", '{"rules": {"no-debugger": "off"}}', [DEBUGGER], [MISUSED]),
        (".oxlintrc.json", '// why\n{"rules": {"eslint/no-debugger": ["allow", {}],}}', [DEBUGGER], [MISUSED]),
        (".eslintrc.json", '{"rules": {"@typescript-eslint/no-misused-new": 0}}', [MISUSED], [DEBUGGER]),
        (".eslintrc", "rules:\n  no-debugger: off\n", [DEBUGGER], []),
        (".eslintrc.yml", "rules:\n  no-debugger: [off]\n", [DEBUGGER], []),
        ("biome.json", '{"linter": {"enabled": false}}', [DEBUGGER], []),
        (".eslintrc", "rules:\n  no-debugger: 'off'\n", [DEBUGGER], []),
        ("package.json", '{"eslintConfig": {"rules": {"no-debugger": "off"}}}', [DEBUGGER], []),
        (
            ".oxlintrc.json",
            '{"rules": {"no-debugger": "off"}, "overrides": [{"files": ["src/**"], "rules": {"no-debugger": 2}}]}',
            [found("eslint(no-debugger)", "lib/a.js")],
            [DEBUGGER],
        ),
        (
            ".eslintrc.json",
            '{"overrides": [{"files": "*.ts", "excludedFiles": "b.ts", "rules": {"no-debugger": 0}}]}',
            [DEBUGGER],
            [found("eslint(no-debugger)", "src/b.ts")],
        ),
        (".oxlintrc.json", '{"ignorePatterns": ["src/", "!src/b.ts"]}', [DEBUGGER], [found("x(y)", "src/b.ts")]),
        (
            ".oxlintrc.json",
            '{"globals": {"Widget": "readonly"}}',
            [found("react(jsx-no-undef)", "a.jsx", "'Widget' is not defined.")],
            [found("react(jsx-no-undef)", "a.jsx", "'Other' is not defined."), DEBUGGER],
        ),
        ("biome.json", '{"linter": {"rules": {"suspicious": {"noDebugger": "off"}}}}', [DEBUGGER], [MISUSED]),
        (
            "biome.jsonc",
            '{"linter": {"rules": {"a": {"noMisleadingInstantiator": {"level": "off"}}}}} // why',
            [MISUSED],
            [DEBUGGER],
        ),
        ("biome.json", '{"files": {"includes": ["**", "!src/**"]}}', [DEBUGGER], [found("eslint(x)", "a.ts")]),
        (
            "biome.json",
            '{"overrides": [{"includes": ["src/**"], "linter": {"rules": {"suspicious": {"noDebugger": "off"}}}}]}',
            [DEBUGGER],
            [found("eslint(no-debugger)", "a.ts")],
        ),
        # typos
        ("typos.toml", "[default.extend-words]\nteh = 'teh'", [TYPO], [found("typo", words="hte")]),
        ("_typos.toml", "[default.extend-words]\nteh = 'the'", [], [TYPO]),
        (".typos.toml", "[type.md.extend-words]\nTeh = 'Teh'", [TYPO], [found("typo", words="teh hte")]),
        (
            "pyproject.toml",
            "[tool.typos.default.extend-identifiers]\nteh_name = 'teh_name'",
            [
                Finding(
                    "a.py",
                    1,
                    1,
                    Severity.INFO,
                    "typo",
                    "",
                    words=("teh",),
                    snippet="# use teh_name here",
                    engine="typos",
                )
            ],
            [TYPO],
        ),
        ("typos.toml", "[files]\nextend-exclude = ['docs/*.md']", [TYPO], [found("typo", "a.md", words="teh"), SECRET]),
        # ShellCheck, hadolint, zizmor
        (".shellcheckrc", "disable=SC2086,SC2034 # why", [SC2086], [SC3010, IN_DOCKERFILE]),
        ("bin/.shellcheckrc", "disable=2000-2100", [SC2086], [found("SC2086", "a.sh")]),
        ("shellcheckrc", "shell=bash\nenable=all", [SC3010], [SC2086]),
        (".hadolint.yaml", "ignored: [DL3006, SC2086]", [DL3006, IN_DOCKERFILE], [SC2086]),
        (
            ".github/zizmor.yml",
            "rules: {template-injection: {ignore: [ci.yml:3, 'x.yml:3:5']}}",
            [INJECTION],
            [found("zizmor/template-injection", ".github/workflows/ci.yml", line=4), found("zizmor/x", line=3)],
        ),
        ("zizmor.yml", "rules: {template-injection: {disable: true}}", [INJECTION], [found("zizmor/x")]),
    ],
)
def test_what_a_file_turns_off_is_off(file: str, text: str, off: list[Finding], stay: list[Finding]) -> None:
    assert [finding for finding in off if not is_off({file: text}, finding)] == []
    assert [finding for finding in stay if is_off({file: text}, finding)] == []


def test_the_nearest_file_of_ruff_counts_and_what_it_extends() -> None:
    root = {"pyproject.toml": LINT + "ignore = ['F401']"}
    assert is_off(root | {"app/pyproject.toml": "[project]\nname = 'x'"}, F401), "it says nothing to ruff"
    assert not is_off(root | {"app/pyproject.toml": "[tool.ruff]\nline-length = 99"}, F401)
    assert is_off(root | {"app/ruff.toml": "extend = '../pyproject.toml'"}, F401)
    assert not is_off({"ruff.toml": "extend = 'ruff.toml'"}, F401), "a circle ends"
    assert is_off({"pyproject.toml": LINT + "ignore = ['B']", "ruff.toml": "lint.ignore = ['F']"}, F401)
    assert not is_off({"pyproject.toml": LINT + "ignore = ['B']", "ruff.toml": "lint.ignore = ['F']"}, B006)


def test_the_nearest_file_of_eslint_has_the_last_word() -> None:
    root = {".eslintrc.json": '{"rules": {"no-debugger": "off"}}'}
    assert is_off(root | {"src/.eslintrc.json": "{}"}, DEBUGGER)
    assert not is_off({"src/.eslintrc.json": '{"rules": {"no-debugger": 2}}'} | root, DEBUGGER)


def test_hadolints_overrides_lower_a_severity_and_never_raise_it() -> None:
    settings = parse({".hadolint.yml": "override: {info: [DL3006], style: [DL3007], error: [DL3020]}"})
    low = Finding("Dockerfile", 1, 1, Severity.INFO, "DL3020", "", engine="hadolint")
    reported = [settings.apply(finding, "") for finding in (DL3006, found("DL3007", "Dockerfile"), low)]
    assert [finding and finding.severity for finding in reported] == [Severity.INFO] * 3


# Comments


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ("import os  # pylint: disable=unused-import\nimport os\n", [1]),
        ("import os  # noqa: E501  # pylint: disable=C0103, W0611\nimport os\n", [1]),
        ("# pylint: disable-next=unused-import\nimport os\nimport os\n", [2]),
        ("import os\n# pylint: disable=W0611\nimport os\nimport os\n", [2, 3, 4]),
        ("def f():\n    # pylint: disable=all\n    import os\n\n    import os\nimport os\n", [2, 3, 4, 5]),
        ("# pylint: disable=unused-import\nimport os\n# pylint: enable=unused-import\nimport os\n", [1, 2]),
        ("import os\n# pylint: skip-file\n", [1, 2]),
        ("import os  # pylint: disable=unused-variable\n# pylint: disabled\nimport pylint\n", []),
    ],
)
def test_pylints_comments_count_where_pylint_counts_them(text: str, off: list[int]) -> None:
    lines = range(1, text.count("\n") + 1)
    assert [line for line in lines if is_off({}, found("F401", line=line), text)] == off
    assert not any(is_off({}, found(rule, line=line), text) for line in lines for rule in ("invalid-syntax", "E902"))
    assert not any(is_off({}, found("github-token", line=line), text) for line in lines)


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ("def f(\n    a: 'B',\n) -> 'C':  # noqa: F821\n    pass\n", [1, 2, 3]),
        ("async def f(\n    a: 'B',  # noqa: E501,F821 why\n    b: 'C',\n): ...\n", [1, 2, 3, 4]),
        ("x = f(\n    b,\n)  # NOQA\nx = b\n", [1, 2, 3]),
        ("x = f(  # type: ignore[arg-type, name-defined]\n    b,\n)\n", [1, 2, 3]),
        ("x = [\n    b,\n    c,  # noqa: F821\n    d,\n]\n", []),
        ("x = f(\n    b,\n)  # noqa: F401\n", []),
        ("x = f(\n    b,\n)  # type: ignore[arg-type]\n", []),
        ('# noqa: F821\nx = """\n# noqa: F821\n"""\nx = b\n', []),
        ("x = b  # noqa: F821\n(\n", [1]),
    ],
)
def test_noqa_counts_for_a_statement_that_was_split(text: str, off: list[int]) -> None:
    lines = range(1, text.count("\n") + 1)
    assert [line for line in lines if is_off({}, found("F821", line=line), text)] == off
    assert not any(is_off({}, found("invalid-syntax", line=line), text) for line in lines)


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ("// biome-ignore lint/suspicious/noDebugger: why\n\n// more\ndebugger;\ndebugger;\n", [4]),
        ("/* biome-ignore lint: why */\ndebugger;\n", [2]),
        ("{/* biome-ignore lint/suspicious/noDebugger: why */}\ndebugger;\n", [2]),
        ("// biome-ignore lint/correctness/noUnusedVariables: why\ndebugger;\n", []),
        ("// biome-ignore format: why\ndebugger;\n", []),
        ("// biome-ignore-all lint/suspicious/noDebugger: why\ndebugger;\n", [1, 2]),
        ("// biome-ignore-start lint/a/noDebugger: x\nf();\n// biome-ignore-end lint/a/noDebugger: x\nf();\n", [1, 2]),
    ],
)
def test_biomes_comments_count_where_biome_counts_them(text: str, off: list[int]) -> None:
    lines = range(1, text.count("\n") + 1)
    reported = [found("eslint(no-debugger)", "a.ts", line=line) for line in lines]
    assert [finding.start_line for finding in reported if is_off({}, finding, text)] == off
    assert not any(is_off({}, found("syntax-error", "a.ts", line=line), text) for line in lines)


# Versions of Python


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({}, 15),
        ({"pyproject.toml": "project.requires-python = '>=3.14'"}, 14),
        ({"pyproject.toml": "project.requires-python = '>=3.9,<3.13'"}, 9),
        ({"pyproject.toml": "project.requires-python = '<4, >= 3.11.2, !=3.12.1'"}, 11),
        ({"pyproject.toml": "project.requires-python = '~=3.10'"}, 10),
        ({"pyproject.toml": "project.requires-python = '==3.12.*'"}, 12),
        ({"pyproject.toml": "project.requires-python = '<3.12'"}, 15),
        ({"pyproject.toml": "project.requires-python = 3.12"}, 15),
        ({"pyproject.toml": "project.requires-python = '>=3.4'"}, 7),
        ({"pyproject.toml": "project.requires-python = '>=3.99'"}, 15),
        ({"pyproject.toml": "tool.poetry.dependencies.python = '^3.9 || ^3.12'"}, 9),
        ({"pyproject.toml": "project.requires-python = '>=3.9'\n[tool.ruff]\ntarget-version = 'py312'"}, 12),
        ({"ruff.toml": "target-version = 'py310'", "pyproject.toml": "project.requires-python = '>=3.9'"}, 10),
        ({"ruff.toml": "target-version = '--help'", "pyproject.toml": "project.requires-python = '>=3.9'"}, 9),
        ({"pyproject.toml": "project.requires-python = '>=3.9'", "app/pyproject.toml": "project.name = 'x'"}, 9),
        ({"pyproject.toml": REQUIRES.format(9), "app/pyproject.toml": REQUIRES.format(12)}, 12),
        ({"setup.cfg": "[options]\npython_requires = >=3.10", ".python-version": "3.13.1\n"}, 10),
        ({".python-version": "# why\n3.13.1\n3.9\n"}, 13),
        ({".python-version": "pypy3.10-7.3.12"}, 10),
        ({".python-version": "system"}, 15),
    ],
)
def test_the_version_is_the_lowest_that_the_project_names(files: dict[str, str], version: int) -> None:
    assert parse(files).python_version("app/a.py") == version


@pytest.mark.parametrize(
    ("name", "line", "version"),
    [
        ("pyproject.toml", 'requires-python = ">=3.12"', 12),
        ("pyproject.toml", "project.requires-python = '>=3.12,<4'", 12),
        ("pyproject.toml", 'python = "^3.12"', 12),
        ("pyproject.toml", 'target-version = "py312"', 12),
        ("setup.cfg", "python_requires = >=3.12", 12),
        (".python-version", "3.12.1", 12),
        ("pyproject.toml", 'requires-python = ">=3.8"', 9),
        ("pyproject.toml", 'requires-python = "<3.12"', 9),
        ("pyproject.toml", 'ipython = "3.12"', 9),
        ("pyproject.toml", '# requires-python = ">=3.12"', 9),
        ("app/pyproject.toml", 'requires-python = ">=3.12"', 9),
        ("README.md", 'requires-python = ">=3.12"', 9),
    ],
)
def test_a_version_that_the_change_raises_counts(name: str, line: str, version: int) -> None:
    settings = parse({"pyproject.toml": REQUIRES.format(9), ".flake8": "[flake8]\nignore = F401"})
    raised = settings.with_raised_versions({name: f"@@ -1 +1 @@\n-{line.replace('12', '14')}\n+{line}"})
    assert raised.python_version("a.py") == version
    assert raised.scopes == settings.scopes


# Hostile and broken files


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", "[tool.ruff"),
        ("pyproject.toml", "a" + ".a" * 60_000 + " = 1"),
        ("ruff.toml", "x = " + "[" * 50_000),
        ("setup.cfg", "no section"),
        (".oxlintrc.json", "[" * 100_000),
        (".oxlintrc.json", '{"a": ' * 50_000),
        ("biome.json", "[]"),
        (".hadolint.yaml", "ignored: &a [*a]"),
        (".hadolint.yaml", "[" * 50_000),
        ("zizmor.yml", "rules: !!python/object:x {}"),
        ("typos.toml", "x" * 200_000),
        (".pylintrc", "disable=unused-import"),
        ("cspell.json", "{"),
    ],
)
def test_a_broken_file_has_no_effect_and_is_named(file: str, text: str) -> None:
    settings = parse({file: text, ".flake8": "[flake8]\nignore = F401"})
    [problem] = settings.problems
    assert problem.startswith(f"`{file}` has no effect: ")
    assert settings.apply(F401, "") is None, "the other files count"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", "tool = 5"),
        ("pyproject.toml", "[tool]\nruff = 5\ntypos = []\npoetry = ''\n[project]\nrequires-python = []"),
        ("ruff.toml", "lint = []\nignore = {}\nper-file-ignores = 5\nbuiltins = 5\nextend = 5\nexclude = [1, [], '']"),
        ("ruff.toml", "lint.per-file-ignores = {'*.py' = 5, '' = ['F'], '{a,{b,' = ['F9'], '[' = ['F9']}"),
        (".oxlintrc.json", '{"rules": [], "overrides": {"files": 1}, "globals": 5, "ignorePatterns": {"a": 1}}'),
        (
            ".oxlintrc.json",
            '{"rules": {"a": null, "b": true, "c": [], "d": {}}, "overrides": [1, null, {"files": [5]}]}',
        ),
        ("biome.json", '{"linter": 5, "files": [], "overrides": [[]], "javascript": {"globals": {}}}'),
        ("typos.toml", "default = 5\ntype = []\nfiles = ''"),
        (".hadolint.yaml", "- a\n- b"),
        (".hadolint.yaml", "ignored: {a: b}\noverride: [x]"),
        ("zizmor.yml", "rules: {a: 5, b: {ignore: {x: y}, disable: 'yes'}, c: {ignore: ['x:y', 5]}}"),
        (".shellcheckrc", "disable\ndisable=\ndisable=SC9999-SC0001,x,SC1-SC2\nshell=$(x)"),
        (".python-version", "\0"),
    ],
)
def test_values_of_other_types_mean_nothing(file: str, text: str) -> None:
    settings = parse({file: text})
    assert settings.problems == ()
    for finding in (F401, DEBUGGER, TYPO, SC2086, DL3006, INJECTION, SECRET):
        assert settings.apply(finding, "") == finding


def test_configuration_is_looked_for_where_it_counts_and_bounded() -> None:
    assert paths_for([]) == []
    python = paths_for(["a/b/c.py"])
    assert {"pyproject.toml", "setup.cfg", ".python-version", "a/pyproject.toml", "a/b/ruff.toml"} <= set(python)
    assert not [path for path in python if "eslint" in path or "hadolint" in path]
    assert ".github/zizmor.yml" in paths_for([".github/workflows/ci.yml"])
    assert ".hadolint.yaml" in paths_for(["images/app.Dockerfile"])
    assert "bin/.shellcheckrc" in paths_for(["bin/a.sh"])
    many = paths_for([f"{'d/' * depth}a{kind}" for depth in range(50) for kind in (".py", ".ts", ".sh")])
    assert len(many) == MAX_PATHS
    assert "a.py" not in many


# As a whole


DEFERRED = "def f(a: Later) -> None:\n    print(a)\n\n\nclass Later:\n    pass\n"
ALIAS = "type Number = int\n"


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("base", "changed", "rules"),
    [
        ({}, {"a.py": "import os\n", "b.ts": "debugger;\n"}, {"F401", "eslint(no-debugger)"}),
        (
            {"pyproject.toml": LINT + "ignore = ['F401']", ".oxlintrc.json": '{"rules": {"no-debugger": "off"}}'},
            {"a.py": "import os\n", "b.ts": "debugger;\n"},
            {"off 2"},
        ),
        ({}, {"a.py": "import os\n", "pyproject.toml": LINT + "ignore = ['F401']"}, {"F401"}),
        ({"pyproject.toml": "["}, {"a.py": "import os\n"}, {"F401", "problem"}),
        ({"pyproject.toml": "project.requires-python = '>=3.14'"}, {"a.py": DEFERRED}, set()),
        ({"pyproject.toml": "project.requires-python = '>=3.11'"}, {"a.py": DEFERRED}, {"F821"}),
        (
            {"pyproject.toml": REQUIRES.format(14), "old/pyproject.toml": REQUIRES.format(10)},
            {"a.py": DEFERRED, "b.py": ALIAS, "old/[a] {b}*?!\x7f'\".py": ALIAS},
            {"invalid-syntax"},
        ),
        ({".shellcheckrc": "disable=SC2086"}, {"a.sh": "#!/bin/sh\necho $1\n"}, {"off 1"}),
        ({}, {"a.py": "import os  # pylint: disable=unused-import\n"}, {"off 1"}),
    ],
)
def test_a_review_heeds_the_settings_of_the_base(
    tmp_path: Path, base: dict[str, str], changed: dict[str, str], rules: set[str]
) -> None:
    git = Git(tmp_path / "repository")
    for path, text in base.items():
        git.file(path, text)
    git.commit()
    for path, text in changed.items():
        git.file(path, text)
    repository = GitRepository(git.directory)
    compared = repository.range("main")
    report = review(repository, compared, repository.changed_files(compared))
    assert report.engine_failures == ()
    reported = {finding.rule for finding in report.findings}
    reported |= {f"off {report.suppressed_by_linters}"} if report.suppressed_by_linters else set()
    assert reported | ({"problem"} if report.linter_problems else set()) == rules


def test_the_docs_list_the_files_and_keys_that_are_read() -> None:
    page = (Path(settings.BASE_DIR) / "docs/configuration.md").read_text(encoding="utf-8")
    section = page.partition("## Settings of other linters")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]
    files = {name for row in rows for name in re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", row[0]))}
    assert files == set(paths_for(["a.py", "a.ts", "a.sh", "Dockerfile", ".github/workflows/a.yml"]))

    package = Path(settings.BASE_DIR) / "reviews/config/linters"
    sources = "".join(file.read_text(encoding="utf-8") for file in package.glob("*.py"))
    read = set(re.findall(r'\.get\("([\w-]+)"', sources)) | {
        key for keys in re.findall(r"for key in \(([^)]*)\)", sources) for key in re.findall(r'"([\w-]+)"', keys)
    }
    documented = {part for word in re.findall(r"`([^`]+)`", section) for part in word.split(".")}
    assert read - documented == set()


def test_a_suggestion_on_other_lines_changes_nothing() -> None:
    finding = Finding("a.py", 2, 2, Severity.MINOR, "F401", "", suggestion=Suggestion(1, 2, None), engine="ruff")
    assert is_off({}, finding, "import re\nimport os  # pylint: disable=unused-import\n")


def test_a_file_of_open_strings_is_refused_at_once() -> None:
    with pytest.raises(BrokenFile, match="not valid JSON"):
        read_json('"$\\' * 40_000)


# Pylint, and other spelling checkers than typos


PLE1205, BARE_EXCEPT = found("PLE1205"), found("E722")
OTHER_WORD = found("typo", "docs/a.md", words="adn")
PYLINTRC = "[MESSAGES CONTROL]\ndisable=\n    unused-import,  # why\n    E1205,\n    W0702\n"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".pylintrc", PYLINTRC),
        ("pylintrc", "[MAIN]\ndisable = unused-import, E1205, bare-except\n"),
        ("setup.cfg", "[pylint.MESSAGES CONTROL]\ndisable=unused-import,E1205,W0702\n"),
        ("pyproject.toml", "[tool.pylint.'messages control']\ndisable = ['unused-import', 'E1205', 'W0702']\n"),
        ("pyproject.toml", "[tool.pylint]\ndisable = 'unused-import,E1205,bare-except'\n"),
    ],
)
def test_what_pylint_has_off_is_off(file: str, text: str) -> None:
    assert [is_off({file: text}, finding) for finding in (F401, PLE1205, BARE_EXCEPT, B006)] == [True] * 3 + [False]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", "[tool.ruff]\nline-length = 100\n"),
        (".flake8", "[flake8]\nextend-ignore = E203\n"),
    ],
)
def test_beside_ruff_or_flake8_pylint_counts_for_nothing(file: str, text: str) -> None:
    assert not is_off({".pylintrc": PYLINTRC, file: text}, F401)


def test_a_pylint_that_has_all_off_or_a_nested_one_says_nothing() -> None:
    assert not is_off({".pylintrc": "[MAIN]\ndisable=all\nenable=bare-except\n"}, F401)
    assert not is_off({"lib/pyproject.toml": "[tool.pylint]\ndisable = ['unused-import']\n"}, F401)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".codespellrc", "[codespell]\nignore-words-list = foo,Teh\n"),
        ("setup.cfg", "[codespell]\nignore-words-list = teh\n"),
        ("pyproject.toml", "[tool.codespell]\nignore-words-list = 'foo, teh'\n"),
        ("cspell.json", '{"version": "0.2", "words": ["Teh"],}'),
        (".cspell.json", '// why\n{"ignoreWords": ["teh"]}'),
        ("cspell.config.yaml", "words:\n  - teh\n"),
        (".cspell.yml", "overrides: [{filename: '**/*.md', words: [teh]}]\n"),
        (".vscode/cspell.json", '{"words": ["teh"]}'),
        ("package.json", '{"cspell": {"words": ["teh"]}}'),
        ("Cargo.toml", "[package.metadata.typos.default.extend-words]\nteh = 'teh'\n"),
        ("Cargo.toml", "[workspace.metadata.typos.default.extend-words]\nteh = 'teh'\n"),
        ("typos.toml", "[default]\nextend-ignore-words-re = ['^te[g-i]$']\n"),
    ],
)
def test_a_word_that_another_checker_accepts_is_right(file: str, text: str) -> None:
    assert [is_off({file: text}, finding) for finding in (TYPO, OTHER_WORD)] == [True, False]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".codespellrc", "[codespell]\nskip = ./docs,*.svg\n"),
        ("cspell.json", '{"ignorePaths": ["docs/**"]}'),
        ("cspell.json", '{"overrides": [{"filename": ["docs/*.md"], "words": ["teh"]}]}'),
    ],
)
def test_a_file_that_another_checker_skips_is_not_checked(file: str, text: str) -> None:
    assert [is_off({file: text}, one) for one in (TYPO, found("typo", "a.md", words="teh"), F401)] == [
        True,
        False,
        False,
    ]
