"""Schemas of GitHub's answers, with only the fields that Kodiai reads; others may be missing or added.

Values that are stored are made storable here: otherwise an answer could fail every attempt of a run.
"""

import base64
import binascii
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from reviews.redaction import storable

MAX_ID = 2**63 - 1
"""The largest integer of a database."""
MAX_LOGIN = 255
MAX_URL = 1024


def _storable(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _login(value: Any) -> Any:
    return storable(value)[:MAX_LOGIN] if isinstance(value, str) else value


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _url(value: Any) -> str | None:
    usable = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= MAX_URL
    return storable(value) if usable else None


Text = Annotated[str, BeforeValidator(_storable)]
Url = Annotated[str | None, BeforeValidator(_url)]
"""A web URL; None if it is invalid or too long."""
Login = Annotated[str, BeforeValidator(_login)]
Sha = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40,64}$")]
Id = Annotated[int, Field(strict=True, gt=0, le=MAX_ID)]


class Answer(BaseModel):
    """Base class of answers."""

    model_config = ConfigDict(frozen=True)


class User(Answer):
    """An account."""

    login: Login


class Ref(Answer):
    """A branch and its commit."""

    sha: Sha
    ref: Text = ""


class PullRequest(Answer):
    """A pull request. `user` is None for a deleted account, `changed_files` if GitHub gave no count."""

    state: Text = "open"
    user: User | None = None
    author_association: Text = "NONE"
    changed_files: Annotated[int | None, BeforeValidator(_count)] = None
    head: Ref
    base: Ref


class ChangedFile(Answer):
    """A changed file; `patch` has its hunks, None if GitHub shows none (binary, too large, only renamed)."""

    # Unchanged, so that an invalid path is left out and never becomes another one.
    path: str = Field(alias="filename")
    status: Text = "modified"
    patch: Text | None = None
    previous_path: str | None = Field(default=None, alias="previous_filename")
    """The path in the base of a renamed file."""


class Blob(Answer):
    """The content of a file; `text` is None if it is binary or not UTF-8."""

    text: Text | None = None
    truncated: bool = Field(default=False, alias="isTruncated")


class Authored(Answer):
    """A post by an account. `user` is None for a deleted account."""

    user: User | None

    @property
    def author(self) -> str:
        """The login; empty for a deleted account."""
        return self.user.login if self.user else ""


class SubmittedReview(Authored):
    """A review. Only the URL may be missing: the other fields decide whether the review is the App's own."""

    id: int = Field(strict=True)
    body: Text | None
    html_url: Url = None

    @property
    def stored_id(self) -> int | None:
        """The id; None if it does not fit into the database."""
        return self.id if 0 < self.id <= MAX_ID else None


class Comment(Authored):
    """A comment on a pull request, in its conversation or on its lines."""

    id: Id
    body: Text | None


class Permission(Answer):
    """The permission of a user in a repository. For custom roles GitHub gives the role that they are based on."""

    permission: Text


class App(Answer):
    """A GitHub App."""

    id: int
    slug: Text = ""


class CheckOutput(Answer):
    """The output of a check run."""

    title: Text | None = None


class CheckRun(Answer):
    """A check run. The fields that decide whether it is the App's own must not be missing."""

    id: Id
    external_id: Text | None
    app: App | None
    conclusion: Text | None = None
    completed_at: AwareDatetime | None = None
    output: CheckOutput = CheckOutput()


class CheckRuns(Answer):
    """A page of check runs."""

    check_runs: list[CheckRun]


class SearchResult(Answer):
    """The number of matches of a search."""

    total_count: int = Field(strict=True, ge=0)
    incomplete_results: bool = False


class Content(Answer):
    """The content at a path; `content` is None for directories and files over GitHub's size limit."""

    type: Text
    content: str | None = None
    encoding: str = "base64"


class Token(Answer):
    """An installation token; visible ASCII, because it is sent in a header."""

    token: Annotated[str, StringConstraints(pattern="^[!-~]+$", max_length=4096)]
    expires_at: AwareDatetime


class Installation(Answer):
    """An installation of the App."""

    id: Id


class HookDelivery(Answer):
    """An attempt of GitHub to deliver a webhook. `guid` is X-GitHub-Delivery, the same for every attempt.

    `status_code` is Kodiai's answer, or a number of GitHub's own if there was none.
    Source: GitHub REST docs, "List deliveries for an app webhook".
    """

    id: Id
    guid: Text
    event: Text
    action: Text | None = None
    delivered_at: AwareDatetime
    status_code: int
    redelivery: bool = False
    installation_id: int | None = None


def decoded(content: Content) -> str | None:
    """Decode a file from the contents endpoint; None if it is binary, not UTF-8, or over GitHub's size limit."""
    if content.content is None or content.encoding != "base64":
        return None
    try:
        text = base64.b64decode(content.content).decode()
    except (binascii.Error, ValueError):
        return None
    # git treats files with a NUL as binary.
    return None if "\0" in text else text
