"""Schemas of GitHub's answers, with only the fields that Kodiai reads; others may be missing or added.

Values that are stored are made storable here: otherwise an answer could fail every attempt of a run.
"""

import base64
import binascii
import hashlib
import stat
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from reviews.redaction import storable

SUBMODULE_MODE = 0o160000
"""Git's mode of a submodule. Source: gitformat-index(5)."""
MAX_ID = 2**63 - 1
"""The largest integer of a database."""
EMPTY_BLOBS = frozenset(
    hashlib.new(kind, b"blob 0\0", usedforsecurity=False).hexdigest() for kind in ("sha1", "sha256")
)
"""Git's ids of the empty file, whose diff has no lines."""
MAX_LOGIN = 255
EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
"""git's object id of an empty file."""
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
    type: Text = "User"


class Repository(Answer):
    """A repository, by the id that it keeps when it is renamed, and its present name (owner/name)."""

    id: Id
    full_name: Text = ""


class Ref(Answer):
    """A branch and its commit. `repo` is None for a repository that was deleted."""

    sha: Sha
    ref: Text = ""
    repo: Repository | None = None


class Label(Answer):
    """A label of a pull request."""

    name: Text


class PullRequest(Answer):
    """A pull request. `user` is None for a deleted account, `changed_files` if GitHub gave no count."""

    state: Text = "open"
    merged: bool = False
    draft: bool = False
    locked: bool = False
    """Whether only people with write access may comment, and no App."""
    title: Text = ""
    labels: list[Label] = []
    user: User | None = None
    author_association: Text = "NONE"
    changed_files: Annotated[int | None, BeforeValidator(_count)] = None
    head: Ref
    base: Ref


class ChangedFile(Answer):
    """A changed file; `patch` has its hunks, None if GitHub shows none (binary, too large, only renamed).

    GitHub also leaves out patches from a page with about 20,000 lines of them; `changes` is 0 then: see
    `may_lack_patch`.
    """

    # Unchanged, so that an invalid path is left out and never becomes another one.
    path: str = Field(alias="filename")
    status: Text = "modified"
    patch: Text | None = None
    previous_path: str | None = Field(default=None, alias="previous_filename")
    """The path in the base of a renamed file."""
    sha: Text = ""
    """Git's id of the content."""
    changes: Annotated[int | None, BeforeValidator(_count)] = None
    """Added and removed lines; 0 also for a binary file."""

    def may_lack_patch(self, *, crowded: bool) -> bool:
        """Return whether GitHub may show a patch on a smaller page. It names no changed lines of a changed file.

        The same is true of a binary file, of one whose mode alone was changed, and of one that is only renamed: that is
        asked only about a `crowded` list, whose patches have many lines.
        """
        changed = self.status in ("added", "modified", "changed") or (self.status == "renamed" and crowded)
        return changed and self.patch is None and not self.changes and self.sha not in EMPTY_BLOBS


class Comparison(Answer):
    """A comparison of two commits; `files` are at most `client.MAX_COMPARED_FILES`."""

    files: list[ChangedFile]


class Blob(Answer):
    """A file of a commit. `text` is None if it is binary or not UTF-8, or was not asked for.

    `mode` is git's, None if unknown; `oid` is empty if unknown. Source: GitHub GraphQL docs, `TreeEntry` and `Blob`.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    text: Text | None = None
    truncated: bool = Field(default=False, alias="isTruncated")
    binary: bool | None = Field(default=None, alias="isBinary")
    size: int | None = Field(default=None, alias="byteSize")
    oid: str = ""
    mode: int | None = None

    @property
    def is_link(self) -> bool:
        """Return whether it is a symbolic link."""
        return self.mode is not None and stat.S_ISLNK(self.mode)

    @property
    def is_submodule(self) -> bool:
        """Return whether it is the commit of a submodule."""
        return self.mode == SUBMODULE_MODE


class TreeFile(Answer):
    """An entry of a tree, with git's mode in octal digits."""

    path: str
    mode: Annotated[str, StringConstraints(pattern="^[0-7]{6}$")]
    sha: str
    size: int | None = None


class Tree(Answer):
    """All files of a commit; `truncated` if there are more."""

    tree: list[TreeFile]
    truncated: bool = False


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
    """An installation of the App, with the permissions that its owner has granted."""

    id: Id
    permissions: dict[str, Text] = {}
    suspended_at: Text | None = None
    account: User | None = None
    events: list[Text] = []
    html_url: Url = None


class OwnApp(Answer):
    """The App itself, with the permissions that it requests and the events that it subscribes to."""

    id: Id
    slug: Text = ""
    permissions: dict[str, Text] = {}
    events: list[Text] = []
    html_url: Url = None


class HookConfig(Answer):
    """Where GitHub sends the App's webhooks. Source: GitHub REST docs, "Get a webhook configuration for an app"."""

    url: Url = None
    content_type: Text = ""


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


class NotText(Exception):
    """What GitHub has at a path is no text: binary, not UTF-8, over GitHub's size limit, a directory, a submodule."""


def decoded(content: Content) -> str:
    """Decode a file from the contents endpoint. Raises `NotText`."""
    if content.content is None or content.encoding != "base64":
        raise NotText
    try:
        text = base64.b64decode(content.content).decode()
    except (binascii.Error, ValueError) as error:
        raise NotText from error
    if "\0" in text:
        # git treats files with a NUL as binary.
        raise NotText
    return text
