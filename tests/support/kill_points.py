"""The points of a run that ends well, in their order, at which tests kill or stop its worker.

Time stamps of a run and its check run, right after they are stored; and what lies between an effect and its stamp.
Nothing is imported here: workers that die on order need the names before Django is ready.
"""

UNTIL_PUBLISHED = (
    "started_at",
    "loaded_at",
    "enriched_at",
    "event-written",
    "rate_limit_event_recorded_at",
    "analysed_at",
    "publishing_at",
    "review-posted",
    "published_at",
)
OF_THE_CHECK_RUN = ("posting_at", "check-run-posted", "reported_at")
AFTER_THE_END = ("execution-written", "execution_recorded_at", *OF_THE_CHECK_RUN)
"""The run has ended, and nobody has to claim it again."""
