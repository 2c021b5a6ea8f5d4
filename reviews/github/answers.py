"""GitHub's answers: of each the fields that Kodiai reads, so that versions which lack or add others are welcome."""

import base64
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class User(Answer):
    login: str = Field(max_length=255, pattern=r"^[^\x00]*$")


class Ref(Answer):
    sha: str = Field(pattern=r"^[0-9a-f]{40,64}$")
    ref: str = ""


class PullRequest(Answer):
    """A pull request. `user` is None where the account is gone."""

    state: str = "open"
    user: User | None = None
    author_association: str = "NONE"
    head: Ref
    base: Ref


class ChangedFile(Answer):
    """A changed file; `patch` is its hunks, None where GitHub shows none (binary, too large, nothing but a rename)."""

    path: str = Field(alias="filename")
    status: str = "modified"
    patch: str | None = None


class Blob(Answer):
    """The content of a file; `text` is None where it is binary or not UTF-8."""

    text: str | None = None
    truncated: bool = Field(default=False, alias="isTruncated")


class SubmittedReview(Answer):
    id: int | None = Field(default=None, ge=1, lt=2**63)
    body: str | None = None
    html_url: str | None = Field(default=None, max_length=1024, pattern=r"^https?://[^\x00]*$")
    user: User | None = None


class SearchResult(Answer):
    total_count: int
    incomplete_results: bool = False


class Content(Answer):
    content: str = ""
    encoding: str = "base64"


class Token(Answer):
    token: str
    expires_at: datetime


class Installation(Answer):
    id: int


def decoded(content: Content) -> str | None:
    """The text of a file from the contents endpoint; None where it is binary, not UTF-8, or too large to be sent."""
    try:
        return base64.b64decode(content.content).decode() if content.encoding == "base64" else None
    except ValueError:  # not base64, not even ASCII, or not UTF-8
        return None
