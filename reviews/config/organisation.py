"""The configuration of a repository on GitHub: its own `.kodiai.yml`, else that of its owner's `.github` repository."""

from django.conf import settings

from reviews import cache
from reviews.config import repository
from reviews.github.client import Client
from reviews.github.errors import Refused
from reviews.github.schemas import NotText

CACHE_SECONDS = 600.0
"""Seconds in the cache: all repositories of an organisation read the same file."""
_NOT_TEXT = "\0"
"""Stands in the cache for a file that is not text."""


def read_config(client: Client, ref: str) -> repository.RepositoryConfig:
    """Read the configuration at a branch or commit. If it is not text or GitHub refuses it, use defaults and name it.

    Raises `GitHubError`, for 401 and 403 too: a token without the permission does not get the changed files either.
    """
    try:
        text = client.file_text(repository.PATH, ref)
        if text is None and settings.KODIAI_ORGANISATION_DEFAULTS:
            return _load_defaults(client)
        return repository.parse(text)
    except NotText:
        return _unreadable()
    except Refused as refused:
        if refused.status in (401, 403):
            raise
        problem = f"`{repository.PATH}` could not be read (GitHub answered {refused.status}); the defaults were used."
        return repository.RepositoryConfig(problems=(problem,))


def _load_defaults(client: Client) -> repository.RepositoryConfig:
    owner = client.repo.partition("/")[0]
    key = f"organisation-default:{owner.lower()}"
    text = cache.get(key)
    if not isinstance(text, str):
        try:
            text = (client.organisation_file_text(repository.PATH) or "")[: repository.MAX_CHARACTERS + 1]
        except NotText:
            text = _NOT_TEXT
        cache.put(key, text, CACHE_SECONDS)
    config = _unreadable() if text == _NOT_TEXT else repository.parse(text)
    location = f"`{repository.PATH}` of `{owner}/.github`"
    problems = (problem.replace(f"`{repository.PATH}`", location, 1) for problem in config.problems)
    return config.model_copy(update={"problems": tuple(problems)})


def _unreadable() -> repository.RepositoryConfig:
    return repository.RepositoryConfig(problems=(f"`{repository.PATH}` could not be read; the defaults were used.",))
