"""Graceful shutdown: a stopping worker ends its run between two steps and releases it."""

_stopping = False


class WorkerStopping(Exception):
    """The worker is stopping: release the run, which continues elsewhere at its next step."""


def stop() -> None:
    """Make the run of this process end before its next step. Safe to call from a signal handler."""
    global _stopping
    _stopping = True


def raise_if_stopping() -> None:
    """Raise `WorkerStopping` if this process is stopping."""
    if _stopping:
        raise WorkerStopping
