"""Kodiai's one client of GitHub: what a review asks, as one installation of the App that sees one repository."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import githubkit
import httpx
from django.conf import settings
from django.utils import timezone

from reviews.github import limits
from reviews.github.answers import (
    Blob,
    ChangedFile,
    Content,
    PullRequest,
    SearchResult,
    SubmittedReview,
    Token,
    decoded,
)
from reviews.github.app import PER_PAGE, AppClient
from reviews.github.connection import Connection, form, json_of, validated
from reviews.github.errors import GraphQLUnusable, Refused, Unavailable

logger = logging.getLogger(__name__)

MAX_FILES = 3000
"""Files that GitHub lists for a pull request. Source: GitHub REST docs, "List pull requests files"."""
MAX_REVIEWS = 10_000
"""Reviews that are looked through for one's own. Past them it is not known whether it is there."""
FILES_PER_QUERY = 100
"""Files fetched with one GraphQL query: the calls of a review do not grow with its files up to this."""
TOKEN_RESERVE = timedelta(minutes=2)
"""Before its end a token is not used any more, so that none ends in the middle of a run's calls."""

T = TypeVar("T")

_tokens: dict[tuple[int, str], Token] = {}
"""Installation tokens by installation and repository. In this process only: they are secrets."""


class Client:
    """GitHub as one installation of the App sees one repository.

    A context manager that keeps one connection open. Each method makes one call (or one per page) and raises
    `RateLimited`, `Refused`, `Unavailable` or `NotConfigured`. Calls that change nothing are tried a few times on
    server errors.
    """

    def __init__(self, repo: str, installation_id: int | None) -> None:
        self.repo = repo
        self._installation_id = installation_id
        self._open: Connection | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._open is not None:
            self._open.close()

    # What Kodiai asks

    def pull_request(self, number: int) -> PullRequest:
        return self._call("GET", f"/repos/{self.repo}/pulls/{number}", form(PullRequest))

    def changed_files(self, number: int) -> list[ChangedFile]:
        """Return the changed files, at most `MAX_FILES`."""
        pages = self._pages(f"/repos/{self.repo}/pulls/{number}/files", ChangedFile, MAX_FILES)
        return [file for page in pages for file in page]

    def file_text(self, path: str, ref: str) -> str | None:
        """Return a text file's content at `ref`, or None where there is no such file."""
        try:
            return self._call("GET", f"/repos/{self.repo}/contents/{quote(path)}", _text_of_file, params={"ref": ref})
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def blobs(self, paths: Sequence[str], commit: str) -> dict[str, Blob]:
        """Return the files at `paths` as they are at `commit`; what is not there, or not handed over, is left out.

        By GraphQL, up to `FILES_PER_QUERY` in a call; by REST, one call each, where GraphQL is not to be had.
        """
        found: dict[str, Blob] = {}
        for start in range(0, len(paths), FILES_PER_QUERY):
            batch = paths[start : start + FILES_PER_QUERY]
            try:
                found |= self._blobs_by_graphql(batch, commit)
            except (Refused, Unavailable, GraphQLUnusable) as error:
                logger.info("GraphQL is not to be had, files are fetched one by one", extra={"error": str(error)})
                found |= self._blobs_by_rest(batch, commit)
        return found

    def search_count(self, query: str) -> tuple[int, bool]:
        """Return how many issues and pull requests match, and whether GitHub counted all of them."""
        params = {"q": query, "per_page": 1}
        answer = self._call("GET", "/search/issues", form(SearchResult), params=params, resource=limits.SEARCH, tries=1)
        return answer.total_count, not answer.incomplete_results

    def reviews(self, number: int) -> Iterator[SubmittedReview]:
        """Yield the reviews of a pull request, page by page. Raises `Unavailable` after `MAX_REVIEWS`."""
        for page in self._pages(f"/repos/{self.repo}/pulls/{number}/reviews", SubmittedReview, MAX_REVIEWS):
            yield from page
            if len(page) < PER_PAGE:
                return
        raise Unavailable(f"the pull request has more than {MAX_REVIEWS} reviews")

    def create_review(
        self,
        number: int,
        *,
        commit: str,
        body: str,
        comments: Sequence[Mapping[str, Any]],
        before: Callable[[], None],
    ) -> SubmittedReview:
        """Post one review. Sent once: whether a broken answer was a failure only the list of reviews can tell.

        `before` is called right before anything is sent, with the connection open; what it raises is raised.
        """
        payload = {"commit_id": commit, "body": body, "event": "COMMENT", "comments": list(comments)}
        path = f"/repos/{self.repo}/pulls/{number}/reviews"
        try:
            return self._connection().call("POST", path, form(SubmittedReview), json=payload, tries=1, before=before)
        except Refused as refused:
            if refused.status != 401:
                raise
            self._forget_token()
            raise Unavailable(str(refused)) from refused

    # How it asks

    def _pages(self, path: str, model: type[T], limit: int) -> Iterator[list[T]]:
        page, seen = 1, 0
        while seen < limit:
            read = form(list[model])  # type: ignore[valid-type]
            entries = self._call("GET", path, read, params={"per_page": PER_PAGE, "page": page})
            yield entries
            seen += len(entries)
            if len(entries) < PER_PAGE:
                return
            page += 1

    def _blobs_by_graphql(self, paths: Sequence[str], commit: str) -> dict[str, Blob]:
        names = [f"e{index}" for index in range(len(paths))]
        declared = "".join(f",${name}:String!" for name in names)
        asked = " ".join(f"{name}:object(expression:${name}){{...on Blob{{text isTruncated}}}}" for name in names)
        query = f"query($owner:String!,$name:String!{declared}){{repository(owner:$owner,name:$name){{{asked}}}}}"
        owner, _, name = self.repo.partition("/")
        variables = {"owner": owner, "name": name}
        variables |= {alias: f"{commit}:{path}" for alias, path in zip(names, paths, strict=True)}

        def files(response: httpx.Response) -> dict[str, Blob]:
            answer = json_of(response)
            errors = answer.get("errors") if isinstance(answer, dict) else None
            if _tells_of_limit(errors):
                raise limits.met(self._connection().owner, "graphql", response)
            data = answer.get("data") if isinstance(answer, dict) and not errors else None
            repository = data.get("repository") if isinstance(data, dict) else None
            if not isinstance(repository, dict) or not repository.keys() >= set(names):
                raise GraphQLUnusable(f"no answer to what was asked; errors: {errors}"[:500])
            blobs = zip(paths, (repository[alias] for alias in names), strict=True)
            # A directory or a submodule answers with an object without `text`: it is no file to look at.
            found = {path: blob for path, blob in blobs if isinstance(blob, dict) and "text" in blob}
            return {path: validated(blob, Blob, response) for path, blob in found.items()}

        asked_for = {"query": query, "variables": variables}
        return self._call("POST", _graphql_url(), files, json=asked_for, resource="graphql")

    def _blobs_by_rest(self, paths: Sequence[str], commit: str) -> dict[str, Blob]:
        found = {}
        for path in paths:
            try:
                text = self.file_text(path, commit)
            except Refused as refused:
                # One file that GitHub does not hand over (too large, blocked) is no reason to give up the others.
                logger.info("file not handed over", extra={"repo": self.repo, "path": path, "error": str(refused)})
                continue
            if text is not None:
                found[path] = Blob(text=text)
        return found

    def _call(self, method: str, path: str, read: Callable[[httpx.Response], T], **kwargs: Any) -> T:
        """Make a call that changes nothing; return what `read` makes of GitHub's answer."""
        try:
            return self._connection().call(method, path, read, **kwargs)
        except Refused as refused:
            if refused.status != 401:
                raise
        # The token was revoked before its time (the App was suspended, its key was changed): ask for one more.
        self._forget_token()
        return self._connection().call(method, path, read, **kwargs)

    def _connection(self) -> Connection:
        if self._open is None:
            if self._installation_id is None:
                # The webhook did not tell.
                with AppClient() as app:
                    self._installation_id = app.installation_of(self.repo)
            self._open = Connection(f"installation-{self._installation_id}", self._authenticate)
        return self._open

    # Tokens

    def _authenticate(self) -> githubkit.TokenAuthStrategy:
        assert self._installation_id is not None  # noqa: S101  # a connection is made for an installation
        key = (self._installation_id, self.repo)
        token = _tokens.get(key)
        if token is None or token.expires_at - timezone.now() < TOKEN_RESERVE:
            with AppClient() as app:
                token = app.installation_token(*key)
            _tokens[key] = token
        return githubkit.TokenAuthStrategy(token.token)

    def _forget_token(self) -> None:
        if self._installation_id is not None:
            _tokens.pop((self._installation_id, self.repo), None)
        if self._open is not None:
            self._open.close()


def _text_of_file(response: httpx.Response) -> str | None:
    """The text of what is at a path; None for what is no text file. A list is what is in a directory."""
    answer = json_of(response)
    return None if isinstance(answer, list) else decoded(validated(answer, Content, response))


def _tells_of_limit(errors: Any) -> bool:
    """Tell GraphQL's primary limit, which comes with 200. Both words were seen. Source: githubkit issue 271."""
    listed = errors if isinstance(errors, list) else []
    return any(isinstance(error, dict) and error.get("type") in ("RATE_LIMITED", "RATE_LIMIT") for error in listed)


def _graphql_url() -> str:
    """Address of GraphQL: beside the REST API, and beside `/api/v3` on GitHub Enterprise Server."""
    base = settings.KODIAI_GITHUB_API_URL.rstrip("/")
    return base.removesuffix("/v3") + "/graphql"
