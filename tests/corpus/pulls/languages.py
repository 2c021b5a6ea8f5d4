"""A language each, with what goes wrong in it."""

from sandbox import Executable, PullRequest, Sandbox
from tests.corpus.declarations import code, pull_request


@pull_request
def python_unused_imports(github: Sandbox) -> PullRequest:
    """Two imports that nobody uses and an f-string without a placeholder: three remarks, each with one click."""
    repo = github.create_repository(
        files={
            "mailer/templates.py": code("""
                \"\"\"Templates of the letters that we send.\"\"\"


                def greeting(name):
                    return f"Dear {name},"
            """)
        }
    )
    return repo.open_pull_request(
        "Letters say goodbye",
        "Every letter ends with the team's name now.",
        changes={
            "mailer/templates.py": code("""
                \"\"\"Templates of the letters that we send.\"\"\"

                import datetime
                from string import Formatter, Template


                def greeting(name):
                    return f"Dear {name},"


                FAREWELL = Template("Yours, $team")


                def farewell(team):
                    if not team:
                        return f"Yours sincerely"
                    return FAREWELL.substitute(team=team)
            """)
        },
    )


@pull_request
def python_undefined_name(github: Sandbox) -> PullRequest:
    """A variable was renamed and one use of it was not: critical, because it fails when that line is reached."""
    repo = github.create_repository(
        files={
            "stock.py": code("""
                def restock(shelf, delivery):
                    for item in delivery:
                        shelf[item.sku] = shelf.get(item.sku, 0) + item.amount
                    return shelf
            """)
        }
    )
    return repo.open_pull_request(
        "Count what is restocked",
        changes={
            "stock.py": code("""
                def restock(shelf, delivery):
                    \"\"\"Put a delivery on the shelf; return how many items came.\"\"\"
                    count = 0
                    for item in delivery:
                        shelf[item.sku] = shelf.get(item.sku, 0) + item.amount
                        counter += item.amount
                    return count
            """)
        },
    )


@pull_request
def python_syntax_error(github: Sandbox) -> PullRequest:
    """A file that no Python reads: said once or twice where it breaks, and not for every line after it."""
    return github.create_repository().open_pull_request(
        "Add retries",
        changes={
            "retry.py": code("""
                import time


                def retry(call, times=3, pause=0.1)
                    for attempt in range(times):
                        try:
                            return call()
                        except ConnectionError:
                            time.sleep(pause * 2 ** attempt)
                    raise RuntimeError("gave up")
            """)
        },
    )


@pull_request
def python_type_stubs(github: Sandbox) -> PullRequest:
    """Stubs are Python too: the name that is defined nowhere is said, their dots are not."""
    return github.create_repository().open_pull_request(
        "Ship type stubs",
        changes={
            "geo/point.pyi": code("""
                from typing import overload

                class Point:
                    x: float
                    y: float
                    def __init__(self, x: float, y: float) -> None: ...
                    @overload
                    def scaled(self, by: float) -> Point: ...
                    @overload
                    def scaled(self, by: Vector) -> Point: ...

                def distance(a: Point, b: Point) -> float: ...
            """)
        },
    )


@pull_request
def javascript_left_over_debugger(github: Sandbox) -> PullRequest:
    """A debugger statement, a key that is there twice and a comparison with NaN that is never true."""
    repo = github.create_repository(
        files={
            "src/prices.js": code("""
                export function total(items) {
                  return items.reduce((sum, item) => sum + item.price, 0);
                }
            """)
        }
    )
    return repo.open_pull_request(
        "Prices in three currencies",
        changes={
            "src/prices.js": code("""
                const SYMBOLS = {
                  EUR: "€",
                  USD: "$",
                  GBP: "£",
                  EUR: "EUR",
                };

                export function total(items) {
                  debugger;
                  return items.reduce((sum, item) => sum + item.price, 0);
                }

                export function label(items, currency) {
                  const sum = total(items);
                  if (sum === NaN) {
                    return "–";
                  }
                  return `${SYMBOLS[currency]} ${sum.toFixed(2)}`;
                }
            """)
        },
    )


@pull_request
def typescript_unreachable_branch(github: Sandbox) -> PullRequest:
    """A branch that repeats the condition before it, and code behind a return."""
    return github.create_repository().open_pull_request(
        "Roles decide what is shown",
        changes={
            "src/roles.ts": code("""
                export type Role = "admin" | "editor" | "reader";

                export interface Menu {
                  entries: string[];
                  home: string;
                }

                export function menuFor(role: Role): Menu {
                  if (role === "admin") {
                    return { entries: ["users", "pages", "settings"], home: "/admin" };
                  } else if (role === "editor") {
                    return { entries: ["pages"], home: "/pages" };
                  } else if (role === "editor") {
                    return { entries: ["pages", "drafts"], home: "/drafts" };
                  }
                  return { entries: [], home: "/" };
                  console.log("no menu for", role);
                }
            """)
        },
    )


@pull_request
def react_list_without_keys(github: Sandbox) -> PullRequest:
    """Elements of a list without a key, and a hook that is called on a condition."""
    return github.create_repository().open_pull_request(
        "A list of orders",
        changes={
            "web/Orders.jsx": code("""
                import { useState } from "react";

                export function Orders({ orders, foldable }) {
                  if (foldable) {
                    const [open, setOpen] = useState(false);
                    if (!open) {
                      return <button onClick={() => setOpen(true)}>Show {orders.length} orders</button>;
                    }
                  }
                  return (
                    <ul>
                      {orders.map((order) => (
                        <li>
                          {order.number}: {order.total}
                        </li>
                      ))}
                    </ul>
                  );
                }
            """)
        },
    )


