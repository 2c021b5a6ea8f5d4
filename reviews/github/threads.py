"""Review threads and reviews of a pull request by GraphQL: queries, mutations and their answers.

GraphQL gives the login of an App without `[bot]`; here it has the form of REST, with `[bot]`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from reviews.github.errors import GraphQLUnavailable
from reviews.github.identity import known_login
from reviews.github.schemas import MAX_ID, Answer, Authored, Login, SubmittedReview, Text, Url, User

THREADS_PER_PAGE = 100
"""GraphQL's maximum. Source: GitHub GraphQL docs, "Rate limits and query limits"."""

_AUTHOR = "author{__typename login}"
_PAGE_INFO = "pageInfo{hasNextPage endCursor}"
_THUMBS_DOWN = "reactions(content:THUMBS_DOWN,first:1){totalCount}"
THREADS_QUERY = (
    "query($owner:String!,$name:String!,$number:Int!,$threads:String,$reviews:String)"
    "{viewer{login}repository(owner:$owner,name:$name){pullRequest(number:$number){"
    f"reviewThreads(first:{THREADS_PER_PAGE},after:$threads){{nodes{{id isResolved resolvedBy{{login}} path line "
    f"comments(first:1){{nodes{{fullDatabaseId body {_AUTHOR} {_THUMBS_DOWN}}}}}}}{_PAGE_INFO}}}"
    f"reviews(first:{THREADS_PER_PAGE},after:$reviews){{nodes{{fullDatabaseId body url {_AUTHOR}}}{_PAGE_INFO}}}"
    "}}}"
)
"""A page of threads and a page of reviews, oldest first. `databaseId` is too small for current ids."""

_BigInt = Annotated[int, Field(gt=0, le=MAX_ID)]
"""GraphQL writes 64-bit numbers as strings."""


def _count(reactions: Any) -> int:
    """The number of thumbs-down reactions, by GraphQL or REST; 0 if it is invalid, because it is not important."""
    count = reactions.get("totalCount", reactions.get("-1")) if isinstance(reactions, dict) else 0
    return count if type(count) is int and 0 <= count < 2**31 else 0


_ThumbsDown = Annotated[int, BeforeValidator(_count)]


class _Author(Answer):
    login: Login
    kind: Text = Field(default="", alias="__typename")

    @property
    def login_in_rest(self) -> str:
        return f"{self.login}[bot]" if self.kind == "Bot" else self.login


class _Comment(Answer):
    id: _BigInt = Field(alias="fullDatabaseId")
    body: Text
    author: _Author | None
    thumbs_down: _ThumbsDown = Field(default=0, alias="reactions")


class _Comments(Answer):
    nodes: list[_Comment]


class _Thread(Answer):
    id: Text
    resolved: bool = Field(alias="isResolved")
    resolved_by: User | None = Field(alias="resolvedBy")
    path: Text
    line: int | None
    comments: _Comments


class _Review(Answer):
    id: _BigInt = Field(alias="fullDatabaseId")
    body: Text
    url: Url = None
    author: _Author | None


class _PageInfo(Answer):
    more: bool = Field(alias="hasNextPage")
    end: str | None = Field(alias="endCursor")


class _Threads(Answer):
    nodes: list[_Thread]
    page: _PageInfo = Field(alias="pageInfo")


class _Reviews(Answer):
    nodes: list[_Review]
    page: _PageInfo = Field(alias="pageInfo")


class Thread(Answer):
    """A review thread, with its first comment. Logins are as `identity.known_login` gives them."""

    id: str = ""
    """The GraphQL id; empty if read by REST, which does not show whether a thread is resolved."""
    resolved: bool = False
    resolved_by: str = ""
    path: str
    line: int | None = None
    """The line in the head commit; None if the thread is outdated."""
    comment_id: int
    author: str
    body: str
    thumbs_down: int = 0


class ReviewComment(Authored):
    """A review comment from REST. Only the first comment of a thread has no `in_reply_to_id`."""

    id: Annotated[int, Field(strict=True, gt=0, le=MAX_ID)]
    path: Text
    body: Text
    in_reply_to_id: int | None = None
    thumbs_down: _ThumbsDown = Field(default=0, alias="reactions")

    @property
    def thread(self) -> Thread:
        """The thread that the comment started."""
        return Thread(
            path=self.path,
            comment_id=self.id,
            author=self.author,
            body=self.body,
            thumbs_down=self.thumbs_down,
        )


class ThreadsPage(Answer):
    """The pull request in the answer to `THREADS_QUERY`."""

    threads_page: _Threads = Field(alias="reviewThreads")
    reviews_page: _Reviews = Field(alias="reviews")

    def threads(self, own: str) -> list[Thread]:
        """The threads of the page. `own` is the App's login on GitHub."""
        return [
            Thread(
                id=thread.id,
                resolved=thread.resolved,
                # GitHub does not document whether an App's login ends with `[bot]` here.
                resolved_by=known_login(f"{thread.resolved_by.login.removesuffix('[bot]')}[bot]", own)
                if thread.resolved_by
                else "",
                path=thread.path,
                line=thread.line,
                comment_id=first.id,
                author=known_login(first.author.login_in_rest, own) if first.author else "",
                body=first.body,
                thumbs_down=first.thumbs_down,
            )
            for thread in self.threads_page.nodes
            for first in thread.comments.nodes[:1]
        ]

    def reviews(self, own: str) -> list[SubmittedReview]:
        """The reviews of the page. `own` is the App's login on GitHub."""
        return [
            SubmittedReview(
                id=review.id,
                body=review.body,
                user=User(login=known_login(review.author.login_in_rest, own)) if review.author else None,
                html_url=review.url,
            )
            for review in self.reviews_page.nodes
        ]


def viewer_login(answer: Any) -> str:
    """The login of the App in an answer that has `viewer`, with `[bot]`. Raises `GraphQLUnavailable` if it has none.

    An installation token may ask for it, unlike for REST's `/user`. Source: fullsend-ai/fullsend, pull request 1953.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    viewer = data.get("viewer") if isinstance(data, dict) else None
    login = viewer.get("login") if isinstance(viewer, dict) else None
    if not isinstance(login, str) or not login:
        raise GraphQLUnavailable("the answer does not say who asks")
    return f"{login.removesuffix('[bot]')}[bot]"


def resolve_mutation(resolve: Sequence[str], unresolve: Sequence[str]) -> tuple[str, Mapping[str, str]]:
    """Build one mutation that resolves and reopens threads by id; return it and its variables.

    Its parts have the names of the variables.
    """
    variables = {f"t{index}": thread for index, thread in enumerate((*resolve, *unresolve))}
    names = list(variables)
    mutations = [("resolveReviewThread", name) for name in names[: len(resolve)]]
    mutations += [("unresolveReviewThread", name) for name in names[len(resolve) :]]
    declared = ",".join(f"${name}:ID!" for name in names)
    parts = " ".join(f"{name}:{mutation}(input:{{threadId:${name}}}){{thread{{id}}}}" for mutation, name in mutations)
    return f"mutation({declared}){{{parts}}}", variables


def changed_threads(data: Any, variables: Mapping[str, str]) -> set[str]:
    """Ids of the threads that GitHub has resolved or reopened."""
    answers = data if isinstance(data, dict) else {}
    return {thread for name, thread in variables.items() if isinstance(answers.get(name), dict)}
