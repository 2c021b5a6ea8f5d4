"""Pull requests that a repository leaves out: by label, title, author or base branch."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from reviews.config.repository import TriggersSection
from reviews.github.schemas import PullRequest


def excluded_by(triggers: TriggersSection, pull: PullRequest) -> str:
    """Return what of a pull request `triggers` excludes, in words; empty if nothing.

    Titles and labels are not repeated, because whoever opens a pull request chooses them.
    """
    author = pull.user.login if pull.user else ""
    if any(_matches(label.name, triggers.ignore_labels) for label in pull.labels):
        return "its label (`ignore_labels`)"
    if _matches(pull.title, triggers.ignore_titles):
        return "its title (`ignore_titles`)"
    if _matches(author, triggers.ignore_authors):
        return "its author (`ignore_authors`)"
    if triggers.base_branches and not _matches(pull.base.ref, triggers.base_branches):
        return "its base branch (`base_branches`)"
    return ""


def _matches(text: str, patterns: Iterable[str]) -> bool:
    # As in path patterns, but brackets are text: an App's login ends with [bot].
    return any(fnmatchcase(text.lower(), pattern.lower().replace("[", "[[]")) for pattern in patterns)
