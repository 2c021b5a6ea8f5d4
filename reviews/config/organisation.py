"""`.kodiai.yml` of an organisation's `.github` repository: for its repositories that have none of their own."""

from reviews import cache
from reviews.config import repository
from reviews.github.client import Client

SECONDS = 600.0
"""For which it is taken from the cache: all repositories of an organisation ask for the same file."""


def of_organisation(client: Client) -> repository.RepositoryConfig:
    """Read what the owner of the client's repository settles for all; the defaults where that is nothing.

    Raises what GitHub's calls raise, as for a file of the repository's own.
    """
    owner = client.repo.partition("/")[0]
    key = f"organisation-default:{owner.lower()}"
    text = cache.get(key)
    if not isinstance(text, str):
        text = (client.organisation_file_text(repository.PATH) or "")[: repository.MAX_CHARACTERS + 1]
        cache.put(key, text, SECONDS)
    settled = repository.parse(text)
    where = f"`{repository.PATH}` of `{owner}/.github`"
    named = (problem.replace(f"`{repository.PATH}`", where, 1) for problem in settled.problems)
    return settled.model_copy(update={"problems": tuple(named)})
