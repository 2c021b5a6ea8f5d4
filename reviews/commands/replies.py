"""The words of answers to comments. Of a comment nothing is repeated but the name of a command."""

import json
from dataclasses import replace
from difflib import get_close_matches

from django.conf import settings

from reviews.config import repository
from reviews.findings import Finding
from reviews.models import Command
from reviews.publishing.grouping import Remark
from reviews.publishing.markdown import code, comment_body

_WHAT_IT_DOES = {
    Command.REVIEW: "reviews the pull request as it is now; the mention alone does the same",
    Command.PAUSE: "starts no more reviews of this pull request by itself",
    Command.RESUME: "ends that",
    Command.IGNORE: "in a reply to a comment of Kodiai's: never says that again in this repository",
    Command.EXPLAIN: "in a reply to a comment of Kodiai's: tells what is known of the rule, and how to silence it",
    Command.HELP: "lists the commands, for everybody; all others need write access",
}


def asked(command: Command) -> str:
    """A command as it is written in a comment, as code: so it mentions nobody."""
    return code(f"@{settings.KODIAI_GITHUB_APP_SLUG} {command}")


def help_body() -> str:
    """The table of commands."""
    rows = [f"| {asked(command)} | {what} |" for command, what in _WHAT_IT_DOES.items()]
    return "\n".join(["| Comment | What Kodiai does |", "| --- | --- |", *rows])


def unknown_body(word: str) -> str:
    """What is answered to a word that is no command."""
    near = get_close_matches(word, Command.values, n=1)
    meant = f" Did you mean {asked(Command(near[0]))}?" if near else ""
    return f"That is not a command.{meant}\n\n{help_body()}"


def refusal_body() -> str:
    """The answer to a sender without write access."""
    return f"Only who has write access to this repository can ask for that. {asked(Command.HELP)} lists the commands."


def misplaced_body(command: Command) -> str:
    """What is answered to a command that is about a finding, and stands in no thread that Kodiai began."""
    return f"{asked(command)} is about a finding: write it as a reply to Kodiai's comment on that finding."


def explanation(finding: Finding | None) -> str:
    """What is known of a finding and of its rule, and how to silence it. None: no report tells of it any more."""
    ignore = f"- only this, in this repository: reply {asked(Command.IGNORE)} here"
    if finding is None:
        return f"The comment above is all that is known of this finding. To silence it:\n\n{ignore}"
    never = code(f"severities: {{rules: {{{json.dumps(finding.rule, ensure_ascii=False)}: never}}}}")
    return "\n".join(
        [
            comment_body(Remark(replace(finding, suggestion=None))),
            "",
            f"{code(finding.rule)} is the rule{', and the link tells what it is for' if finding.rule_url else ''}. "
            "To silence it:",
            "",
            ignore,
            f"- the rule, in all of this repository: {never} in {code(repository.PATH)} on the base branch",
        ]
    )
