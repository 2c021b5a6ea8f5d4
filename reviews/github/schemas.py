"""GitHub's answers: of each the fields that Kodiai reads, so that versions which lack or add others are welcome.

What is stored is made fit for it here: an answer that no database takes must not be met again at every attempt.
"""

import base64
import binascii
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from reviews.redaction import storable

MAX_ID = 2**63 - 1
"""What a database holds of a number."""
MAX_LOGIN = 255
MAX_ADDRESS = 1024


def _storable(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _login(value: Any) -> Any:
    return storable(value)[:MAX_LOGIN] if isinstance(value, str) else value


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _address(value: Any) -> str | None:
    usable = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= MAX_ADDRESS
    return storable(value) if usable else None


Text = Annotated[str, BeforeValidator(_storable)]
Address = Annotated[str | None, BeforeValidator(_address)]
"""A web address, None where it is none that can be stored."""
Login = Annotated[str, BeforeValidator(_login)]
Sha = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40,64}$")]
Id = Annotated[int, Field(strict=True, gt=0, le=MAX_ID)]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class User(Answer):
    login: Login


class Ref(Answer):
    sha: Sha
    ref: Text = ""


class PullRequest(Answer):
    """A pull request. `user` is None where the account is gone, `changed_files` where GitHub did not count them."""

    state: Text = "open"
    user: User | None = None
    author_association: Text = "NONE"
    changed_files: Annotated[int | None, BeforeValidator(_count)] = None
    head: Ref
    base: Ref


class ChangedFile(Answer):
    """A changed file; `patch` is its hunks, None where GitHub shows none (binary, too large, nothing but a rename)."""

    # As it is: what is no path is left out, and not taken for another.
    path: str = Field(alias="filename")
    status: Text = "modified"
    patch: Text | None = None
    previous_path: str | None = Field(default=None, alias="previous_filename")
    """Its name in the base, where it was renamed since."""


class Blob(Answer):
    """The content of a file; `text` is None where it is binary or not UTF-8."""

    text: Text | None = None
    truncated: bool = Field(default=False, alias="isTruncated")


class Authored(Answer):
    """What somebody said. `user` is None where the account is gone."""

    user: User | None

    @property
    def author(self) -> str:
        """The login, empty where the account is gone."""
        return self.user.login if self.user else ""


class SubmittedReview(Authored):
    """A review as GitHub lists it. Nothing but the address may be missing: by this it is told whether it is ours."""

    id: int = Field(strict=True)
    body: Text | None
    html_url: Address = None

    @property
    def stored_id(self) -> int | None:
        """The id, None where it is larger than a database holds."""
        return self.id if 0 < self.id <= MAX_ID else None


class Comment(Authored):
    """A comment on a pull request, in its conversation or on its lines."""

    id: Id
    body: Text | None


class Permission(Answer):
    """What somebody may do in a repository. Roles that are not named here count as the one that they are made of."""

    permission: Text


class App(Answer):
    id: int
    slug: Text = ""


class CheckOutput(Answer):
    title: Text | None = None


class CheckRun(Answer):
    """A check run as GitHub lists it. Nothing that tells whether it is ours may be missing."""

    id: Id
    external_id: Text | None
    app: App | None
    conclusion: Text | None = None
    completed_at: AwareDatetime | None = None
    output: CheckOutput = CheckOutput()


class CheckRuns(Answer):
    check_runs: list[CheckRun]


class SearchResult(Answer):
    total_count: int = Field(strict=True, ge=0)
    incomplete_results: bool = False


class Content(Answer):
    """What is at a path: `content` is None for what is no file, and for a file too large to be sent."""

    type: Text
    content: str | None = None
    encoding: str = "base64"


class Token(Answer):
    """An installation token: visible ASCII, as it goes into a header."""

    token: Annotated[str, StringConstraints(pattern="^[!-~]+$", max_length=4096)]
    expires_at: AwareDatetime


class Installation(Answer):
    id: Id


class HookDelivery(Answer):
    """One attempt of GitHub to deliver a webhook. `guid` is X-GitHub-Delivery, the same for every attempt.

    `status_code` is what Kodiai answered, or a number of GitHub's own where no answer came.
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
    """The text of a file from the contents endpoint; None where it is binary, not UTF-8, or too large to be sent."""
    if content.content is None or content.encoding != "base64":
        return None
    try:
        text = base64.b64decode(content.content).decode()
    except (binascii.Error, ValueError):
        return None
    # A NUL is what git knows binary files by.
    return None if "\0" in text else text
