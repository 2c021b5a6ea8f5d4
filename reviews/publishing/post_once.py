"""Post once: the protocol by which a run posts its review, its answer to a comment and its check run.

GitHub has no conditional post: sent twice is posted twice. What is kept instead is an invariant:

    Nothing is sent before the database says that GitHub may have it, and only the holder of the claim may say so.

Each post takes five steps.

1. *Find.* If GitHub may have it, look for its marker. GitHub may have it if an earlier attempt announced it, or if
   Kodiai requested the redelivery: then an earlier run may have posted it, in a database that was replaced by a backup
   since. Only posts of the App itself count, because anybody can write a marker. If it is there, go on with step 5.
2. *Announce.* Store the time, in an UPDATE filtered by the claim. It is the last write before the post, with the
   connection to GitHub open. It raises `LeaseLost`, with nothing sent, if the claim was lost.
3. *Send*, once: no call that posts is ever repeated within an attempt.
4. *Check* that GitHub's answer is about what was sent. If not, whether GitHub has it is unknown: `Unavailable`.
5. *Confirm.* Store that it is posted, filtered by the claim as well.

What an attempt leaves that is killed, or fails, after a step:

| after | the database | GitHub | the next attempt |
| --- | --- | --- | --- |
| 1 find | nothing, or what an earlier attempt announced | as before | begins again |
| 2 announce | announced | nothing | waits, finds nothing, sends |
| 3 send | announced | has it, will have it soon, or never will | waits, finds it and confirms; or sends |
| 4 check | announced | has it | waits, finds it, confirms |
| 5 confirm | confirmed | has it | has nothing to do |

*Waits*: a request that GitHub has begun may be stored, and listed, up to `POST_VISIBILITY_DELAY` later. Until then its
absence proves nothing. So whoever makes such a run claimable defers it by that delay, counted from when the claim of
the attempt ends: `runner.reschedule` and `inbox.requeue` for reviews and answers (`models.unconfirmed_post`),
`check_runs` for check runs. Other runs of the pull request wait too (`previous_comments`).

Two ways to fail remain; docs/architecture.md says how small they are. A worker that is suspended between steps 2 and 3
for longer than its lease and the delay sends what another worker has sent as well. And a post that GitHub lists later
than after the delay is not found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from reviews.github.errors import Unavailable
from reviews.models import Delivery

Posted = TypeVar("Posted")
"""What GitHub returns for a post: a review, a comment or a check run."""


def _always(posted: Any) -> bool:
    return True


@dataclass(frozen=True)
class Post(Generic[Posted]):
    """One thing to post: how it is announced, found on GitHub, recognised in an answer, and confirmed."""

    delivery: Delivery
    announced: bool
    """An earlier attempt announced it."""
    announce: Callable[[], None]
    """Store that GitHub may have it from now on. Raises `LeaseLost`."""
    find: Callable[[], Posted | None]
    """Return what the App has posted under this marker. Raises what calls to GitHub raise."""
    is_ours: Callable[[Posted], bool]
    """Return whether GitHub's answer is about this post."""
    confirm: Callable[[Posted], None]
    """Store that GitHub has it. Raises `LeaseLost`."""
    is_current: Callable[[Posted], bool] = _always
    """Return whether what was found says what is to be posted; if not, `send` changes it."""

    @property
    def may_be_posted(self) -> bool:
        """Return whether GitHub may have it already."""
        return self.announced or self.delivery.redelivery_requested


def post_once(post: Post[Posted], send: Callable[[Posted | None], Posted]) -> Posted:
    """Post, unless GitHub has it already; return what GitHub has.

    `send` gets what was found and is not current, or None, and makes its call through `send_announced`. Raises
    `LeaseLost`, and what calls to GitHub raise.
    """
    posted = post.find() if post.may_be_posted else None
    if posted is None or not post.is_current(posted):
        posted = send(posted)
    post.confirm(posted)
    return posted


def send_announced(post: Post[Posted], call: Callable[[Callable[[], None]], Posted]) -> Posted:
    """Make the call that posts; return GitHub's answer, which is about this post.

    `call` calls its argument right before it sends. Raises `LeaseLost`, with nothing sent, and `Unavailable` if the
    answer is about something else.
    """
    posted = call(post.announce)
    if not post.is_ours(posted):
        raise Unavailable("GitHub's answer is not about what was posted: whether it was posted is unknown")
    return posted
