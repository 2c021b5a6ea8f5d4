"""Good pull requests, in which nothing may be said."""

from sandbox import Executable, PullRequest, Sandbox
from tests.corpus.declarations import code, pull_request


@pull_request
def clean_feature(github: Sandbox) -> PullRequest:
    """A feature in every language that is read, as one would write it, and a page in two languages: no findings."""
    return github.create_repository().open_pull_request(
        "Temperatures can be converted",
        "Celsius and Kelvin, with a test, a script and an image.",
        changes={
            "convert/__init__.py": "",
            "convert/temperature.py": code('''
                """Temperatures in two units."""

                from __future__ import annotations

                from collections.abc import Callable
                from typing import Final

                ABSOLUTE_ZERO: Final = -273.15

                _TO_CELSIUS: dict[str, Callable[[float], float]] = {
                    "C": lambda value: value,
                    "K": lambda value: value + ABSOLUTE_ZERO,
                }


                def celsius(value: float, unit: str) -> float:
                    """Return a temperature in Celsius. Raises ValueError for what is colder than can be."""
                    try:
                        found = _TO_CELSIUS[unit](value)
                    except KeyError:
                        raise ValueError(f"no unit {unit!r}") from None
                    if found < ABSOLUTE_ZERO:
                        raise ValueError(f"{value} {unit} is colder than can be")
                    return found
            '''),
            "tests/test_temperature.py": code("""
                import pytest

                from convert.temperature import celsius


                @pytest.mark.parametrize(("value", "unit", "expected"), [(0, "C", 0), (0, "K", -273.15)])
                def test_it_is_converted(value, unit, expected):
                    assert celsius(value, unit) == pytest.approx(expected)
            """),
            "web/retry.ts": code("""
                const wait = (milliseconds: number) =>
                  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

                export async function retry<T>(call: () => Promise<T>, times = 3): Promise<T> {
                  for (let attempt = 1; ; attempt++) {
                    try {
                      return await call();
                    } catch (error) {
                      if (attempt >= times) {
                        throw error;
                      }
                      await wait(100 * 2 ** attempt);
                    }
                  }
                }
            """),
            "bin/release.sh": Executable(
                code("""
                    #!/usr/bin/env bash
                    set -euo pipefail

                    version="${1:?usage: release.sh VERSION}"
                    cd "$(dirname "$0")/.."
                    while IFS= read -r -d '' file; do
                      sed -i "s/^version = .*/version = \\"$version\\"/" "$file"
                    done < <(find . -name pyproject.toml -print0)
                    git tag "v$version"
                """)
            ),
            "Dockerfile": code("""
                FROM python:3.12-slim
                COPY convert /srv/convert
                USER 1000
                CMD ["python", "-m", "convert"]
            """),
            ".github/workflows/test.yml": code("""
                on: [push]
                permissions:
                  contents: read
                jobs:
                  test:
                    runs-on: ubuntu-latest
                    steps:
                      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
                        with:
                          persist-credentials: false
                      - env:
                          BRANCH: ${{ github.head_ref }}
                        run: |
                          echo "Testing $BRANCH"
                          make test
            """),
            "docs/delivery.md": code("""
                # How deliveries are kept

                A worker claims a row with `UPDATE … WHERE status = 'queued'` and believes the row count (#1234, thanks
                to @mona). See also the OAuth flow and Knuth's *The Art of Computer Programming*.
            """),
            "docs/de/anleitung.md": "# Anleitung\n\nDer Fühler misst die Temperatur und regelt sie nach.\n",
        },
    )


@pull_request
def clean_change_beside_old_faults(github: Sandbox) -> PullRequest:
    """One good line in a file full of old faults: they are counted, and not one is said."""
    before = code("""
        import os, sys
        from math import *


        def load(path, cache={}):
            try:
                return cache[path]
            except:
                cache[path] = open(path).read()
                return cache[path]


        def check(value):
            if value == None:
                return False
            l = len(value)
            return l > 0


        VERSION = "1.0"
    """)
    repo = github.create_repository(files={"legacy.py": before})
    return repo.open_pull_request("Version 1.1", changes={"legacy.py": before.replace('"1.0"', '"1.1"')})


@pull_request
def clean_silenced_lines(github: Sandbox) -> PullRequest:
    """Lines on which the author silenced a rule, in sight of every reader: no findings."""
    return github.create_repository().open_pull_request(
        "Names for users of the package",
        changes={
            "package/__init__.py": "from package.core import run  # noqa: F401\n",
            "package/core.py": code("""
                def run(command, seen=[]):  # noqa: B006  # shared on purpose: each command once per process
                    if command not in seen:
                        seen.append(command)
                    return seen
            """),
            "bin/start.sh": code("""
                #!/bin/sh
                # shellcheck disable=SC2086  # options are to be split
                exec python run.py $OPTIONS
            """),
        },
    )
