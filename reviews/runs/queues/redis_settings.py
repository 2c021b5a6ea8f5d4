"""django-rq's settings of the queue on Redis; imported only if `KODIAI_TASKS_URL` is set."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from redis import ConnectionPool

REDIS_SECONDS = 0.25
"""Time-out of one call when a task is queued. There are at most three calls and no retry: what Redis does not accept in
time stays in the inbox, and the sweep queues it."""


def redis_queue(url: str) -> dict[str, Any]:
    """Return django-rq's settings for a queue at `redis://` or `rediss://`; raise `ImproperlyConfigured` for others."""
    problem = (
        "KODIAI_TASKS_URL must be redis://host:port/database or rediss://…, or empty for the queue in the database."
    )
    if not url.startswith(("redis://", "rediss://")):
        raise ImproperlyConfigured(problem)
    try:
        pool = ConnectionPool.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
    except ValueError:
        # Without what was read: a password may be in it.
        raise ImproperlyConfigured(problem) from None
    return {
        # The pool knows the server, but django-rq requires these two.
        "HOST": "",
        "PORT": 0,
        # By default django-rq opens a connection for each task.
        "REDIS_CLIENT_KWARGS": {"connection_pool": pool},
        # RQ's default is pickle: write access to Redis would execute code in a worker.
        "SERIALIZER": "rq.serializers.JSONSerializer",
    }
