"""The client of GitHub: the calls of a review, as one installation of the App, for one repository."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from reviews.github import files, limits
from reviews.github.app import PER_PAGE
from reviews.github.connection import parse_as, validated
from reviews.github.errors import GraphQLUnavailable, Refused, Unavailable
from reviews.github.files import FileRef
from reviews.github.identity import is_app_login
from reviews.github.schemas import (
    Blob,
    ChangedFile,
    CheckRun,
    CheckRuns,
    Comment,
    Comparison,
    Permission,
    PullRequest,
    SearchResult,
    SubmittedReview,
)
from reviews.github.session import Session, graphql_repository
from reviews.github.threads import (
    THREADS_QUERY,
    ReviewComment,
    Thread,
    ThreadsPage,
    changed_threads,
    resolve_mutation,
    viewer_login,
)

logger = logging.getLogger(__name__)

MAX_FILES = 3000
"""Files that GitHub lists for a pull request. Source: GitHub REST docs, "List pull requests files"."""
CROWDED_LINES = 10_000
"""Lines of patches in a list from which one of its pages may have too many, 20,000, for GitHub to show all of them."""
SMALLER_PAGES = (10, 1)
"""Files per page where GitHub left out patches."""
MAX_PATCH_CALLS = 10
"""Calls for pages of one of these sizes."""
MAX_COMPARED_FILES = 300
"""Files that GitHub lists for a comparison. Source: GitHub REST docs, "Compare two commits"."""
MAX_REVIEWS = 10_000
"""Reviews of a pull request that are searched for the App's own. After that it is unknown whether it exists."""
MAX_COMMENTS = 10_000
"""Comments of a pull request that are searched for the App's own."""
MAX_CONVERSATION_PAGES = 20
"""Pages of a conversation that are read, with a hundred threads and a hundred reviews each."""
MAX_CHECK_RUNS = 1000
"""Check runs of one name that GitHub keeps per commit. Source: GitHub REST docs, "Create a check run"."""


