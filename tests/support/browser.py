"""A real browser, headless, that notes whatever a page should not do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.support.waiting import PATIENCE

PROGRAM = "chromium"
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
Scheme = Literal["light", "dark"]


@dataclass
class Visit:
    """A page of a browser, and what went wrong on it: messages of the console, and requests to other origins."""

    page: Page
    origin: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._on_request)

    def open(self, path: str) -> Page:
        answer = self.page.goto(f"{self.origin}{path}")
        assert answer is not None
        assert answer.ok, (path, answer.status)
        return self.page

    def log_in(self, name: str, password: str) -> None:
        self.open("/admin/login/?next=/admin/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", password)
        self.page.click("input[type=submit]")
        self.page.wait_for_url(f"{self.origin}/admin/")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.wrong.append(f"request: {request.url}")


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium. Without one the test is skipped, but in CI it fails."""
    program = shutil.which(PROGRAM)
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{PROGRAM} is not installed: .ci/run installs it")
        pytest.skip(f"{PROGRAM} is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        try:
            yield running
        finally:
            running.close()


@contextmanager
def visit(
    running: Browser, origin: str, *, scheme: Scheme = "light", width: int = 1280, **options: Any
) -> Iterator[Visit]:
    """A page without cookies of others, in a colour scheme."""
    context = running.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, **options)
    context.set_default_timeout(PATIENCE * 1000)
    try:
        yield Visit(context.new_page(), origin)
    finally:
        context.close()
