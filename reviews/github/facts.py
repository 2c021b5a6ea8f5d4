"""Facts about GitHub that several parts of Kodiai rely on, each with its source."""

from datetime import timedelta

INSTALLATION_EVENTS = frozenset({"installation", "installation_repositories"})
"""Events about the App's installations and no pull request. Source: GitHub docs, "Webhook events and payloads"."""

POST_VISIBILITY_DELAY = timedelta(seconds=12)
"""After which a post whose outcome is not known is in the list of reviews or never will be.

GitHub ends a request that takes longer than ten seconds. Source: GitHub REST docs, "Best practices", time-outs.
"""

MAX_POST_DURATION = timedelta(seconds=20)
"""From when a post is begun until its worker gives it up: the time-out of a call."""
