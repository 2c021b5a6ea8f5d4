"""Log one JSON object per line: time stamp, level, logger, event, and each `extra` as a key."""

from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from reviews.redaction import redact


def logging_config(*, level: str, json: bool) -> dict[str, Any]:
    """Return Django's LOGGING for JSON lines, or for coloured text where `json` is false."""
    shared = [
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
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django adds its own handlers to this logger, which would log each line twice.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            # One line for each call to GitHub and each poll of the queue is too much.
            "httpx": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "githubkit": {"level": "WARNING"},
            "django_tasks": {"level": "WARNING"},
            "django_tasks_db": {"level": "WARNING"},
        },
    }


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
