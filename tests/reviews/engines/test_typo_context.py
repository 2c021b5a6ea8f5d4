"""Misspellings are told where people read them, and names are told from words."""

import pytest

from reviews.engines.analyzer import run_analyzer
from reviews.engines.analyzers import typos

MEANT = {
    "a package before its version": ("news.md", "- Upgrade certifi to 2026.1.4 and be done with it.\n"),
    "a product within a sentence": ("a.md", "This is the way to run Eclipse Mosquitto with the rest of it.\n"),
    "a name that code of the text has": ("a.md", "To start it use `recieve run`: the recieve command is for that.\n"),
    "a name of the file itself": ("routeros.sh", "#!/bin/sh\n# push the key to routeros and wait for it\n"),
    "a part of an identifier": ("a.md", "Set the option recieve_all or --recieve-all, that is all of it.\n"),
    "a host": ("a.md", "The address of this is recieve.example.org and that is it.\n"),
    "two spellings in use": ("a.md", "That input is unparseable and this is for the queueing of it.\n"),
    "a word that is quoted": ("a.md", 'The column is "recieve" and that is what it is in the table.\n'),
    "a line about spelling": ("a.md", "Fix the typo recieve in the names of the functions and of this.\n"),
    "a word that the text uses throughout": ("a.md", "This is the recieve of the day.\n" * 4),
    "a text that stands in for another": (
        "a.md",
        "Here is the text that is to be. Lorem ipsum dolor sit amet, elit. Nulla facilisi.\n\n"
        "You must be at least as old as it is to use this. Sed vulputate sapien eu varius efficitur.\n",
    ),
    "the end of a word": ("a.md", "Decide for it that this is the argu-\n    ment of the line, and not that of it.\n"),
    "a sentence of another language": (
        "a.md",
        "This is the manual of it, and that is all there is.\n"
        "Of the two this is the one to be read with it. Der Server ist nicht die adress und das ist der Grund.\n"
        "This is the end of the text, and it is not that of the other.\n",
    ),
    "a paragraph in French": (
        "a.md",
        "This is the manual of it, and that is all there is to be said of it for this and that.\n\n\n\n\n"
        "Le serveur est une adress pour les paquets, et nous avons une liste des choses que nous voulons.\n"
        "Elle est une partie de la documentation que nous avons faite avec une application.\n",
    ),
}
SHOWN = {
    "prose": ("a.md", "We recieve the goods of the day.\n", "minor"),
    "a sentence beside one that stands in": ("a.md", "Lorem ipsum dolor sit. We recieve the goods of it.\n", "minor"),
    "the start of a sentence": ("a.md", "This is it. Recieve the goods of the day.\n", "minor"),
    "a heading": ("a.md", "## Recieve the goods of the day\n", "minor"),
    "the subject of a commit": ("CHANGES.md", "- [029a525](../../commit/029a525) We recieve the goods of it\n", "info"),
    "a commit at the end": (
        "CHANGELOG.md",
        "* We recieve the goods of it ([abc1234](https://github.com/a/b/commit/abc1234))\n",
        "info",
    ),
    "a commit without a link": ("NEWS.md", "- 029a525 We recieve the goods of it\n", "info"),
    "the title of a pull request": ("NEWS.md", "* We recieve the goods of it by @jo in #3\n", "info"),
    "the address of a pull request": ("NEWS.md", "* We recieve it by @jo: https://github.com/o/r/pull/3\n", "info"),
    "a change that somebody describes": ("CHANGELOG.md", "- We recieve the goods of it (#123, @jo)\n", "minor"),
    "a number in a change log": ("CHANGELOG.md", "- 20240110 We recieve the goods of it\n", "minor"),
    "a message of a script": ("a.sh", '#!/bin/sh\n_err "The update was not succesful, try that again"\n', "minor"),
    "a message on several lines": (
        "a.sh",
        '#!/bin/sh\necho -e "  ${CROSS}\n      run by a user\n      The program requires elevated privleges to run"\n',
        "minor",
    ),
    "a message of Python": ("a.py", 'raise SystemExit("cannot recieve the goods of the day")\n', "minor"),
    "a message of JavaScript": ("a.js", "console.log(\"cannot recieve the goods of the day\");\n", "minor"),
    "a value of Python": ("a.py", "TITLE = {'title': 'we recieve the goods of the day'}\n", "info"),
    "a comment of a script": ("a.sh", "#!/bin/sh\n# this is the recieve of the day, it's \"all\"\n", "info"),
    "a comment of Python": ("a.py", "x = '#'  # we recieve the goods of the day\n", "info"),
    "a docstring": ("a.py", '"""We recieve the goods of the day."""\n', "info"),
    "a comment of JavaScript": ("a.ts", "f('a'); // we recieve the goods of the day\n", "info"),
}  # fmt: skip


@pytest.mark.parametrize("case", MEANT)
def test_what_is_meant_as_it_is_is_no_misspelling(case: str) -> None:
    path, text = MEANT[case]
    assert run_analyzer(typos.ANALYZER, {path: text}) == []


@pytest.mark.parametrize("case", SHOWN)
def test_a_misspelling_counts_where_people_read_it(case: str) -> None:
    path, text, severity = SHOWN[case]
    assert [finding.severity for finding in run_analyzer(typos.ANALYZER, {path: text})] == [severity]
