"""The live page on every kind of screen, in both themes, and without a mouse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Look, browser_or_skip, looking
from tests.support.page_world import World, fill, running_world


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_or_skip() as browser:
        yield browser


@pytest.fixture(scope="module")
def filled() -> Iterator[World]:
    """A world that no test changes."""
    with running_world() as world:
        fill(world.sink)
        yield world


_NARROWEST_CONTRAST = """() => {
  const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = parts(color).map(channel); return .2126*r + .7152*g + .0722*b; };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (color && (parts(color)[3] ?? 1) === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  let worst = [99, ""];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (!text || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(element instanceof SVGElement ? style.fill : style.color), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < worst[0]) worst = [contrast, text];
  }
  return worst;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(360, 740), (768, 1024), (1366, 768), (1920, 1080), (3840, 2160)])
def test_the_page_fits_every_screen_and_can_be_read(
    filled: World, browser: Browser, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    with looking(browser, filled.url, width_px=size[0], height_px=size[1], scheme=scheme) as look:
        look.wait_until_loaded()
        page = look.page
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], "nothing to scroll sideways"
        contrast, text = page.evaluate(_NARROWEST_CONTRAST)
        assert contrast >= 4.5, f"{text!r} has a contrast of {contrast:.1f}"
        if size[0] >= 1920:
            assert page.evaluate("document.documentElement.scrollHeight") <= size[1], (
                "a wall cannot be scrolled"
            )
            assert _height_px(look, '[data-number="present"]') >= size[1] / 25, "to be read from afar"
        assert look.complaints == []


def _height_px(look: Look, selector: str) -> float:
    box = look.page.locator(selector).bounding_box()
    assert box is not None
    return box["height"]


def test_the_theme_can_be_switched_and_is_remembered(filled: World, browser: Browser) -> None:
    with looking(browser, filled.url, scheme="light") as look:
        background = "getComputedStyle(document.body).backgroundColor"
        light = look.page.evaluate(background)
        look.page.get_by_role("button", name="Switch between light and dark").click()
        dark = look.page.evaluate(background)
        assert dark != light
        look.page.reload()
        assert look.page.evaluate(background) == dark


_UNNAMED = """() => [...document.querySelectorAll("button, input, select, svg[role=img]")]
  .filter((one) => !one.hidden && !one.ariaLabel && !one.labels?.length && !one.innerText?.trim())
  .map((one) => one.outerHTML)"""


def test_everything_can_be_reached_and_read_without_a_mouse(filled: World, browser: Browser) -> None:
    with looking(browser, filled.url) as look:
        look.wait_until_loaded()
        page = look.page
        page.locator("#camera").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowLeft")
        look.wait_until_loaded("hour")
        page.locator("#time-chart svg").focus()
        page.keyboard.press("ArrowLeft")
        readout = page.locator("#time-readout").inner_text()
        assert "visit" in readout
        page.keyboard.press("ArrowLeft")
        assert page.locator("#time-readout").inner_text() != readout
        page.get_by_text("As a table").first.press("Enter")
        assert page.locator("#time-table tbody tr").count() == 60
        assert page.evaluate(_UNNAMED) == []
