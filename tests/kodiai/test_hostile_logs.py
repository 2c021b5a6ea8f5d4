"""Untrusted text forges no log line and controls no terminal."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from kodiai.logging import MAX_LINE, MAX_LINES, RefusedRequests, logging_config

ATTACK = (
    "a\n2026-11-24T00:00:00Z [info] all is well\r\x1b[2J\x1b]0;title\x07\x9b31m\x00\x85\u2028\u202e\ud800\U000e0041"
)
PLAIN_ESCAPES = tuple(f"\x1b[{code}m" for code in (0, 1, 2, *range(31, 37)))
"""Colours that structlog itself prints."""


@pytest.fixture(params=[True, False], ids=["json", "text"])
def logged(request: pytest.FixtureRequest) -> Iterator[tuple[bool, io.StringIO]]:
    config = logging_config(level="INFO", json=request.param)
    written = io.StringIO()
    formatter = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["structured"])
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    logger = logging.getLogger("hostile")
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    yield request.param, written
    logger.removeHandler(handler)
    logger.propagate = True


def harmless(text: str) -> bool:
    for colour in PLAIN_ESCAPES:
        text = text.replace(colour, "")
    return text.replace("\n", "").isprintable()


def test_hostile_log_values_are_escaped_on_one_line(logged: tuple[bool, io.StringIO]) -> None:
    as_json, written = logged
    logger = logging.getLogger("hostile")

    logger.info("%s", ATTACK, extra={"repo": ATTACK, "names": [ATTACK], "of": {ATTACK: ATTACK}})

    (line,) = written.getvalue().splitlines()
    assert harmless(line)
    if as_json:
        assert json.loads(line)["repo"] == ATTACK
    else:
        assert "\\x1b[2J" in line


def test_a_hostile_exception_forges_no_log_line(logged: tuple[bool, io.StringIO]) -> None:
    as_json, written = logged
    token = "ghs_" + "secret"  # a local variable, as the client has them
    try:
        raise ValueError(ATTACK)
    except ValueError:
        logging.getLogger("hostile").exception("failed", stack_info=True)

    text = written.getvalue()
    assert harmless(text)
    assert token not in text
    first, *traceback = text.splitlines()
    if as_json:
        assert traceback == []
        assert json.loads(first)["exception"].endswith(ATTACK)
    else:
        assert "ValueError: a" in text
        assert all(line.startswith("    ") or not line for line in traceback)


def test_a_refused_request_is_one_short_line(
    client: Client, settings: Settings, logged: tuple[bool, io.StringIO]
) -> None:
    _, written = logged
    settings.ALLOWED_HOSTS = ["kodiai.example.org"]
    handler = logging.getLogger("hostile").handlers[0]
    handler.addFilter(RefusedRequests())
    logging.getLogger("django").addHandler(handler)
    try:
        client.get("/admin/login/", headers={"Host": "evil.example"})
        client.get("/" + "x" * 10_000, headers={"Host": "kodiai.example.org"})
        first, second = lines = written.getvalue().splitlines()
        for _ in range(MAX_LINES * 2):
            client.get("/not-there", headers={"Host": "kodiai.example.org"})
    finally:
        logging.getLogger("django").removeHandler(handler)

    assert "evil.example" in first
    assert "Not Found: /xxx" in second
    assert not [line for line in lines if "Traceback" in line or len(line) > MAX_LINE + 200]
    assert len(written.getvalue().splitlines()) == MAX_LINES
    assert "not logged for a minute" in written.getvalue().splitlines()[-1]
