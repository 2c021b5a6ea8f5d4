"""What pylint and other spelling checkers than typos have turned off in the base is not contradicted."""

import pytest

from reviews.config.linters import parse
from tests.reviews.config.test_linters import B006, F401, TYPO, found, is_off

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


def test_a_broken_file_is_named_and_has_no_effect() -> None:
    settings = parse({".pylintrc": "disable=unused-import", "cspell.json": "{"})
    assert len(settings.problems) == 2
    assert settings.apply(F401, "") is not None
