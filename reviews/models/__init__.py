"""The rows that Kodiai keeps: they, and not the queue, are what it remembers."""

from reviews.models.deliveries import (
    Command,
    Delivery,
    DeliveryStatus,
    IgnoreReason,
    MissedDelivery,
)
from reviews.models.feedback import (
    IgnoredFinding,
    ThumbsDown,
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

__all__ = [
    "CLAIMED",
    "PENDING_CHECK_RUN",
    "PENDING_EXECUTION",
    "PENDING_RATE_LIMIT_EVENT",
    "AuthorTier",
    "CheckRunReport",
    "Command",
    "CommandOutcome",
    "Delivery",
    "DeliveryStatus",
    "IgnoreReason",
    "IgnoredFinding",
    "LanguageModelUsage",
    "MissedDelivery",
    "PeriodicTask",
    "Review",
    "ReviewQuerySet",
    "ThumbsDown",
    "unconfirmed_post",
]
