"""Kodiai's one client of GitHub: what a review asks, as one installation of the App that sees one repository."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import githubkit
import httpx
from django.conf import settings
from django.utils import timezone

from reviews.github import limits
from reviews.github.app import PER_PAGE, AppClient
from reviews.github.connection import Connection, parse_as, parse_json, validated
from reviews.github.errors import GraphQLUnavailable, Refused, Unavailable
from reviews.github.schemas import (
    Blob,
    ChangedFile,
    CheckRun,
    CheckRuns,
    Comment,
    Content,
    Permission,
    PullRequest,
    SearchResult,
    SubmittedReview,
    Token,
    decoded,
)
from reviews.github.threads import THREADS_QUERY, ReviewComment, Thread, ThreadsPage, done, resolution

logger = logging.getLogger(__name__)

MAX_FILES = 3000
"""Files that GitHub lists for a pull request. Source: GitHub REST docs, "List pull requests files"."""
MAX_REVIEWS = 10_000
"""Reviews that are looked through for one's own. Past them it is not known whether it is there."""
MAX_COMMENTS = 10_000
"""Comments of a pull request that are looked through for one's own, as its reviews are."""
MAX_CONVERSATION_PAGES = 20
"""Pages, of a hundred threads and a hundred reviews, that are read of a conversation. What comes after is not known."""
MAX_CHECK_RUNS = 1000
"""Check runs of one name that GitHub keeps of a commit. Source: GitHub REST docs, "Create a check run"."""
FILES_PER_QUERY = 101
"""Files fetched with one GraphQL query, so that the calls of a review do not grow with its files up to a hundred: they,
and one of the base branch."""
TOKEN_RESERVE = timedelta(minutes=2)
"""Before its end a token is not used any more, so that none ends in the middle of a run's calls."""

T = TypeVar("T")


class FileRef(NamedTuple):
    """Where a file is: at a commit, or at what a branch is now."""

    ref: str
    path: str


@dataclass(frozen=True)
class _Held:
    """A token, and whether it may write check runs."""

    token: Token
    checks: bool

    @property
    def good(self) -> bool:
        return self.token.expires_at - timezone.now() >= TOKEN_RESERVE


