"""Good pull requests, in which nothing may be said."""

from sandbox import Executable, PullRequest, Sandbox
from tests.corpus.declarations import code, pull_request


@pull_request
def clean_python_feature(github: Sandbox) -> PullRequest:
    """A feature with its tests, as one would write it: no findings."""
    return github.create_repository().open_pull_request(
        "Temperatures can be converted",
        "Celsius, Fahrenheit and Kelvin, with tests.",
        changes={
            "convert/__init__.py": "",
            "convert/temperature.py": code('''
                """Temperatures in three units."""

                from __future__ import annotations

                from collections.abc import Callable
                from typing import Final

                ABSOLUTE_ZERO: Final = -273.15

                _TO_CELSIUS: dict[str, Callable[[float], float]] = {
                    "C": lambda value: value,
                    "F": lambda value: (value - 32) * 5 / 9,
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


                def main(arguments: list[str]) -> int:
                    for argument in arguments:
                        if (number := argument.rstrip("CFK")) and (unit := argument[-1]):
                            print(f"{celsius(float(number), unit):.1f}")
                    return 0
            '''),
            "tests/test_temperature.py": code("""
                import pytest

                from convert.temperature import celsius


                @pytest.mark.parametrize(
                    ("value", "unit", "expected"),
                    [(0, "C", 0), (212, "F", 100), (0, "K", -273.15)],
                )
                def test_it_is_converted(value, unit, expected):
                    assert celsius(value, unit) == pytest.approx(expected)


                def test_colder_than_can_be_is_refused():
                    with pytest.raises(ValueError, match="colder"):
                        celsius(-1, "K")
            """),
        },
    )


@pull_request
def clean_typescript_module(github: Sandbox) -> PullRequest:
    """A small module in TypeScript: no findings."""
    return github.create_repository().open_pull_request(
        "Retry with a growing pause",
        changes={
            "src/retry.ts": code("""
                export interface RetryOptions {
                  times?: number;
                  pause?: number;
                  sleep?: (milliseconds: number) => Promise<void>;
                }

                const wait = (milliseconds: number) =>
                  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

                export async function retry<T>(
                  call: () => Promise<T>,
                  { times = 3, pause = 100, sleep = wait }: RetryOptions = {},
                ): Promise<T> {
                  for (let attempt = 1; ; attempt++) {
                    try {
                      return await call();
                    } catch (error) {
                      if (attempt >= times) {
                        throw error;
                      }
                      await sleep(pause * 2 ** attempt);
                    }
                  }
                }
            """)
        },
    )


@pull_request
def clean_shell_script(github: Sandbox) -> PullRequest:
    """A script that quotes, checks and stops: no findings."""
    return github.create_repository().open_pull_request(
        "Release by a script",
        changes={
            "bin/release.sh": Executable(
                code("""
                    #!/usr/bin/env bash
                    set -euo pipefail

                    version="${1:?usage: release.sh VERSION}"
                    cd "$(dirname "$0")/.."

                    if ! git diff --quiet; then
                      echo "There are changes that are not committed." >&2
                      exit 1
                    fi
                    while IFS= read -r -d '' file; do
                      sed -i "s/^version = .*/version = \\"$version\\"/" "$file"
                    done < <(find . -name pyproject.toml -print0)
                    git commit --all --message="Release $version"
                    git tag "v$version"
                """)
            )
        },
    )


@pull_request
def clean_container_image(github: Sandbox) -> PullRequest:
    """An image with versions, a user and no shell around its command: no findings."""
    return github.create_repository().open_pull_request(
        "A container image",
        changes={
            "Dockerfile": code("""
                FROM python:3.12-slim AS build
                WORKDIR /build
                COPY requirements.txt .
                RUN pip install --no-cache-dir --prefix=/install -r requirements.txt

                FROM python:3.12-slim
                COPY --from=build /install /usr/local
                COPY app /srv/app
                USER 1000
                CMD ["python", "-m", "app"]
            """),
            "requirements.txt": "flask==3.1.0\n",
        },
    )


@pull_request
def clean_workflow(github: Sandbox) -> PullRequest:
    """A workflow with few permissions and nothing of a stranger in a shell: no findings."""
    return github.create_repository().open_pull_request(
        "Test every push",
        changes={
            ".github/workflows/test.yml": code("""
                name: Test
                on:
                  push:
                    branches: [main]
                  pull_request:

                permissions:
                  contents: read

                jobs:
                  test:
                    runs-on: ubuntu-latest
                    steps:
                      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
                        with:
                          persist-credentials: false
                      - name: Test
                        env:
                          BRANCH: ${{ github.head_ref }}
                        run: |
                          echo "Testing $BRANCH"
                          make test
            """)
        },
    )


@pull_request
def clean_documentation(github: Sandbox) -> PullRequest:
    """Prose with names, abbreviations and code in it: no findings."""
    return github.create_repository().open_pull_request(
        "Explain how deliveries are kept",
        changes={
            "docs/delivery.md": code("""
                # How deliveries are kept

                Each delivery is written to the inbox (a table in PostgreSQL) before GitHub gets its answer. A worker
                claims it with `UPDATE … WHERE status = 'queued'` and believes the row count.

                | State | Meaning |
                | --- | --- |
                | `queued` | nobody works on it |
                | `running` | somebody has a lease |

                See also the OAuth flow, the `ORM`'s query planner, and Knuth's *The Art of Computer Programming*.
            """),
            "CHANGELOG.md": "## 1.4.0\n\n- Deliveries survive a restart (#1234, thanks to @mona).\n",
        },
    )


@pull_request
def clean_translation(github: Sandbox) -> PullRequest:
    """Texts in German and French are no misspelled English: no findings."""
    return github.create_repository().open_pull_request(
        "German and French",
        changes={
            "locale/de.po": 'msgid "Your order"\nmsgstr "Ihre Bestellung wurde aufgenommen und wird bearbeitet."\n',
            "docs/de/anleitung.md": "# Anleitung\n\nDer Fühler misst die Temperatur und regelt sie nach.\n",
            "docs/fr/guide.md": "# Guide\n\nLe capteur mesure la température et la maintient.\n",
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


@pull_request
def clean_dependency_update(github: Sandbox) -> PullRequest:
    """A bot's update of versions: no findings."""
    repo = github.create_repository(
        files={"requirements.txt": "django==5.2.1\n", "package.json": '{"dependencies": {"vite": "^6.0.0"}}\n'}
    )
    return repo.open_pull_request(
        "Bump django from 5.2.1 to 5.2.4",
        changes={"requirements.txt": "django==5.2.4\n", "package.json": '{"dependencies": {"vite": "^6.0.7"}}\n'},
    )
