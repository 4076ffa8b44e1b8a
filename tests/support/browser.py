"""A real browser for the tests of the page: the Chromium of the machine, without a window."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.support.availability import ServerUnavailableError, skip_or_fail

_NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 20_000


@contextlib.contextmanager
def started_browser() -> Iterator[Browser]:
    """Chromium; raises ServerUnavailableError where there is none."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        raise ServerUnavailableError("chromium is not on PATH (Debian: apt-get install chromium)")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def browser_or_skip() -> Iterator[Browser]:
    """Chromium; without one the test is skipped, or fails in CI."""
    try:
        with started_browser() as browser:
            yield browser
    except ServerUnavailableError as error:
        skip_or_fail(error)


class Look:
    """The live page in the browser, and everything that it complained of."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))
        page.goto(url)

    def wait_for(self, connection: str) -> Look:
        """Waits until the page says that its connection is so."""
        self.page.wait_for_selector(f'body[data-connection="{connection}"]')
        return self

    def wait_until_loaded(self, time_range: str = "day") -> Look:
        """Waits until the page is live and shows the counts of a range."""
        self.page.wait_for_selector(f'body[data-connection="live"][data-loaded="{time_range}"]')
        return self

    def number(self, name: str) -> int:
        """A number as it stands on the page."""
        text = self.page.locator(f'[data-number="{name}"]').inner_text()
        return int(text.replace(",", ""))

    def numbers(self, name: str) -> dict[str, int]:
        """The number called `name`, and those of each gender."""
        genders = ("female", "male", "unknown")
        return {"all": self.number(name), **{one: self.number(f"{name}-{one}") for one in genders}}

    def choose(self, time_range: str) -> Look:
        """Chooses a range of time and waits for its counts."""
        self.page.locator(f'input[value="{time_range}"]').check(force=True)
        return self.wait_until_loaded(time_range)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextlib.contextmanager
def looking(
    browser: Browser,
    url: str,
    *,
    width_px: int = 1280,
    height_px: int = 900,
    scheme: Literal["light", "dark"] = "light",
) -> Iterator[Look]:
    """The page in a fresh profile; English, in the time zone of a city that is not UTC."""
    context = browser.new_context(
        viewport={"width": width_px, "height": height_px},
        color_scheme=scheme,
        locale="en-GB",
        timezone_id="Asia/Kolkata",
    )
    try:
        yield Look(context.new_page(), url)
    finally:
        context.close()
