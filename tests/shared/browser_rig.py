"""The real browser that pages are opened in, Debian's chromium; without it a test is skipped.

Playwright drives it and downloads nothing. Where LOOPCTL_TEST_ENGINES is `required`, as in CI, a
missing browser fails the test instead: a skip proves nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Scheme = Literal["light", "dark"]
PHONE: Final = 390
WIDE: Final = 1280


def chromium() -> str:
    """The executable: LOOPCTL_TEST_CHROMIUM, or what is on the PATH."""
    named = os.environ.get("LOOPCTL_TEST_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is not None:
        return found
    message = "no chromium on this machine (`make browser` installs it, as root on Debian)"
    if os.environ.get("LOOPCTL_TEST_ENGINES") == "required":
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """A browser, closed whatever the tests do."""
    executable = chromium()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, timeout=60_000)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Opened:
    """A page, and what it did that no page of ours may do."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def violations(self) -> list[str]:
        """What axe-core finds, each with the elements."""
        script = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
        self.page.evaluate(script)
        found: dict[str, Any] = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{one['id']}: {[node['html'][:200] for node in one['nodes']][:3]}"
            for one in found["violations"]
        ]

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the window."""
        wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(wider))


@contextlib.contextmanager
def opened_page(
    browser: Browser,
    file: Path,
    *,
    scheme: Scheme = "light",
    width: int = WIDE,
    script: bool = True,
) -> Iterator[Opened]:
    """The file, opened from `file://`; every request beside itself, error and dialog is noted."""
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        java_script_enabled=script,
    )
    try:
        seen = Opened(context.new_page())
        noted, own = seen.complaints, file.as_uri()
        seen.page.on("console", lambda said: noted.append(f"console {said.type}: {said.text}"))
        seen.page.on("pageerror", lambda error: noted.append(f"error: {error}"))
        seen.page.on("dialog", lambda dialog: noted.append(f"dialog: {dialog.message}"))
        seen.page.on("request", lambda asked: None if asked.url == own else noted.append(asked.url))
        seen.page.goto(own)
        yield seen
    finally:
        context.close()
