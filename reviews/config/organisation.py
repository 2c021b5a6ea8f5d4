"""Organisation defaults: `.kodiai.yml` in the owner's `.github` repository, for repositories without that file."""

from reviews import cache
from reviews.config import repository
from reviews.github.client import Client

CACHE_SECONDS = 600.0
"""Seconds in the cache: all repositories of an organisation read the same file."""


def load_defaults(client: Client) -> repository.RepositoryConfig:
    """Read the configuration of the owner of the client's repository; the defaults if there is none.

    Raises `GitHubError`.
    """
    owner = client.repo.partition("/")[0]
    key = f"organisation-default:{owner.lower()}"
    text = cache.get(key)
    if not isinstance(text, str):
        text = (client.organisation_file_text(repository.PATH) or "")[: repository.MAX_CHARACTERS + 1]
        cache.put(key, text, CACHE_SECONDS)
    config = repository.parse(text)
    location = f"`{repository.PATH}` of `{owner}/.github`"
    problems = (problem.replace(f"`{repository.PATH}`", location, 1) for problem in config.problems)
    return config.model_copy(update={"problems": tuple(problems)})
