"""A language each, with what goes wrong in it."""

from sandbox import PullRequest, Sandbox
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