class Client:
    """GitHub for one installation of the App and one repository.

    A context manager that keeps one connection open. Each method makes one call (or one per page) and raises
    `RateLimited`, `Refused`, `Unavailable` or `NotConfigured`. Read-only calls are retried on server errors. Posts are
    sent once: after a broken answer only GitHub's lists show whether a post exists. Their parameter `before` is called
    right before the request is sent; its exceptions propagate.
    """

    def __init__(self, repo: str, installation_id: int | None, repo_id: int | None = None) -> None:
        self.repo = repo
        self._session = Session(repo, installation_id, repo_id)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self._session.close()

    # Pull requests and files

    def pull_request(self, number: int) -> PullRequest:
        """Return a pull request."""
        return self._session.call("GET", f"/repos/{self.repo}/pulls/{number}", parse_as(PullRequest))

    def changed_files(
        self, number: int, count: int | None = None, needs_patch: Callable[[str], bool] = lambda path: False
    ) -> list[ChangedFile]:
        """Return the changed files, at most `MAX_FILES`.

        `count` is GitHub's number of changed files, if known; it is not always right. Files whose path `needs_patch`
        and whose patch GitHub left out, because the page has too many lines, are requested again on smaller pages, with
        at most `MAX_PATCH_CALLS` calls each for two sizes.
        """
        path = f"/repos/{self.repo}/pulls/{number}/files"
        pages = self._session.pages(path, parse_as(list[ChangedFile]), MAX_FILES, expected=count)
        files = [file for page in pages for file in page]
        crowded = sum((file.patch or "").count("\n") for file in files) >= CROWDED_LINES
        for size in SMALLER_PAGES:
            lacking = {
                index: file
                for index, file in enumerate(files)
                if file.may_lack_patch(crowded=crowded) and needs_patch(file.path)
            }
            for page in sorted({index // size for index in lacking})[:MAX_PATCH_CALLS]:
                query = {"per_page": size, "page": page + 1}
                found = self._session.call("GET", path, parse_as(list[ChangedFile]), params=query)
                # By path and content: the list may have changed meanwhile.
                complete = {(file.path, file.sha): file for file in found}
                for index, file in lacking.items():
                    files[index] = complete.get((file.path, file.sha), files[index])
        return files

    def compared_files(self, base: str, head: str) -> list[ChangedFile]:
        """Return the files that changed from the merge base of two commits to `head`, at most `MAX_COMPARED_FILES`.

        The first page has all of them; pages are of commits, of which none is needed. Source: as above.
        """
        path = f"/repos/{self.repo}/compare/{base}...{head}"
        return self._session.call("GET", path, parse_as(Comparison), params={"per_page": 1, "page": 1}).files

    def has_access(self) -> bool:
        """Ask GitHub whether the App is installed on the repository, and not suspended."""
        return self._session.has_access()

    def file_text(self, path: str, ref: str) -> str | None:
        """Return a text file's content at `ref`; None if there is no such file. Raises `NotText`."""
        return files.read_file(self._session, path, ref)

    def organisation_file_text(self, path: str) -> str | None:
        """Return a text file of the owner's `.github` repository; see `files.read_organisation_file`."""
        return files.read_organisation_file(self._session, path)

    def blobs(self, refs: Sequence[FileRef]) -> dict[FileRef, Blob]:
        """Return files, each at a commit or branch; see `files.read_blobs`."""
        return files.read_blobs(self._session, refs)

    def search_count(self, query: str) -> tuple[int, bool]:
        """Return the number of matching issues and pull requests, and whether GitHub counted all of them."""
        params = {"q": query, "per_page": 1}
        answer = self._session.call(
            "GET", "/search/issues", parse_as(SearchResult), params=params, resource=limits.SEARCH, tries=1
        )
        return answer.total_count, not answer.incomplete_results

    def permission_of(self, login: str) -> str:
        """Return the permission of a user in the repository: `admin`, `write`, `read`, or `none`.

        GitHub maps `maintain` to `write` and `triage` to `read`. Source: GitHub REST docs, "Get repository permissions
        for a user".
        """
        path = f"/repos/{self.repo}/collaborators/{quote(login, safe='')}/permission"
        try:
            return self._session.call("GET", path, parse_as(Permission)).permission
        except Refused as refused:
            if refused.status == 404:
                return "none"
            raise

    def is_own(self, login: str) -> bool:
        """Return whether a login, as REST gives it, is the App's own on GitHub; as configured, without GraphQL."""
        try:
            own = self._session.graphql("{viewer{login}}", {}, lambda answer, _: viewer_login(answer))
        except (Refused, Unavailable, GraphQLUnavailable) as error:
            logger.info("GraphQL unavailable, trusting the configured login", extra={"error": str(error)})
            return is_app_login(login)
        return login.lower() == own.lower()

    # Reviews and threads

    def reviews(self, number: int) -> Iterator[SubmittedReview]:
        """Yield the reviews of a pull request, page by page. Raises `Unavailable` after `MAX_REVIEWS`."""
        path = f"/repos/{self.repo}/pulls/{number}/reviews"
        too_many = f"the pull request has more than {MAX_REVIEWS} reviews"
        return self._session.all_entries(path, parse_as(list[SubmittedReview]), MAX_REVIEWS, too_many)

    def create_review(
        self,
        number: int,
        *,
        commit: str,
        body: str,
        comments: Sequence[Mapping[str, Any]],
        before: Callable[[], None],
    ) -> SubmittedReview:
        """Post a review."""
        payload = {"commit_id": commit, "body": body, "event": "COMMENT", "comments": list(comments)}
        path = f"/repos/{self.repo}/pulls/{number}/reviews"
        return self._session.send_once("POST", path, parse_as(SubmittedReview), payload, before)

    def update_review(self, number: int, review_id: int, body: str, before: Callable[[], None]) -> SubmittedReview:
        """Replace the body of the App's own review."""
        path = f"/repos/{self.repo}/pulls/{number}/reviews/{review_id}"
        return self._session.send_once("PUT", path, parse_as(SubmittedReview), {"body": body}, before)

    def threads_and_reviews(self, number: int) -> tuple[list[Thread], list[SubmittedReview]]:
        """Return the review threads and reviews of a pull request, oldest first.

        By GraphQL, or by REST if GraphQL is unavailable; at most `MAX_CONVERSATION_PAGES` pages of each.
        """
        try:
            return self._conversation_by_graphql(number)
        except (Refused, Unavailable, GraphQLUnavailable) as error:
            logger.info("GraphQL unavailable, falling back to REST", extra={"error": str(error)})
        limit = MAX_CONVERSATION_PAGES * PER_PAGE
        path = f"/repos/{self.repo}/pulls/{number}"
        comments = self._session.pages(f"{path}/comments", parse_as(list[ReviewComment]), limit)
        threads = [comment.thread for page in comments for comment in page if comment.in_reply_to_id is None]
        reviews = self._session.pages(f"{path}/reviews", parse_as(list[SubmittedReview]), limit)
        return threads, [review for page in reviews for review in page]

    def set_threads_resolved(
        self, resolve: Sequence[str], unresolve: Sequence[str], before: Callable[[], None]
    ) -> set[str]:
        """Resolve and reopen threads by id, in one call; return the ids of those that GitHub changed.

        It requires a token with `contents: write`.
        """
        query, variables = resolve_mutation(resolve, unresolve)

        def read(answer: Any, response: httpx.Response) -> set[str]:
            return changed_threads(answer.get("data") if isinstance(answer, dict) else None, variables)

        return self._session.graphql(query, variables, read, tries=1, before=before)

    # Comments

    def comments(self, number: int, *, on_lines: bool) -> Iterator[Comment]:
        """Yield the review comments of a pull request, or those of its conversation, page by page.

        Raises `Unavailable` after `MAX_COMMENTS`.
        """
        path = f"/repos/{self.repo}/{'pulls' if on_lines else 'issues'}/{number}/comments"
        too_many = f"the pull request has more than {MAX_COMMENTS} comments"
        return self._session.all_entries(path, parse_as(list[Comment]), MAX_COMMENTS, too_many)

    def create_comment(self, number: int, body: str, thread: int | None, before: Callable[[], None]) -> Comment:
        """Post a comment in the conversation of a pull request, or a reply in the thread of a review comment.

        With `in_reply_to` GitHub reads only the body; the endpoint `/replies` is not available to Apps. Source:
        GitHub's OpenAPI description.
        """
        path = f"/repos/{self.repo}/{'issues' if thread is None else 'pulls'}/{number}/comments"
        reply = {} if thread is None else {"in_reply_to": thread}
        return self._session.send_once("POST", path, parse_as(Comment), {"body": body, **reply}, before)

    def update_comment(self, comment_id: int, body: str, before: Callable[[], None]) -> None:
        """Replace the body of the App's own review comment."""
        path = f"/repos/{self.repo}/pulls/comments/{comment_id}"
        self._session.send_once("PATCH", path, lambda response: None, {"body": body}, before)

    def react(self, comment_id: int, content: str, *, on_lines: bool, before: Callable[[], None]) -> None:
        """React to a comment (`eyes`, `+1`); idempotent."""
        path = f"/repos/{self.repo}/{'pulls' if on_lines else 'issues'}/comments/{comment_id}/reactions"
        self._session.send_once("POST", path, lambda response: None, {"content": content}, before)

    # Check runs

    def may_write_checks(self) -> bool:
        """Return whether the installation's owner has granted check runs. Usually makes no call."""
        return self._session.may_write_checks()

    def check_runs(self, commit: str, name: str) -> Iterator[CheckRun]:
        """Yield the check runs of a commit with one name, of any App. Raises `Unavailable` after `MAX_CHECK_RUNS`."""
        path = f"/repos/{self.repo}/commits/{commit}/check-runs"
        too_many = f"the commit has {MAX_CHECK_RUNS} check runs of one name, or more"
        return self._session.all_entries(
            path, _listed_check_runs, MAX_CHECK_RUNS, too_many, check_name=name, filter="all"
        )

    def create_check_run(self, body: Mapping[str, Any], before: Callable[[], None]) -> CheckRun:
        """Post a check run."""
        return self._session.send_once("POST", f"/repos/{self.repo}/check-runs", parse_as(CheckRun), body, before)

    def update_check_run(self, number: int, body: Mapping[str, Any], before: Callable[[], None]) -> CheckRun:
        """Replace the outcome of a check run; its annotations are added to the existing ones."""
        path = f"/repos/{self.repo}/check-runs/{number}"
        return self._session.send_once("PATCH", path, parse_as(CheckRun), body, before)

    def _conversation_by_graphql(self, number: int) -> tuple[list[Thread], list[SubmittedReview]]:
        owner, _, name = self.repo.partition("/")
        variables: dict[str, Any] = {"owner": owner, "name": name, "number": number}
        threads: dict[str, Thread] = {}
        reviews: dict[int, SubmittedReview] = {}

        def read(answer: Any, response: httpx.Response) -> tuple[ThreadsPage, str]:
            found = graphql_repository(answer).get("pullRequest")
            if not isinstance(found, dict):
                raise GraphQLUnavailable(f"no pull request in the answer; errors: {answer.get('errors')}"[:500])
            return validated(found, ThreadsPage, response), viewer_login(answer)

        for _ in range(MAX_CONVERSATION_PAGES):
            page, own = self._session.graphql(THREADS_QUERY, variables, read)
            threads |= {thread.id: thread for thread in page.threads(own)}
            reviews |= {review.id: review for review in page.reviews(own)}
            ends = {"threads": page.threads_page.page, "reviews": page.reviews_page.page}
            if not any(end.more for end in ends.values()):
                break
            # A list that has ended is queried after its end and returns nothing.
            variables |= {name: end.end or variables.get(name) for name, end in ends.items()}
        return list(threads.values()), list(reviews.values())


def _listed_check_runs(response: httpx.Response) -> list[CheckRun]:
    return parse_as(CheckRuns)(response).check_runs
