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
