"""Log one JSON object per line: time stamp, level, logger, event, the run, and each `extra` as a key."""

import logging
import time
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from reviews.redaction import redact

MAX_LINE = 300
"""Characters of the message about a refused request."""
MAX_LINES = 100
"""Lines about refused requests in a minute and process."""


def logging_config(*, level: str, json: bool) -> dict[str, Any]:
    """Return Django's LOGGING for JSON lines, or for coloured text where `json` is false."""
    shared = [
        # The run that this thread works on: reviews.runs.runner binds it.
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        if json
        else [
            structlog.processors.format_exc_info,
            harmless_in_a_terminal,
            # Plain tracebacks: the pretty ones show local variables, tokens among them.
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer, _redacted],
            }
        },
        "filters": {"refused": {"()": RefusedRequests}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured", "filters": ["refused"]}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django adds its own handlers to this logger, which would log each line twice.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            # One line for each call to GitHub and each poll of the queue is too much.
            # A line for each request that is no HTTP is too much as well.
            "uvicorn": {"level": "ERROR"},
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "githubkit": {"level": "WARNING"},
            "django_tasks": {"level": "WARNING"},
            "django_tasks_db": {"level": "WARNING"},
        },
    }


class RefusedRequests(logging.Filter):
    """Bound what anybody can write to the log with requests that are refused: in length, and in lines a minute.

    Errors of Kodiai itself (status 500 and up) are logged whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self._minute = 0
        self._lines = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Make one short line of a refused request, without its traceback; drop it past `MAX_LINES`."""
        refused = record.name.startswith("django.security") or (
            record.name == "django.request" and getattr(record, "status_code", 500) < 500
        )
        if not refused:
            return True
        request = record.__dict__.pop("request", None)
        if getattr(request, "refusal_is_logged", False):
            # Django logs the answer after the reason.
            return False
        if request is not None:
            request.refusal_is_logged = True
        minute = int(time.monotonic() // 60)
        self._lines = self._lines + 1 if minute == self._minute else 1
        self._minute = minute
        if self._lines > MAX_LINES:
            return False
        message = record.getMessage()
        if self._lines == MAX_LINES:
            message = "more requests are refused, and not logged for a minute"
        record.msg, record.args = message if len(message) <= MAX_LINE else message[:MAX_LINE] + "…", ()
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def _redacted(logger: Any, name: str, line: str) -> str:
    """Remove secrets from the finished log line."""
    return redact(line)


def harmless_in_a_terminal(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Escape control and invisible characters and line breaks, so that untrusted text cannot forge a log line.

    JSON output needs none of this, because it escapes everything but ASCII. Tracebacks keep their lines, indented.
    """
    for key, value in event.items():
        if isinstance(value, str):
            lines = value.split("\n") if key in ("exception", "stack") else [value]
            event[key] = "\n".join(("    " if len(lines) > 1 else "") + _escaped(line) for line in lines)
    return event


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
