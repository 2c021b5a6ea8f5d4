"""How tests wait for what other processes and threads do: for a condition, and never for a time."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox import Sandbox

PATIENCE = 180.0
"""Seconds until what does not happen is a failure. Far more than anything takes: the machine may have other work."""


def wait_until(condition: Callable[[], Any], seconds: float = PATIENCE, every: float = 0.02) -> Any:
    """Return the condition's value as soon as it is true, or its last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return value


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Return the condition's value as soon as it is true; fail if it never is."""
    value = wait_until(condition)
    assert value, f"never happened: {what}"
    return value


def time_out_at_faults(github: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up a request that meets a fault soon after the sandbox has received it, in place of the client's timeout.

    Other requests are waited for as long as in production, however slow this machine is.
    """
    send = httpx.Client.send

    def impatient(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        fault = github.next_fault(request.method, request.url.path)
        if fault is not None:
            fault.reached.clear()

            def trace(event: str, _: object) -> None:
                if event == "http11.receive_response_headers.started":
                    assert fault.reached.wait(PATIENCE)

            request.extensions |= {"timeout": httpx.Timeout(0.05, connect=5).as_dict(), "trace": trace}
        return send(client, request, **options)

    monkeypatch.setattr(httpx.Client, "send", impatient)
