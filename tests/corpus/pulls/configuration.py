"""`.kodiai.yml`: what the base branch settles counts, what a pull request would settle does not."""

from sandbox import PullRequest, Sandbox
from tests.corpus.declarations import code, pull_request

WRONG = code("""
    import os


    def area(width, height, cache={}):
        print(f"area")
        return cache.setdefault((width, height), width * depth)
""")


def _pull(github: Sandbox, base: str, **changes: str) -> PullRequest:
    repo = github.create_repository(files={".kodiai.yml": base, "README.md": "# demo\n"})
    return repo.open_pull_request("Areas", changes={"src/area.py": WRONG, "docs/conf.py": WRONG, **changes})


@pull_request
def settled_paths_and_severities(github: Sandbox) -> PullRequest:
    """The repository ignores its docs, wants to hear nothing of F541 and takes an unused import for major."""
    return _pull(
        github,
        code("""
            paths:
              ignore: [docs/]
            severities:
              rules:
                F541: never
                F401: major
        """),
    )


@pull_request
def settled_limits(github: Sandbox) -> PullRequest:
    """One comment on a line at most, and nothing below major: the rest is in the summary, or counted."""
    return _pull(
        github,
        code("""
            limits:
              comments: 1
            severities:
              lowest: major
        """),
    )


@pull_request
def settled_that_nothing_runs(github: Sandbox) -> PullRequest:
    """All that reads these files is turned off: nothing is said but that nothing ran."""
    return _pull(github, "engines: {disable: [ruff, secrets, typos]}\n")


@pull_request
def settled_that_nobody_is_asked(github: Sandbox) -> PullRequest:
    """Reviews only when asked for: a new pull request gets none."""
    return _pull(github, "triggers: {actions: [review_requested]}\n")


@pull_request
def broken_configuration(github: Sandbox) -> PullRequest:
    """Two broken sections fall back to their defaults and are named; the third counts."""
    return _pull(
        github,
        code("""
            limits: {comments: many}
            severitys: {lowest: major}
            paths: {ignore: [docs/]}
        """),
    )


@pull_request
def configuration_that_is_no_yaml(github: Sandbox) -> PullRequest:
    """The defaults are used, and the review names the line."""
    return _pull(github, "limits:\n  comments: [1\npaths: {}\n")


@pull_request
def changed_configuration(github: Sandbox) -> PullRequest:
    """A pull request that would silence what is said of it: it is valid, and counts after the merge only."""
    return _pull(github, "{}\n", **{".kodiai.yml": "severities: {rules: {F821: never, B006: never, F401: never}}\n"})


@pull_request
def changed_configuration_that_is_broken(github: Sandbox) -> PullRequest:
    """What is wrong with it is reported before it is merged."""
    return _pull(github, "{}\n", **{".kodiai.yml": "limits: {comments: 1000}\nengines: ruff\n"})


@pull_request
def settled_that_few_files_are_looked_at(github: Sandbox) -> PullRequest:
    """Two files at most, from one of the core: the workflow and the code are looked at, the rest is named, folded."""
    repo = github.create_repository(files={".kodiai.yml": "limits: {files: 2}\n", "rooms.py": "ROOMS = 3\n"})
    return repo.open_pull_request(
        "Rooms, and how they are told of",
        author="oldhand",
        author_association="MEMBER",
        changes={
            ".github/workflows/rooms.yml": code("""
                on: push
                permissions: {}
                jobs:
                  rooms:
                    runs-on: ubuntu-latest
                    steps:
                      - run: python rooms.py
            """),
            "rooms.py": "import os\n\nROOMS = 4\nprint(ROOMS)\n",
            "README.md": "There are four rooms, and we recieve guests in all of them.\n",
            "rooms.toml": "rooms = 4\n",
            "plan.svg": "<svg/>\n",
        },
    )


@pull_request
def attributes_that_name_what_is_generated(github: Sandbox) -> PullRequest:
    """`.gitattributes` of the base branch: a client is generated, which nothing else says; a vendored file is ours."""
    attributes = "client/** linguist-generated\nvendor/area.py -linguist-vendored\n"
    repo = github.create_repository(files={".gitattributes": attributes})
    return repo.open_pull_request(
        "A client that is made",
        changes={"client/rooms.py": "import os\n", "vendor/area.py": "import os\n", "vendor/six.py": "import os\n"},
    )
