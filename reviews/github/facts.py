"""Facts about GitHub that several modules rely on, with their sources."""

from datetime import timedelta

INSTALLATION_EVENTS = frozenset({"installation", "installation_repositories"})
"""Events about installations, not pull requests. Source: GitHub docs, "Webhook events and payloads"."""

POST_VISIBILITY_DELAY = timedelta(seconds=12)
"""Time after which a post of unknown outcome is either in the list of reviews or lost.

GitHub aborts requests after ten seconds. Source: GitHub REST docs, "Best practices", time-outs.
"""

MAX_POST_DURATION = timedelta(seconds=20)
"""Maximum duration of a post: the time-out of a call."""

FILES_PER_QUERY = 270
"""Files per GraphQL query: a review of a hundred files takes one call, with their versions on the base branch, its
`.gitattributes` and sixty configuration files of linters (`reviews.config.linters.MAX_PATHS`)."""

REDELIVERY_WINDOW = timedelta(days=3)
"""Time in which GitHub can send a delivery again. Source: GitHub docs, "Redelivering webhooks"."""