_tokens: dict[tuple[int, str], _Held] = {}
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
        return self._call("GET", f"/repos/{self.repo}/pulls/{number}", parse_as(PullRequest))

    def changed_files(self, number: int, count: int | None = None) -> list[ChangedFile]:
        """Return the changed files, at most `MAX_FILES`.

        `count` is how many GitHub says there are (None: it does not): no page after the last of them is asked for.
        """
        limit = MAX_FILES if count is None else min(max(count, 1), MAX_FILES)
        pages = self._pages(f"/repos/{self.repo}/pulls/{number}/files", parse_as(list[ChangedFile]), limit)
        return [file for page in pages for file in page]

    def file_text(self, path: str, ref: str) -> str | None:
        """Return a text file's content at `ref`, or None where there is no such file."""
        try:
            return self._call("GET", f"/repos/{self.repo}/contents/{quote(path)}", _text_of_file, params={"ref": ref})
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def organisation_file_text(self, path: str) -> str | None:
        """Return a text file of the owner's `.github` repository, as its default branch has it.

        None where there is none, or the App is not installed there. Two calls: the first is for a token that may read
        that repository and do nothing else.
        """
        self._connection()
        assert self._installation_id is not None  # noqa: S101  # a connection is made for an installation
        repo = f"{self.repo.partition('/')[0]}/.github"
        try:
            with AppClient() as app:
                token = app.reading_token(self._installation_id, repo).token
            reading = Connection(f"installation-{self._installation_id}", lambda: githubkit.TokenAuthStrategy(token))
            try:
                return reading.call("GET", f"/repos/{repo}/contents/{quote(path)}", _text_of_file)
            finally:
                reading.close()
        except Refused as refused:
            if refused.status in (403, 404, 422, 451):
                return None
            raise

    def blobs(self, places: Sequence[FileRef]) -> dict[FileRef, Blob]:
        """Return files, each at a commit or branch; what is not there, or not handed over, is left out.

        By GraphQL, up to `FILES_PER_QUERY` in a call; by REST, one call each, where GraphQL is not to be had.
        """
        found: dict[FileRef, Blob] = {}
        for start in range(0, len(places), FILES_PER_QUERY):
            batch = places[start : start + FILES_PER_QUERY]
            try:
                found |= self._blobs_by_graphql(batch)
            except (Refused, Unavailable, GraphQLUnavailable) as error:
                logger.info("GraphQL is not to be had, files are fetched one by one", extra={"error": str(error)})
                found |= self._blobs_by_rest(batch)
        return found

    def search_count(self, query: str) -> tuple[int, bool]:
        """Return how many issues and pull requests match, and whether GitHub counted all of them."""
        params = {"q": query, "per_page": 1}
        answer = self._call(
            "GET", "/search/issues", parse_as(SearchResult), params=params, resource=limits.SEARCH, tries=1
        )
        return answer.total_count, not answer.incomplete_results

    def reviews(self, number: int) -> Iterator[SubmittedReview]:
        """Yield the reviews of a pull request, page by page. Raises `Unavailable` after `MAX_REVIEWS`."""
        path = f"/repos/{self.repo}/pulls/{number}/reviews"
        too_many = f"the pull request has more than {MAX_REVIEWS} reviews"
        return self._all(path, parse_as(list[SubmittedReview]), MAX_REVIEWS, too_many)

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
        return self._send_once("POST", path, parse_as(SubmittedReview), payload, before)

    def update_review(self, number: int, review_id: int, body: str, before: Callable[[], None]) -> SubmittedReview:
        """Give the App's own review another body. `before` is as in `create_review`."""
        path = f"/repos/{self.repo}/pulls/{number}/reviews/{review_id}"
        return self._send_once("PUT", path, parse_as(SubmittedReview), {"body": body}, before)

    def update_comment(self, comment_id: int, body: str, before: Callable[[], None]) -> None:
        """Give the App's own comment on lines another body. `before` is as in `create_review`."""
        path = f"/repos/{self.repo}/pulls/comments/{comment_id}"
        self._send_once("PATCH", path, lambda response: None, {"body": body}, before)

    def threads_and_reviews(self, number: int) -> tuple[list[Thread], list[SubmittedReview]]:
        """Return the threads on lines of a pull request, and its reviews, oldest first.

        By GraphQL, a hundred of each in a call; by REST where GraphQL is not to be had. At most
        `MAX_CONVERSATION_PAGES` calls of a kind.
        """
        try:
            return self._conversation_by_graphql(number)
        except (Refused, Unavailable, GraphQLUnavailable) as error:
            logger.info("GraphQL is not to be had, the conversation is read by REST", extra={"error": str(error)})
        limit = MAX_CONVERSATION_PAGES * PER_PAGE
        comments = self._pages(f"/repos/{self.repo}/pulls/{number}/comments", parse_as(list[ReviewComment]), limit)
        threads = [comment.thread for page in comments for comment in page if comment.in_reply_to_id is None]
        reviews = self._pages(f"/repos/{self.repo}/pulls/{number}/reviews", parse_as(list[SubmittedReview]), limit)
        return threads, [review for page in reviews for review in page]

    def permission_of(self, login: str) -> str:
        """Return what somebody may do in the repository: `admin`, `write`, `read`, or `none`.

        `maintain` is `write` here, and `triage` is `read`. Source: GitHub REST docs, "Get repository permissions for a
        user".
        """
        path = f"/repos/{self.repo}/collaborators/{quote(login, safe='')}/permission"
        try:
            return self._call("GET", path, parse_as(Permission)).permission
        except Refused as refused:
            if refused.status == 404:
                return "none"
            raise

    def react(self, comment_id: int, content: str, *, on_lines: bool, before: Callable[[], None]) -> None:
        """React to a comment (`eyes`, `+1`). To do it twice is to do it once. `before` is as in `create_review`."""
        path = f"/repos/{self.repo}/{'pulls' if on_lines else 'issues'}/comments/{comment_id}/reactions"
        self._send_once("POST", path, lambda response: None, {"content": content}, before)

    def comments(self, number: int, *, on_lines: bool) -> Iterator[Comment]:
        """Yield the comments on the lines of a pull request, or those in its conversation, page by page.

        Raises `Unavailable` after `MAX_COMMENTS`.
        """
        path = f"/repos/{self.repo}/{'pulls' if on_lines else 'issues'}/{number}/comments"
        return self._all(
            path, parse_as(list[Comment]), MAX_COMMENTS, f"the pull request has more than {MAX_COMMENTS} comments"
        )

    def create_comment(self, number: int, body: str, thread: int | None, before: Callable[[], None]) -> Comment:
        """Post a comment in the conversation of a pull request, or a reply in the thread that a comment began.

        Sent once, as a review is; for `before` see `create_review`. Beside `in_reply_to` GitHub reads the body alone;
        the address that ends in `/replies` is not for Apps. Source: GitHub's OpenAPI description.
        """
        path = f"/repos/{self.repo}/{'issues' if thread is None else 'pulls'}/{number}/comments"
        reply = {} if thread is None else {"in_reply_to": thread}
        return self._send_once("POST", path, parse_as(Comment), {"body": body, **reply}, before)

    def set_threads_resolved(
        self, resolve: Sequence[str], unresolve: Sequence[str], before: Callable[[], None]
    ) -> set[str]:
        """Resolve some threads (their ids) and open others again, with one call; return those that it was done to.

        GitHub allows it only to a token with `contents: write`. `before` is as in `create_review`.
        """
        query, variables = resolution(resolve, unresolve)

        def settled(answer: Any, response: httpx.Response) -> set[str]:
            return done(answer.get("data") if isinstance(answer, dict) else None, variables)

        return self._graphql(query, variables, settled, tries=1, before=before)

    def may_write_checks(self) -> bool:
        """Tell whether the installation's owner has granted check runs. Known once there is a token: mostly no call."""
        self._connection()
        return self._held().checks

    def check_runs(self, commit: str, name: str) -> Iterator[CheckRun]:
        """Yield the check runs of a commit under one name, whoever made them. Raises `Unavailable` after the last that
        GitHub keeps: it may have had others."""
        path = f"/repos/{self.repo}/commits/{commit}/check-runs"
        too_many = f"the commit has {MAX_CHECK_RUNS} check runs of one name, or more"
        return self._all(path, _listed_check_runs, MAX_CHECK_RUNS, too_many, check_name=name, filter="all")

    def create_check_run(self, body: Mapping[str, Any], before: Callable[[], None]) -> CheckRun:
        """Post one check run. Sent once, as a review is; for `before` see `create_review`."""
        return self._send_once("POST", f"/repos/{self.repo}/check-runs", parse_as(CheckRun), body, before)

    def update_check_run(self, number: int, body: Mapping[str, Any], before: Callable[[], None]) -> CheckRun:
        """Put another outcome in place of that of a check run. Sent once: annotations are added to those it has."""
        return self._send_once("PATCH", f"/repos/{self.repo}/check-runs/{number}", parse_as(CheckRun), body, before)

    # How it asks

    def _send_once(
        self,
        method: str,
        path: str,
        read: Callable[[httpx.Response], T],
        body: Mapping[str, Any],
        before: Callable[[], None],
    ) -> T:
        """Make a call that changes something, once, whatever comes back. A token that is no good is forgotten."""
        try:
            return self._connection().call(method, path, read, json=dict(body), tries=1, before=before)
        except Refused as refused:
            if refused.status != 401:
                raise
            self._forget_token()
            raise Unavailable(str(refused)) from refused

    def _graphql(
        self, query: str, variables: Mapping[str, Any], read: Callable[[Any, httpx.Response], T], **kwargs: Any
    ) -> T:
        """Ask GraphQL; return what `read` makes of the answer. Its limit, which comes with 200, is told from others."""

        def answer(response: httpx.Response) -> T:
            told = parse_json(response)
            if _tells_of_limit(told.get("errors") if isinstance(told, dict) else None):
                raise limits.register_hit(self._connection().owner, "graphql", response)
            return read(told, response)

        asked_for = {"query": query, "variables": variables}
        return self._call("POST", _graphql_url(), answer, json=asked_for, resource="graphql", **kwargs)

    def _conversation_by_graphql(self, number: int) -> tuple[list[Thread], list[SubmittedReview]]:
        owner, _, name = self.repo.partition("/")
        variables: dict[str, Any] = {"owner": owner, "name": name, "number": number}
        threads: dict[str, Thread] = {}
        reviews: dict[int, SubmittedReview] = {}

        def pull_request(answer: Any, response: httpx.Response) -> ThreadsPage:
            found = _repository_of(answer).get("pullRequest")
            if not isinstance(found, dict):
                raise GraphQLUnavailable(f"no pull request in the answer; errors: {answer.get('errors')}"[:500])
            return validated(found, ThreadsPage, response)

        for _ in range(MAX_CONVERSATION_PAGES):
            page = self._graphql(THREADS_QUERY, variables, pull_request)
            threads |= {thread.id: thread for thread in page.threads}
            reviews |= {review.id: review for review in page.reviews}
            ends = {"threads": page.threads_page.page, "reviews": page.reviews_page.page}
            if not any(end.more for end in ends.values()):
                break
            # A list that is at its end is asked for what comes after it: nothing.
            variables |= {name: end.end or variables.get(name) for name, end in ends.items()}
        return list(threads.values()), list(reviews.values())

    def _pages(
        self, path: str, read: Callable[[httpx.Response], list[T]], limit: int, **params: str
    ) -> Iterator[list[T]]:
        page, seen = 1, 0
        while seen < limit:
            entries = self._call("GET", path, read, params={**params, "per_page": PER_PAGE, "page": page})
            yield entries
            seen += len(entries)
            if len(entries) < PER_PAGE:
                return
            page += 1

    def _all(
        self, path: str, read: Callable[[httpx.Response], list[T]], limit: int, too_many: str, **params: str
    ) -> Iterator[T]:
        """Yield all that is listed at a path. Raises `Unavailable` (`too_many`) after `limit`: there may be more."""
        for page in self._pages(path, read, limit, **params):
            yield from page
            if len(page) < PER_PAGE:
                return
        raise Unavailable(too_many)

    def _blobs_by_graphql(self, places: Sequence[FileRef]) -> dict[FileRef, Blob]:
        names = [f"e{index}" for index in range(len(places))]
        declared = "".join(f",${name}:String!" for name in names)
        asked = " ".join(f"{name}:object(expression:${name}){{...on Blob{{text isTruncated}}}}" for name in names)
        query = f"query($owner:String!,$name:String!{declared}){{repository(owner:$owner,name:$name){{{asked}}}}}"
        owner, _, name = self.repo.partition("/")
        variables = {"owner": owner, "name": name}
        variables |= {alias: f"{place.ref}:{place.path}" for alias, place in zip(names, places, strict=True)}

        def files(answer: Any, response: httpx.Response) -> dict[FileRef, Blob]:
            repository = _repository_of(answer)
            if not repository.keys() >= set(names):
                raise GraphQLUnavailable("an answer without what was asked for")
            blobs = zip(places, (repository[alias] for alias in names), strict=True)
            # A directory or a submodule answers with an object without `text`: it is no file to look at.
            found = {place: blob for place, blob in blobs if isinstance(blob, dict) and "text" in blob}
            return {place: validated(blob, Blob, response) for place, blob in found.items()}

        return self._graphql(query, variables, files)

    def _blobs_by_rest(self, places: Sequence[FileRef]) -> dict[FileRef, Blob]:
        found = {}
        for place in places:
            try:
                text = self.file_text(place.path, place.ref)
            except Refused as refused:
                # One file that GitHub does not hand over (too large, blocked) is no reason to give up the others.
                logger.info(
                    "file not handed over", extra={"repo": self.repo, "path": place.path, "error": str(refused)}
                )
                continue
            if text is not None:
                found[place] = Blob(text=text)
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
        return githubkit.TokenAuthStrategy(self._held().token.token)

    def _held(self) -> _Held:
        assert self._installation_id is not None  # noqa: S101  # a connection is made for an installation
        key = (self._installation_id, self.repo)
        held = _tokens.get(key)
        if held is None or not held.good:
            held = _tokens[key] = _new_token(*key)
        return held

    def _forget_token(self) -> None:
        if self._installation_id is not None:
            _tokens.pop((self._installation_id, self.repo), None)
        if self._open is not None:
            self._open.close()


