"""What is mutated, and which tests have to notice: the smallest set of fast tests in this process."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A file and, where not all of it is meant, the functions in it."""

    path: str
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()
    deselected: str = ""
    """Beside the slow tests, which start processes that no mutant reaches."""

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").replace("/", ".")


PUBLISHING_TESTS = (
    "tests/reviews/publishing/test_publish.py",
    "tests/reviews/test_order.py",
    "tests/reviews/github/test_refusals.py",
    "tests/reviews/runs/test_interrupted_runs.py",
    "tests/reviews/publishing/test_follow_ups.py",
    "tests/reviews/publishing/test_previous_comments.py",
    "tests/reviews/maintenance/test_redelivery.py",
)
INTAKE_TESTS = (
    "tests/reviews/intake/test_webhook_answers.py",
    "tests/reviews/intake/test_inbox.py",
    "tests/reviews/intake/test_payloads.py",
)
# What waits for a lock costs seconds and comes by no line of its own; GitHub's examples lie outside of this project.
INTAKE_DESELECTED = "locked_database or githubs_own_examples"

RECORDING_TESTS = (
    "tests/telemetry/test_recording.py",
    "tests/telemetry/test_recording_failures.py",
    "tests/telemetry/test_own_store.py",
    "tests/reviews/runs/test_store_outages.py",
    "tests/reviews/runs/test_observations.py",
)

TARGETS = {
    "recording": Target("telemetry/recording.py", RECORDING_TESTS),
    "timeouts": Target("telemetry/timeouts.py", (*RECORDING_TESTS, "tests/reviews/intake/test_request_timeouts.py")),
    "lease": Target(
        "reviews/runs/lease.py",
        (
            "tests/reviews/runs/test_leases.py",
            "tests/reviews/maintenance/test_sweep.py",
            "tests/reviews/maintenance/test_recovery.py",
            "tests/reviews/maintenance/test_database_failures.py",
        ),
    ),
    "models": Target(
        "reviews/models/runs.py",
        ("tests/reviews/runs/test_leases.py", "tests/reviews/publishing/test_reporting_check_runs.py"),
        ("store", "stamp"),
    ),
    "publish": Target("reviews/publishing/publish.py", PUBLISHING_TESTS),
    "previous_comments": Target("reviews/publishing/previous_comments.py", PUBLISHING_TESTS),
    "resolve_threads": Target("reviews/publishing/resolve_threads.py", PUBLISHING_TESTS),
    "views": Target("reviews/views/webhook.py", INTAKE_TESTS, deselected=INTAKE_DESELECTED),
    "receive": Target("reviews/intake/receive.py", INTAKE_TESTS, deselected=INTAKE_DESELECTED),
    "inbox": Target(
        "reviews/intake/inbox.py",
        (
            *INTAKE_TESTS,
            "tests/reviews/intake/test_rerun_webhooks.py",
            "tests/reviews/publishing/test_reporting_check_runs.py",
            "tests/reviews/runs/test_turns.py",
            "tests/reviews/test_merge_queue.py",
            "tests/reviews/test_verdicts.py",
        ),
        deselected=INTAKE_DESELECTED,
    ),
    "payloads": Target("reviews/intake/payloads.py", INTAKE_TESTS, deselected=INTAKE_DESELECTED),
}
