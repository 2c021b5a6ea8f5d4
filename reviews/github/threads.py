"""The conversation on a pull request: threads on its lines, and reviews. What is asked by GraphQL, and the answers.

In GraphQL the login of an App is its name alone; it is told here as REST tells it, with `[bot]`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from reviews.github.schemas import MAX_ID, Address, Answer, Authored, Login, SubmittedReview, Text, User

THREADS_PER_PAGE = 100
"""The most that GraphQL gives. Source: GitHub GraphQL docs, "Rate limits and query limits"."""

_AUTHOR = "author{__typename login}"
_PAGE_INFO = "pageInfo{hasNextPage endCursor}"
_THUMBS_DOWN = "reactions(content:THUMBS_DOWN,first:1){totalCount}"
THREADS_QUERY = (
    "query($owner:String!,$name:String!,$number:Int!,$threads:String,$reviews:String)"
    "{repository(owner:$owner,name:$name){pullRequest(number:$number){"
    f"reviewThreads(first:{THREADS_PER_PAGE},after:$threads){{nodes{{id isResolved resolvedBy{{login}} path line "
    f"comments(first:1){{nodes{{fullDatabaseId body {_AUTHOR} {_THUMBS_DOWN}}}}}}}{_PAGE_INFO}}}"
    f"reviews(first:{THREADS_PER_PAGE},after:$reviews){{nodes{{fullDatabaseId body url {_AUTHOR}}}{_PAGE_INFO}}}"
    "}}}"
)
"""A page of threads and a page of reviews, oldest first. `databaseId` has no room for the numbers of today."""

_BigInt = Annotated[int, Field(gt=0, le=MAX_ID)]
"""GraphQL writes 64-bit numbers as strings."""


def _counted(reactions: Any) -> int:
    """How many thumbs are down, as GraphQL tells it or REST; none where it cannot be read: it is of no weight."""
    count = reactions.get("totalCount", reactions.get("-1")) if isinstance(reactions, dict) else 0
    return count if type(count) is int and 0 <= count < 2**31 else 0


_ThumbsDown = Annotated[int, BeforeValidator(_counted)]


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
    url: Address = None
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
    """A thread on lines of a pull request, as its first comment began it."""

    id: str = ""
    """Its name in GraphQL; empty where only REST told of it: then it is not known whether it is resolved."""
    resolved: bool = False
    resolved_by: str = ""
    path: str
    line: int | None = None
    """Its line in the head commit; None where that has changed since."""
    comment_id: int
    author: str
    body: str
    thumbs_down: int = 0


class ReviewComment(Authored):
    """A comment on lines as REST lists it. Only the first of a thread has no `in_reply_to_id`."""

    id: Annotated[int, Field(strict=True, gt=0, le=MAX_ID)]
    path: Text
    body: Text
    in_reply_to_id: int | None = None
    thumbs_down: _ThumbsDown = Field(default=0, alias="reactions")

    @property
    def thread(self) -> Thread:
        return Thread(
            path=self.path,
            comment_id=self.id,
            author=self.author,
            body=self.body,
            thumbs_down=self.thumbs_down,
        )


class ThreadsPage(Answer):
    """What the query `THREADS_QUERY` answers about the pull request."""

    threads_page: _Threads = Field(alias="reviewThreads")
    reviews_page: _Reviews = Field(alias="reviews")

    @property
    def threads(self) -> list[Thread]:
        return [
            Thread(
                id=thread.id,
                resolved=thread.resolved,
                resolved_by=thread.resolved_by.login if thread.resolved_by else "",
                path=thread.path,
                line=thread.line,
                comment_id=first.id,
                author=first.author.login_in_rest if first.author else "",
                body=first.body,
                thumbs_down=first.thumbs_down,
            )
            for thread in self.threads_page.nodes
            for first in thread.comments.nodes[:1]
        ]

    @property
    def reviews(self) -> list[SubmittedReview]:
        return [
            SubmittedReview(
                id=review.id,
                body=review.body,
                user=User(login=review.author.login_in_rest) if review.author else None,
                html_url=review.url,
            )
            for review in self.reviews_page.nodes
        ]


def resolution(resolve: Sequence[str], unresolve: Sequence[str]) -> tuple[str, Mapping[str, str]]:
    """The mutation that resolves some threads (their ids) and opens others again, and its variables: one call for all.

    The names of its parts are those of the variables.
    """
    variables = {f"t{index}": thread for index, thread in enumerate((*resolve, *unresolve))}
    names = list(variables)
    asked = [("resolveReviewThread", name) for name in names[: len(resolve)]]
    asked += [("unresolveReviewThread", name) for name in names[len(resolve) :]]
    declared = ",".join(f"${name}:ID!" for name in names)
    parts = " ".join(f"{name}:{what}(input:{{threadId:${name}}}){{thread{{id}}}}" for what, name in asked)
    return f"mutation({declared}){{{parts}}}", variables


def done(data: Any, variables: Mapping[str, str]) -> set[str]:
    """The threads that GitHub says it has resolved or opened again."""
    answers = data if isinstance(data, dict) else {}
    return {thread for name, thread in variables.items() if isinstance(answers.get(name), dict)}
