"""A hostile `.kodiai.yml` is read in milliseconds, falls back to the defaults, and the review says so."""

import pytest

from reviews.config.repository import MAX_CHARACTERS, RepositoryConfig, parse
from tests.support.hostile import check_config

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "telemetry: &a {enabled: false, b: *a}",
        "telemetry: !!python/object/apply:os.system ['touch /tmp/evil']",
        "telemetry: !!timestamp x",
        "telemetry: !!bool x",
        "telemetry: 2001-99-99",
        "telemetry: " + ":".join(["59"] * 2000) + ".5",
        "telemetry: " + "9" * 5000,
        "telemetry:\n  enabled: true\ntelemetry:\n  enabled: false\n",
        "telemetry: {enabled: true, enabled: false}",
        "telemetry: " + "[" * 60_000,
        "telemetry: " + "[" * 30 + "]" * 30,
        "- " * 30_000,
        "telemetry: \0",
        "telemetry: \ud800",
        "telemetry: {enabled: \x1b[31m}",
        "a: b: c",
        "%YAML 9.9\n---\n",
        "x" * (MAX_CHARACTERS + 1),
        "a" * 60_000 + ": 1",
    ],
    ids=range(20),
)
def test_an_unreadable_file_falls_back_to_the_defaults(text: str) -> None:
    done = parse(text)
    assert done.telemetry == RepositoryConfig().telemetry
    assert done.problems
    check_config(text)


@pytest.mark.parametrize(
    "text",
    [
        ":".join(["59"] * 20_000),
        "'" + "''" * 30_000 + "'",
        "a: 2001-1-1" + " " * 60_000 + "x",
        "a: " + "1:" * 30_000,
        "0b" + "1" * 60_000,
        "_" * 60_000,
        "a:" + " " * 60_000 + "b",
        "#" * 60_000,
        '"' + "\\n" * 30_000 + '"',
    ],
    ids=range(9),
)
def test_no_regular_expression_of_yaml_is_driven_to_distraction(text: str) -> None:
    check_config(text)


def test_the_review_repeats_nothing_of_the_file() -> None:
    for text in (
        "'@everyone': 1",
        "telemetry: {'@everyone': 1}",
        "telemetry: '@everyone'",
        "telemetry: {enabled: '@e'}",
    ):
        assert "@" not in "".join(parse(text).problems)


def test_an_alias_is_refused_and_not_followed() -> None:
    done = parse("x: &a {enabled: false}\ntelemetry: *a\n")
    assert done.telemetry.enabled
    assert done.problems == ("`.kodiai.yml` is not valid YAML (line 2); the defaults were used.",)
