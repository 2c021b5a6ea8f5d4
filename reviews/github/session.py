"""A session: calls to GitHub as one installation of the App, for one repository."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import githubkit
import httpx
from django.conf import settings

from reviews.github import limits, tokens
from reviews.github.app import PER_PAGE, AppClient
from reviews.github.connection import Connection, parse_json
from reviews.github.errors import GraphQLUnavailable, Refused, Unavailable

T = TypeVar("T")


class Session:
    """Calls with the token of one installation, for `repo` (owner/name), whose id is `repo_id` if that is known.

    Calls raise `RateLimited`, `Refused`, `Unavailable` or `NotConfigured`. Read-only calls are retried on server errors
    and with a new token; calls that change something are made once.
    """

    def __init__(self, repo: str, installation_id: int | None, repo_id: int | None = None) -> None:
        self.repo = repo
        self._repo_id = repo_id
        self._installation_id = installation_id
        self._open: Connection | None = None

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        if self._open is not None:
            self._open.close()

    def installation_id(self) -> int:
        """Return the id of the installation; ask GitHub for it if the webhook did not contain it."""
        if self._installation_id is None:
            with AppClient() as app:
                self._installation_id = app.installation_of(self.repo).id
        return self._installation_id

    def has_access(self) -> bool:
        """Ask GitHub whether the App is installed on the repository, and not suspended."""
        try:
            with AppClient() as app:
                return app.installation_of(self.repo).suspended_at is None
        except Refused as refused:
            return refused.status != 404

    def may_write_checks(self) -> bool:
        """Return whether the installation's owner has granted check runs. Makes a call only without a token."""
        return tokens.token_for(self.installation_id(), self.repo, self._repo_id).checks

    def call(self, method: str, path: str, read: Callable[[httpx.Response], T], **kwargs: Any) -> T:
        """Make a read-only call; return the result of `read` for GitHub's answer."""
        try:
            return self._connection().call(method, path, read, **kwargs)
        except Refused as refused:
            if refused.status != 401:
                raise
        # The token was revoked before it expired (the App was suspended, its key was changed): retry with a new one.
        self._forget_token()
        return self._connection().call(method, path, read, **kwargs)

    def send_once(
        self,
        method: str,
        path: str,
        read: Callable[[httpx.Response], T],
        body: Mapping[str, Any],
        before: Callable[[], None],
    ) -> T:
        """Make a call that changes something, without retries; drop the token if GitHub does not accept it.

        `before` is called right before the request is sent, with the connection open; its exceptions propagate.
        """
        try:
            return self._connection().call(method, path, read, json=dict(body), tries=1, before=before)
        except Refused as refused:
            if refused.status != 401:
                raise
            self._forget_token()
            raise Unavailable(str(refused)) from refused

    def graphql(
        self, query: str, variables: Mapping[str, Any], read: Callable[[Any, httpx.Response], T], **kwargs: Any
    ) -> T:
        """Call GraphQL; return the result of `read` for the parsed answer. Its rate limit comes with status 200."""

        def read_answer(response: httpx.Response) -> T:
            answer = parse_json(response)
            if _is_limit(answer.get("errors") if isinstance(answer, dict) else None):
                raise limits.register_hit(self._connection().owner, "graphql", response)
            return read(answer, response)

        body = {"query": query, "variables": variables}
        return self.call("POST", _graphql_url(), read_answer, json=body, resource="graphql", **kwargs)

    def pages(
        self,
        path: str,
        read: Callable[[httpx.Response], list[T]],
        limit: int,
        *,
        expected: int | None = None,
        too_many: str = "",
        **params: str,
    ) -> Iterator[list[T]]:
        """Yield the pages of a list, up to `limit` entries.

        The next page is the one that GitHub links to (`Link`, rel="next"). GitHub links none if there is one page; then
        a full page ends the list only if it has the `expected` number of entries. Of a link only the query is used, so
        that it leads nowhere else. Raises `Unavailable` (`too_many`, if not empty) if there may be more than `limit`.
        """
        query: Mapping[str, str] = {**params, "per_page": str(PER_PAGE), "page": "1"}
        asked = []
        seen = 0
        while seen < limit:
            if query in asked:
                raise Unavailable(f"GitHub's list {path} is circular")
            asked.append(query)
            entries, linked = self.call("GET", path, lambda answer: (read(answer), _next_page(answer)), params=query)
            yield entries
            seen += len(entries)
            if linked is None and len(entries) == PER_PAGE and seen != expected:
                linked = {**query, "page": str(len(asked) + 1)}
            if not linked or not entries:
                return
            query = linked
        if too_many:
            raise Unavailable(too_many)

    def all_entries(
        self, path: str, read: Callable[[httpx.Response], list[T]], limit: int, too_many: str, **params: str
    ) -> Iterator[T]:
        """Yield the entries of a list. Raises `Unavailable` (`too_many`) after `limit`: there may be more."""
        for page in self.pages(path, read, limit, expected=None, too_many=too_many, **params):
            yield from page

    def _connection(self) -> Connection:
        if self._open is None:
            self._open = Connection(f"installation-{self.installation_id()}", self._authenticate)
        return self._open

    def _authenticate(self) -> githubkit.TokenAuthStrategy:
        token = tokens.token_for(self.installation_id(), self.repo, self._repo_id)
        return githubkit.TokenAuthStrategy(token.token.token)

    def _forget_token(self) -> None:
        tokens.forget(self.installation_id(), self.repo, self._repo_id)
        self.close()


def _next_page(response: httpx.Response) -> dict[str, str] | None:
    """The query of the next page that GitHub links to; empty after the last one, None if there are no valid links."""
    if "link" not in response.headers:
        return None
    following = response.links.get("next")
    if following is None:
        return {}
    try:
        return dict(httpx.URL(following["url"]).params)
    except httpx.InvalidURL:
        return None


def graphql_repository(answer: Any) -> dict[str, Any]:
    """The repository in an answer of GraphQL. Raises `GraphQLUnavailable` on errors or if it is missing."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    data = answer.get("data") if isinstance(answer, dict) and not errors else None
    repository = data.get("repository") if isinstance(data, dict) else None
    if not isinstance(repository, dict):
        raise GraphQLUnavailable(f"no repository in the answer; errors: {errors}"[:500])
    return repository


def _is_limit(errors: Any) -> bool:
    """Return whether errors report GraphQL's primary limit. Both words occur. Source: githubkit issue 271."""
    listed = errors if isinstance(errors, list) else []
    return any(isinstance(error, dict) and error.get("type") in ("RATE_LIMITED", "RATE_LIMIT") for error in listed)


def _graphql_url() -> str:
    """URL of GraphQL: next to the REST API, and next to `/api/v3` on GitHub Enterprise Server."""
    base: str = settings.KODIAI_GITHUB_API_URL.rstrip("/")
    return base.removesuffix("/v3") + "/graphql"
