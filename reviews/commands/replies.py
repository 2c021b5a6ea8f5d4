"""Render replies to comments. Of a comment only the name of a command is repeated."""

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
    Command.PAUSE: "starts no more automatic reviews of this pull request",
    Command.RESUME: "ends a pause",
    Command.IGNORE: "as a reply to a finding: never reports it again in this repository",
    Command.EXPLAIN: "as a reply to a finding: explains the rule, and how to suppress it",
    Command.HELP: "lists the commands; all others need write access",
}


def command_code(command: Command) -> str:
    """Render a command as it is written in a comment, as code, so that it mentions nobody."""
    return code(f"@{settings.KODIAI_GITHUB_APP_SLUG} {command}")


def help_body() -> str:
    """Render the table of commands."""
    rows = [f"| {command_code(command)} | {what} |" for command, what in _WHAT_IT_DOES.items()]
    return "\n".join(["| Comment | What Kodiai does |", "| --- | --- |", *rows])


def unknown_body(word: str) -> str:
    """Render the reply to an unknown command."""
    near = get_close_matches(word, Command.values, n=1)
    meant = f" Did you mean {command_code(Command(near[0]))}?" if near else ""
    return f"That is not a command.{meant}\n\n{help_body()}"


def refusal_body() -> str:
    """Render the reply to a sender without write access."""
    return f"This command needs write access to the repository. {command_code(Command.HELP)} lists the commands."


def closed_body(why: str) -> str:
    """Render the reply to a request for a review of a closed pull request."""
    return f"Not reviewed: {why}, and only open pull requests are."


def misplaced_body(command: Command) -> str:
    """Render the reply to a command about a finding outside a thread of Kodiai's."""
    return f"{command_code(command)} works only as a reply to Kodiai's comment on a finding."


def explanation(finding: Finding | None) -> str:
    """Explain a finding and how to suppress its rule. None: no report has it any more."""
    ignore = f"- this finding, in this repository: reply {command_code(Command.IGNORE)} here"
    if finding is None:
        return f"Nothing more is known about this finding. To suppress it:\n\n{ignore}"
    never = code(f"severities: {{rules: {{{json.dumps(finding.rule, ensure_ascii=False)}: never}}}}")
    return "\n".join(
        [
            comment_body(Remark(replace(finding, suggestion=None))),
            "",
            f"The rule is {code(finding.rule)}{'; the link explains it' if finding.rule_url else ''}. To suppress it:",
            "",
            ignore,
            f"- the rule, in the whole repository: {never} in {code(repository.PATH)} on the base branch",
        ]
    )
