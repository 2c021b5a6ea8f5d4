"""Bytes that are not what most programs expect: line ends, marks, encodings, names."""

import os

from sandbox import PullRequest, Sandbox
from tests.corpus.declarations import code, pull_request

ROOMS = code("""
    import json
    import os


    def rooms(path):
        with open(path) as file:
            return json.load(file)
""")
"""With one import that is not used, in line 2."""


@pull_request
def windows_line_ends(github: Sandbox) -> PullRequest:
    """A file with CRLF: the remark stands on its line, and no suggestion is offered that would mix line ends."""
    before = ROOMS.replace("import os\n", "").replace("\n", "\r\n")
    repo = github.create_repository(files={"rooms.py": before})
    return repo.open_pull_request("Read rooms from a file", changes={"rooms.py": ROOMS.replace("\n", "\r\n")})


@pull_request
def line_ends_made_alike(github: Sandbox) -> PullRequest:
    """All line ends change and nothing else: to git and to GitHub every line is new."""
    repo = github.create_repository(files={"rooms.py": ROOMS.replace("\n", "\r\n")})
    return repo.open_pull_request("Line ends of Unix everywhere", changes={"rooms.py": ROOMS})


@pull_request
def byte_order_mark(github: Sandbox) -> PullRequest:
    """A mark before the first line, which some editors write: lines and columns are what they are without it."""
    return github.create_repository().open_pull_request(
        "Rooms",
        changes={"rooms.py": "\ufeff" + ROOMS, "first.py": "\ufeffimport sys\nimport re\n\nprint(re.escape('.'))\n"},
    )


@pull_request
def latin_1_source(github: Sandbox) -> PullRequest:
    """Source that is not UTF-8: it is left out with the reason, and the file beside it is looked at."""
    return github.create_repository().open_pull_request(
        "Greetings in French",
        changes={
            "greetings.py": b"# -*- coding: latin-1 -*-\nimport os\nHELLO = 'all\xf4, \xe7a va?'\n",
            "greet.py": "import greetings\n\nprint(f'hello')\n",
        },
    )


@pull_request
def utf_16_source(github: Sandbox) -> PullRequest:
    """Source in UTF-16 is binary to git: no diff, nothing said."""
    return github.create_repository().open_pull_request("From Windows", changes={"rooms.py": ROOMS.encode("utf-16")})


@pull_request
def names_that_are_not_utf8(github: Sandbox) -> PullRequest:
    """A name that GitHub's JSON cannot hold: what it shows in its place leads nowhere, and the file is left out."""
    return github.create_repository().open_pull_request(
        "Old names", changes={os.fsdecode(b"caf\xe9.py"): ROOMS, "tea.py": ROOMS}
    )


@pull_request
def names_in_many_scripts(github: Sandbox) -> PullRequest:
    """Blanks, accents, Cyrillic, Chinese and an emoji in names: each file is found, and each remark stands on it."""
    names = ("Räume und Größen/räume.py", "комнаты.py", "房间.py", "room 🛋️.py", "e\u0301tage.py")
    return github.create_repository().open_pull_request("Rooms everywhere", changes=dict.fromkeys(names, ROOMS))


@pull_request
def bare_carriage_returns(github: Sandbox) -> PullRequest:
    """A carriage return alone ends a line to Python and not to git: the remark stands where a reader sees it."""
    return github.create_repository().open_pull_request(
        "From an old Macintosh",
        changes={"old.py": "A = 1\rB = 2\rC = 3\n" + ROOMS},
    )


@pull_request
def no_line_break_at_the_end(github: Sandbox) -> PullRequest:
    """The last line has no line break, and it is the one with the remark."""
    repo = github.create_repository(files={"rooms.py": "KITCHEN = 1\n"})
    return repo.open_pull_request("Halls", changes={"rooms.py": "KITCHEN = 1\nHALL = 2\nimport os"})


@pull_request
def wide_characters_before_the_place(github: Sandbox) -> PullRequest:
    """Columns are counted in characters, not in bytes or in halves: the suggestion keeps what is before and after."""
    return github.create_repository().open_pull_request(
        "Labels",
        changes={"labels.py": 'LABELS = ("🛋️ sofa", "café", f"plain", "𝒳")\nSIGN = "𝒳𝒳𝒳"; same = SIGN == None\n'},
    )


@pull_request
def tabs_and_form_feeds(github: Sandbox) -> PullRequest:
    """A form feed ends no line, and a tab is one character."""
    return github.create_repository().open_pull_request(
        "Sections",
        changes={"sections.py": "A = 1\n\f\nimport os\n\f\ndef f(x):\n\tif x == None:\n\t\treturn A\n\treturn x\n"},
    )
