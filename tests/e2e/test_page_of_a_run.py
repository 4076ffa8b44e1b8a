"""The demo with its live page: what a browser shows is what the pipeline has stored."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import ResultStore, connect
from agegender.shared.store.embedded import socket_url
from tests.support.browser import Look, browser_or_skip, looking
from tests.support.waiting import wait_until

TIMEOUT_S = 60.0
_ROOT = Path(__file__).parents[2]
_GENDERS = ("female", "male", "unknown")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_or_skip() as browser:
        yield browser


class Demo:
    """`agegender demo` as a process, with an embedded store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("API_", "REDIS_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agegender", "demo", "--seconds", "300"],
            cwd=_ROOT,
            env={**outer, "AGEGENDER_STORE_PATH": str(folder), "AGEGENDER_HTTP_PORT": "0", "API_PORT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(self._process.stdout)

    @property
    def output(self) -> str:
        """All that was printed."""
        return "".join(self._lines)

    def page_url(self) -> str:
        """Where the page is, as the demo prints it."""
        wait_until(
            lambda: "Live page: " in self.output or self._process.poll() is not None,
            TIMEOUT_S,
            "a page is named",
        )
        found = re.search(r"Live page: (\S+)", self.output)
        assert found, self.output
        return found[1]

    def stop(self) -> int:
        """Ends it as Ctrl-C does; the exit status."""
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(TIMEOUT_S)
        self._reader.join()
        return status

    def close(self) -> None:
        """Ends it in any state."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def demo() -> Iterator[Demo]:
    with tempfile.TemporaryDirectory(prefix="agegender-") as folder:
        demo = Demo(Path(folder))
        try:
            yield demo
        finally:
            demo.close()


def _stored(store: ResultStore, since_s: float) -> tuple[dict[str, int], dict[str, int]]:
    """Visits and people there now, by gender."""
    counts = store.counts(since_s=since_s, until_s=since_s + 25 * 3600, by="hour")
    now = store.now()
    return (
        {one: sum(count.visits for count in counts if count.gender == one) for one in _GENDERS},
        {one: sum(visit.gender == one for visit in now) for one in _GENDERS},
    )


def _shown(look: Look) -> tuple[dict[str, int], dict[str, int]]:
    return (
        {one: look.number(f"visits-{one}") for one in _GENDERS},
        {one: look.number(f"present-{one}") for one in _GENDERS},
    )


@pytest.mark.timeout(180)
def test_the_page_of_the_demo_shows_what_is_stored(demo: Demo, browser: Browser) -> None:
    with (
        looking(browser, demo.page_url()) as look,
        connect(RedisSettings().at(socket_url(demo.folder))) as client,
    ):
        look.wait_until_loaded()
        store = ResultStore(client)
        wait_until(
            lambda: look.number("visits") >= 4 and look.number("present") >= 4, TIMEOUT_S, "people are shown"
        )
        since_s = store.now()[0].first_seen_s - 23 * 3600
        wait_until(lambda: _shown(look) == _stored(store, since_s), TIMEOUT_S, "page and store agree")
        assert look.number("visits") == sum(_shown(look)[0].values())
        camera = look.page.locator('[data-camera="demo"]')
        assert camera.get_attribute("data-state") == "live"
        assert "a second" in camera.locator('[data-fact="rate"]').inner_text()
        assert camera.locator("img").count() == 0, "no preview unless it is asked for"
        texts = look.page.locator("#present-people .description").all_inner_texts()
        assert any(re.fullmatch(r"(Female|Male|Gender unknown), \d+ \(\d+\W\d+\)", text) for text in texts), (
            texts
        )
        assert look.complaints == []
        assert demo.stop() == 0, demo.output
        look.wait_for("unreachable")