@pull_request
def shell_unquoted_variables(github: Sandbox) -> PullRequest:
    """Variables that split at blanks, a directory that may not be there, and an rm that may begin at the root."""
    return github.create_repository().open_pull_request(
        "A script for backups",
        changes={
            "bin/backup.sh": Executable(
                code("""
                    #!/usr/bin/env bash
                    set -u

                    target=$1
                    stamp=$(date +%Y-%m-%d)

                    cd $target
                    mkdir -p "backups/$stamp"
                    for file in $(ls *.db); do
                      cp $file "backups/$stamp/"
                    done
                    rm -rf "$target/"*.tmp
                    if [ $(ls backups | wc -l) > 7 ]; then
                      echo "More than seven backups, the oldest can go"
                    fi
                """)
            )
        },
    )


@pull_request
def dockerfile_that_waits_for_an_answer(github: Sandbox) -> PullRequest:
    """An image without a tag, an apt that asks, ADD for a plain file and a command that is run by a shell."""
    return github.create_repository(files={"app.py": "print('hello')\n"}).open_pull_request(
        "Run it in a container",
        changes={
            "Dockerfile": code("""
                FROM python
                RUN apt-get update && apt-get install libpq5
                WORKDIR app
                ADD app.py /srv/app.py
                RUN curl -sSL https://example.com/install.sh | sh
                CMD python /srv/app.py
            """),
            ".dockerignore": ".git\n",
        },
    )


@pull_request
def workflow_that_runs_a_strangers_title(github: Sandbox) -> PullRequest:
    """A workflow that runs with the repository's secrets and puts the title of a pull request into a shell."""
    return github.create_repository().open_pull_request(
        "Greet who opens a pull request",
        changes={
            ".github/workflows/greet.yml": code("""
                name: Greet
                on:
                  pull_request_target:
                    types: [opened]

                permissions:
                  pull-requests: write

                jobs:
                  greet:
                    runs-on: ubuntu-latest
                    steps:
                      - uses: actions/checkout@v4
                        with:
                          ref: ${{ github.event.pull_request.head.sha }}
                      - name: Say hello
                        run: |
                          echo "Thank you for: ${{ github.event.pull_request.title }}"
                          npm install && npm run greet
            """)
        },
    )


@pull_request
def markdown_with_misspellings(github: Sandbox) -> PullRequest:
    """Misspelled words on lines that are new; the one that was there before is nobody's matter here."""
    before = code("""
        # Thermostat

        Reads the temprature of a room and keeps it.
    """)
    return github.create_repository(files={"README.md": before}).open_pull_request(
        "Describe how to calibrate",
        changes={
            "README.md": before
            + code("""

                ## Calibration

                The sensor is calibrated seperately for each room. Wait untill the reading is stable,
                then press the button for three seconds. Values outside of -20 °C to 60 °C are ignored.
            """)
        },
    )


@pull_request
def settings_with_a_key_in_them(github: Sandbox) -> PullRequest:
    """A key of a cloud account in a settings file: critical. The placeholder beside it is none."""
    # Put together here, so that no scanner takes this file for a leak.
    key = "AKIA" + "Z7QW3NRTX5LV2HJM"
    secret = "q9Vt4LxPz0" + "KbW7uYhR2mD8sJc" + "E5nG1aFoT3iBvXy"
    return github.create_repository(files={"settings/base.yml": "bucket: reports\n"}).open_pull_request(
        "Upload reports",
        changes={
            "settings/base.yml": f"bucket: reports\naws_access_key_id: {key}\naws_secret_access_key: {secret}\n",
            "settings/example.yml": (
                "bucket: reports\naws_access_key_id: AKIAIOSFODNN7EXAMPLE\naws_secret_access_key: <yours>\n"
            ),
            "upload.py": code("""
                import boto3


                def upload(path, settings):
                    client = boto3.client(
                        "s3",
                        aws_access_key_id=settings["aws_access_key_id"],
                        aws_secret_access_key=settings["aws_secret_access_key"],
                    )
                    client.upload_file(path, settings["bucket"], path)
            """),
        },
    )


@pull_request
def languages_that_no_linter_reads(github: Sandbox) -> PullRequest:
    """Go, Rust, SQL and a template: there is nothing to say, and the review says what was not looked at."""
    return github.create_repository().open_pull_request(
        "A counter in four languages",
        changes={
            "counter.go": code("""
                package counter

                // Counter counts. Its zero value is ready for use.
                type Counter struct{ n int }

                // Add adds to the count.
                func (c *Counter) Add(n int) { c.n += n }
            """),
            "src/lib.rs": code("""
                /// Counts what is added to it.
                #[derive(Default)]
                pub struct Counter(u64);

                impl Counter {
                    pub fn add(&mut self, n: u64) {
                        self.0 += n;
                    }
                }
            """),
            "schema.sql": "CREATE TABLE counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL DEFAULT 0);\n",
            "templates/counter.html": "<p>{{ counter.name }}: <strong>{{ counter.n }}</strong></p>\n",
        },
    )
