"""A worker that was told to stop ends its run between two steps, and hands it back."""

_told = False


class WorkerStopping(Exception):
    """The worker was told to stop; the run is to be handed back and goes on elsewhere at its next step."""


def stop() -> None:
    """Let the run of this process end before its next step. Safe to call from a signal handler."""
    global _told
    _told = True


def raise_if_stopping() -> None:
    """Raise `WorkerStopping` if this process was told to stop."""
    if _told:
        raise WorkerStopping