def _new_token(installation_id: int, repo: str) -> _Held:
    """Ask for a token; for one without check runs where the installation's owner has not granted them.

    GitHub refuses a token (422) that is to have more than the installation has. For as long as a token lives the others
    of its installation are asked for without check runs at once; after that GitHub is asked whether it still is so.
    """
    with AppClient() as app:
        if _known_without_checks(installation_id):
            return _Held(app.installation_token(installation_id, repo, checks=False), checks=False)
        try:
            return _Held(app.installation_token(installation_id, repo), checks=True)
        except Refused as refused:
            if refused.status != 422:
                raise
        held = _Held(app.installation_token(installation_id, repo, checks=False), checks=False)
        logger.info("check runs are not granted, none are made", extra={"installation_id": installation_id})
        return held


def _known_without_checks(installation_id: int) -> bool:
    # A list first: the periodic tasks have a thread of their own.
    tokens = list(_tokens.items())
    return any(of == installation_id and held.good and not held.checks for (of, _), held in tokens)


def _listed_check_runs(response: httpx.Response) -> list[CheckRun]:
    return parse_as(CheckRuns)(response).check_runs


def _text_of_file(response: httpx.Response) -> str | None:
    """The text of what is at a path; None for what is no text file. A list is what is in a directory."""
    answer = parse_json(response)
    return None if isinstance(answer, list) else decoded(validated(answer, Content, response))


def _repository_of(answer: Any) -> dict[str, Any]:
    """The repository in an answer of GraphQL. Raises `GraphQLUnavailable` where there are errors, or is none."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    data = answer.get("data") if isinstance(answer, dict) and not errors else None
    repository = data.get("repository") if isinstance(data, dict) else None
    if not isinstance(repository, dict):
        raise GraphQLUnavailable(f"no answer to what was asked; errors: {errors}"[:500])
    return repository


def _tells_of_limit(errors: Any) -> bool:
    """Tell GraphQL's primary limit, which comes with 200. Both words were seen. Source: githubkit issue 271."""
    listed = errors if isinstance(errors, list) else []
    return any(isinstance(error, dict) and error.get("type") in ("RATE_LIMITED", "RATE_LIMIT") for error in listed)


def _graphql_url() -> str:
    """Address of GraphQL: beside the REST API, and beside `/api/v3` on GitHub Enterprise Server."""
    base = settings.KODIAI_GITHUB_API_URL.rstrip("/")
    return base.removesuffix("/v3") + "/graphql"
