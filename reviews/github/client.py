"""Kodiai's one client of GitHub: what it asks, and what it makes of GitHub's limits and failures.

Built on githubkit for authentication and transport; its own retrying and caching are off, because what to do about
a limit is decided here and in `reviews.service`. Answers are read with small models of the fields that Kodiai needs,
so that GitHub Enterprise versions that lack or add others are welcome.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import githubkit
import httpx
from django.conf import settings
from django.utils import timezone
from githubkit.exception import RequestError, RequestFailed
from pydantic import TypeAdapter, ValidationError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from reviews import cache
from reviews.github.answers import (
    Blob,
    ChangedFile,
    Content,
    Installation,
    PullRequest,
    SearchResult,
    SubmittedReview,
    Token,
    decoded,
)
from reviews.github.errors import (
    GraphQLUnusable,
    NotConfigured,
    RateLimited,
    Refused,
    Unavailable,
    is_limit,
    message_of,
    reset_at,
    retry_at,
)

logger = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(20, connect=5)
"""Seconds for each read, write and connect of a call."""
MAX_TRIES = 3
"""Tries of a call that changes nothing, before a server error becomes a failed attempt of the run."""
PER_PAGE = 100
"""Entries per page, the most that GitHub gives. Source: GitHub REST docs, "Using pagination"."""
MAX_FILES = 3000
"""Files that GitHub lists for a pull request. Source: GitHub REST docs, "List pull requests files"."""
FILES_PER_QUERY = 100
"""Files fetched with one GraphQL query: the calls of a review do not grow with its files up to this."""
UNHINTED_WAIT = timedelta(seconds=60)
"""Wait after a limit that does not say how long. Source: GitHub REST docs, "Exceeding the rate limit"."""


T = TypeVar("T")

_tokens: dict[tuple[int, str], Token] = {}
"""Installation tokens by installation and repository. In this process only: they are secrets."""


class Client:
    """GitHub as one installation of the App sees one repository.

    A context manager that keeps one connection open. Each method makes one call (or one per page) and raises
    `RateLimited`, `Refused`, `Unavailable` or `NotConfigured`. Calls that change nothing are tried up to `MAX_TRIES`
    times on server errors.
    """

    def __init__(self, repo: str, installation_id: int | None) -> None:
        self.repo = repo
        self._installation_id = installation_id
        self._kit: githubkit.GitHub[Any] | None = None
        self._last_response: httpx.Response | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self._disconnect()

    # What Kodiai asks

    def pull_request(self, number: int) -> PullRequest:
        return self._get(f"/repos/{self.repo}/pulls/{number}", PullRequest)

    def changed_files(self, number: int) -> list[ChangedFile]:
        """Return the changed files, at most `MAX_FILES`."""
        pages = self._pages(f"/repos/{self.repo}/pulls/{number}/files", ChangedFile, MAX_FILES)
        return [file for page in pages for file in page]

    def file_text(self, path: str, ref: str) -> str | None:
        """Return a text file's content at `ref`, or None where there is no such file."""
        try:
            content = self._get(f"/repos/{self.repo}/contents/{quote(path)}", Content, params={"ref": ref})
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        return decoded(content)

    def blobs(self, paths: Sequence[str], commit: str) -> dict[str, Blob]:
        """Return the files at `paths` as they are at `commit`; what is not there is left out.

        By GraphQL, up to `FILES_PER_QUERY` in a call; by REST, one call each, where GraphQL is not to be had.
        """
        found: dict[str, Blob] = {}
        for start in range(0, len(paths), FILES_PER_QUERY):
            batch = paths[start : start + FILES_PER_QUERY]
            try:
                found |= self._blobs_by_graphql(batch, commit)
            except (Refused, Unavailable, GraphQLUnusable) as error:
                logger.info("GraphQL is not to be had, files are fetched one by one", extra={"error": str(error)})
                for path in batch:
                    if (text := self.file_text(path, commit)) is not None:
                        found[path] = Blob(text=text)
        return found

    def search_count(self, query: str) -> tuple[int, bool]:
        """Return how many issues and pull requests match, and whether GitHub counted all of them."""
        answer = self._get(
            "/search/issues", SearchResult, params={"q": query, "per_page": 1}, resource="search", tries=1
        )
        return answer.total_count, not answer.incomplete_results

    def reviews(self, number: int) -> Iterator[SubmittedReview]:
        """Yield the reviews of a pull request, page by page."""
        for page in self._pages(f"/repos/{self.repo}/pulls/{number}/reviews", SubmittedReview, limit=None):
            yield from page

    def create_review(
        self,
        number: int,
        *,
        commit: str,
        body: str,
        comments: Sequence[Mapping[str, Any]],
        before: Callable[[], None],
    ) -> SubmittedReview:
        """Post one review. Tried once: whether a broken answer was a failure only the list of reviews can tell.

        `before` is called right before anything is sent, with the connection open; what it raises is raised.
        """
        payload = {"commit_id": commit, "body": body, "event": "COMMENT", "comments": list(comments)}
        path = f"/repos/{self.repo}/pulls/{number}/reviews"
        response = self._call("POST", path, json=payload, tries=1, before=before)
        return _read(response, SubmittedReview)

    # How it asks

    def _get(self, path: str, model: type[T], *, resource: str = "core", tries: int = MAX_TRIES, **kwargs: Any) -> T:
        return _read(self._call("GET", path, resource=resource, tries=tries, **kwargs), model)

    def _pages(self, path: str, model: type[T], limit: int | None) -> Iterator[list[T]]:
        page, seen = 1, 0
        while limit is None or seen < limit:
            response = self._call("GET", path, params={"per_page": PER_PAGE, "page": page})
            entries = _read(response, list[model])  # type: ignore[valid-type]
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
        response = self._call("POST", _graphql_url(), json={"query": query, "variables": variables}, resource="graphql")
        answer = _json(response)
        if not isinstance(answer, dict):
            raise GraphQLUnusable("the answer is not an object")
        errors = answer.get("errors") or []
        if any(isinstance(error, dict) and error.get("type") in ("RATE_LIMITED", "RATE_LIMIT") for error in errors):
            raise self._limit("graphql", response)
        repository = (answer.get("data") or {}).get("repository") if isinstance(answer.get("data"), dict) else None
        if not isinstance(repository, dict):
            raise GraphQLUnusable(f"no repository in the answer: {errors}"[:500])
        blobs = {path: repository.get(alias) for alias, path in zip(names, paths, strict=True)}
        # A directory or a submodule answers with an object without `text`: it is no file to look at.
        return {
            path: _validated(blob, Blob) for path, blob in blobs.items() if isinstance(blob, dict) and "text" in blob
        }

    def _call(
        self,
        method: str,
        path: str,
        *,
        resource: str = "core",
        tries: int = MAX_TRIES,
        before: Callable[[], None] | None = None,
        **kwargs: Any,
    ) -> httpx.Response:
        """Make a call as the installation; return GitHub's answer if it is a success."""
        retrying = Retrying(
            stop=stop_after_attempt(tries),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            retry=retry_if_exception_type(Unavailable),
            reraise=True,
        )
        return retrying(self._call_once, method, path, resource, kwargs, before or _nothing)

    def _call_once(
        self, method: str, path: str, resource: str, kwargs: dict[str, Any], before: Callable[[], None]
    ) -> httpx.Response:
        self._heed_known_limit(resource)
        kit = self._connect()
        before()
        response = self._send(kit, method, path, kwargs)
        if response.status_code == 401:
            # The token was revoked before its time (the App was suspended, its key was changed): ask for one more.
            self._forget_token()
            kit = self._connect()
            before()
            response = self._send(kit, method, path, kwargs)
        self._remember_limit(resource, response)
        return self._judged(resource, response)

    def _connect(self) -> "githubkit.GitHub[Any]":
        if self._kit is None:
            self._kit = self._new_kit(githubkit.TokenAuthStrategy(self._token()))
            self._kit.__enter__()
        return self._kit

    def _disconnect(self) -> None:
        if self._kit is not None:
            self._kit.__exit__()
            self._kit = None

    def _new_kit(self, auth: Any) -> "githubkit.GitHub[Any]":
        return githubkit.GitHub(
            auth,
            base_url=settings.KODIAI_GITHUB_API_URL,
            user_agent="Kodiai",
            timeout=TIMEOUT,
            auto_retry=False,
            http_cache=False,
            event_hooks={"response": [self._keep_response]},
        )

    def _keep_response(self, response: httpx.Response) -> None:
        self._last_response = response

    def _send(self, kit: "githubkit.GitHub[Any]", method: str, path: str, kwargs: dict[str, Any]) -> httpx.Response:
        """Send one request and return GitHub's answer, whatever its status."""
        self._last_response = None
        try:
            return kit.request(method, path, **kwargs).raw_response
        except (RequestFailed, ValueError):
            # An error status. ValueError: githubkit could not read a header of the limit; ours is the judgement.
            if self._last_response is None:
                raise
            return self._last_response
        except RequestError as error:
            cause = error.exc
            raise Unavailable(f"{method} {path}: {type(cause).__name__}: {cause}") from error

    def _judged(self, resource: str, response: httpx.Response) -> httpx.Response:
        """Return the response if it is a success; raise what it means otherwise."""
        status = response.status_code
        if response.is_success:
            return response
        if status >= 500:
            raise Unavailable(f"GitHub answered {status} to {response.request.method} {response.request.url.path}")
        if status in (403, 429) and is_limit(response):
            raise self._limit(resource, response)
        raise Refused(status, message_of(response))

    # Limits

    def _limit(self, resource: str, response: httpx.Response) -> RateLimited:
        until = retry_at(response)
        limit = RateLimited(resource, until or timezone.now() + UNHINTED_WAIT, hinted=until is not None)
        if limit.hinted:
            self._remember_exhausted(resource, limit.retry_at)
        return limit

    def _limit_key(self, resource: str) -> str:
        return f"github-limit:{self._installation_id}:{resource}"

    def _remember_limit(self, resource: str, response: httpx.Response) -> None:
        if response.headers.get("x-ratelimit-remaining") == "0" and (reset := reset_at(response)):
            self._remember_exhausted(resource, reset)

    def _remember_exhausted(self, resource: str, until: datetime) -> None:
        seconds = (until - timezone.now()).total_seconds()
        if seconds > 0:
            cache.put(self._limit_key(resource), until, seconds)

    def _heed_known_limit(self, resource: str) -> None:
        until = cache.get(self._limit_key(resource))
        if isinstance(until, datetime) and until > timezone.now():
            raise RateLimited(resource, until, asked=False)

    # Tokens

    def _token(self) -> str:
        installation_id = self._installation()
        key = (installation_id, self.repo)
        token = _tokens.get(key)
        if token is None or token.expires_at - timezone.now() < timedelta(minutes=2):
            # Least privilege: the token opens the repository of the run and no other of the installation.
            body = {"repositories": [self.repo.partition("/")[2]]}
            path = f"/app/installations/{installation_id}/access_tokens"
            token = _read(self._call_as_app("POST", path, json=body), Token)
            _tokens[key] = token
        return token.token

    def _forget_token(self) -> None:
        _tokens.pop((self._installation(), self.repo), None)
        self._disconnect()

    def _installation(self) -> int:
        """The installation's id: from the webhook, or asked for where the webhook did not tell."""
        if self._installation_id is None:
            answer = self._call_as_app("GET", f"/repos/{self.repo}/installation")
            self._installation_id = _read(answer, Installation).id
        return self._installation_id

    def _call_as_app(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        if not (settings.KODIAI_GITHUB_APP_ID and settings.KODIAI_GITHUB_PRIVATE_KEY):
            raise NotConfigured("KODIAI_GITHUB_APP_ID and KODIAI_GITHUB_PRIVATE_KEY (or …_FILE) are not both set")
        auth = githubkit.AppAuthStrategy(settings.KODIAI_GITHUB_APP_ID, settings.KODIAI_GITHUB_PRIVATE_KEY)
        with self._new_kit(auth) as kit:
            return self._judged("core", self._send(kit, method, path, kwargs))


def _nothing() -> None:
    pass


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise Unavailable(f"GitHub's answer to {response.request.url.path} is not JSON") from error


def _read(response: httpx.Response, model: type[T]) -> T:
    return _validated(_json(response), model)


def _validated(data: Any, model: type[T]) -> T:
    try:
        return TypeAdapter(model).validate_python(data)
    except ValidationError as error:
        raise Unavailable(f"GitHub's answer does not have the form of {model}: {error.error_count()} errors") from error


def _graphql_url() -> str:
    """Address of GraphQL: beside the REST API, and beside `/api/v3` on GitHub Enterprise Server."""
    base = settings.KODIAI_GITHUB_API_URL.rstrip("/")
    return base.removesuffix("/v3") + "/graphql"
