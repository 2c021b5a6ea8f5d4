"""What a check of the doctor found, and how it is printed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, but something should be changed."""
    ERROR = "error"
    """Something does not work."""
    UNKNOWN = "unknown"
    """It could not be found out."""


@dataclass(frozen=True)
class Result:
    """One line: what was checked, what is so, and what to do about it (empty if nothing)."""

    check: str
    status: Status
    message: str
    mend: str = ""


def ok(check: str, message: str) -> Result:
    """Return a result that asks for nothing."""
    return Result(check, Status.OK, message)


def exit_status(results: Iterable[Result]) -> int:
    """Return 1 for an error, else 2 if something could not be found out, else 0."""
    statuses = {result.status for result in results}
    return 1 if Status.ERROR in statuses else 2 if Status.UNKNOWN in statuses else 0


def as_text(results: Sequence[Result]) -> str:
    """Return one line per result, and one more for what to do."""
    width = max((len(result.check) for result in results), default=0)
    lines = []
    for result in results:
        lines.append(f"{result.status:<7}  {result.check:<{width}}  {result.message}")
        if result.mend:
            lines.append(f"{'':<{width + 9}}  → {result.mend}")
    return "".join(line + "\n" for line in lines)


def as_json(results: Sequence[Result]) -> str:
    """Return an object with the exit status and the results."""
    return (
        json.dumps({"status": exit_status(results), "results": [asdict(result) for result in results]}, indent=2) + "\n"
    )
