"""The rows that Kodiai keeps: they, and not the queue, are what it remembers."""

from reviews.models.attempts import (
    Attempt,
    AttemptOutcome,
)
from reviews.models.deliveries import (
    Command,
    Delivery,
    DeliveryStatus,
    IgnoreReason,
    MissedDelivery,
    of_repository,
)
from reviews.models.feedback import (
    IgnoredFinding,
    ReportedFinding,
    ThumbsDown,
)
from reviews.models.limits import (
    GitHubLimit,
)
from reviews.models.notifications import (
    Notification,
    NotificationKind,
)
from reviews.models.periodic import (
    PeriodicTask,
)
from reviews.models.runs import (
    CLAIMED,
    PENDING_CHECK_RUN,
    PENDING_EXECUTION,
    PENDING_RATE_LIMIT_EVENT,
    AuthorTier,
    CheckRunReport,
    CommandOutcome,
    LanguageModelUsage,
    Review,
    ReviewQuerySet,
    unconfirmed_post,
)
from reviews.models.scheduling import (
    GitHubOutage,
    Turn,
)
from reviews.models.tallies import (
    CountedUntil,
    Tally,
)

__all__ = [
    "CLAIMED",
    "PENDING_CHECK_RUN",
    "PENDING_EXECUTION",
    "PENDING_RATE_LIMIT_EVENT",
    "Attempt",
    "AttemptOutcome",
    "AuthorTier",
    "CheckRunReport",
    "Command",
    "CommandOutcome",
    "CountedUntil",
    "Delivery",
    "DeliveryStatus",
    "GitHubLimit",
    "GitHubOutage",
    "IgnoreReason",
    "IgnoredFinding",
    "LanguageModelUsage",
    "MissedDelivery",
    "Notification",
    "NotificationKind",
    "PeriodicTask",
    "ReportedFinding",
    "Review",
    "ReviewQuerySet",
    "Tally",
    "ThumbsDown",
    "Turn",
    "of_repository",
    "unconfirmed_post",
]
