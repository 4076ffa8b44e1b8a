"""The live page in a real browser, over a store that the sink has filled."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from agegender.shared.store import Period
from tests.support.api import running_api
from tests.support.browser import browser_or_skip, looking
from tests.support.made_messages import camera_notice, frame_info, preview, track_summary, track_update, vote
from tests.support.page_world import World, fill, running_world, write_visit
from tests.support.sink import Sink
from tests.support.waiting import wait_until

TOKEN = "correct-horse-battery"
HOUR_S = 3_600.0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_or_skip() as browser:
        yield browser


@pytest.fixture
def world() -> Iterator[World]:
    with running_world() as world:
        yield world


def _stored(sink: Sink, time_range: str, camera_ids: list[str] | None = None) -> dict[str, int]:
    """The counts of the store for the time that the page shows."""
    step_s, steps = {"hour": (60.0, 60), "day": (HOUR_S, 24)}[time_range]
    since_s = time.time() // step_s * step_s - (steps - 1) * step_s
    by: Period = "minute" if time_range == "hour" else "hour"
    counts = sink.store.counts(since_s=since_s, until_s=time.time(), by=by, camera_ids=camera_ids)
    visits = {
        gender: sum(one.visits for one in counts if one.gender == gender)
        for gender in ("female", "male", "unknown")
    }
    return {"all": sum(visits.values()), **visits}


def test_the_numbers_on_the_page_are_those_of_the_store(world: World, browser: Browser) -> None:
    fill(world.sink)
    with looking(browser, world.url) as look:
        look.wait_until_loaded()
        assert look.numbers("visits") == _stored(world.sink, "day")
        # The latest event may be from the second before the visits began.
        wait_until(lambda: look.number("present") == len(world.sink.store.now()) == 3, 10, "three are there")
        by_gender = Counter(visit.gender for visit in world.sink.store.now())
        assert {one: look.number(f"present-{one}") for one in by_gender} == by_gender
        look.choose("hour")
        assert look.numbers("visits") == _stored(world.sink, "hour")
        look.page.select_option("#camera", "shop")
        wait_until(
            lambda: look.numbers("visits") == _stored(world.sink, "hour", ["shop"]),
            10,
            "the shop's are shown",
        )
        wait_until(lambda: look.number("present") == 0, 10, "the shop is empty")
        assert look.page.locator("[data-camera]").count() == 1
        assert look.complaints == []
        assert all(address.startswith(world.url) for address in look.addresses)


def test_the_charts_hold_the_same_visits_as_the_numbers(world: World, browser: Browser) -> None:
    fill(world.sink)
    with looking(browser, world.url) as look:
        for time_range, columns in (("hour", 60), ("day", 24), ("week", 7)):
            look.choose(time_range)
            chart = look.page.locator("#time-chart [data-visits]")
            expect(chart).to_have_count(columns)
            bars, bands = chart.all(), look.page.locator("#ages-chart [data-visits]").all()
            for parts in (bars, bands):
                visits = sum(int(one.get_attribute("data-visits") or "") for one in parts)
                assert visits == look.number("visits") > 0
        assert look.complaints == []


def test_a_visit_is_shown_with_age_range_or_as_unknown(world: World, browser: Browser) -> None:
    now_s = time.time()
    tracks = [track_summary(f"s1-{number}", first_seen_s=now_s - 3, votes_sent=1) for number in range(1, 4)]
    classified = [
        vote("s1-1", age_years=34.4, male_probability=0.02),
        vote("s1-2", age_years=61.0, male_probability=0.5),
    ]
    world.sink.output.write([*classified, track_update(*tracks, frame=frame_info("cam1", "s1", 9, now_s))])
    with looking(browser, world.url) as look:
        look.wait_until_loaded()
        people = look.page.locator("#present-people .description")
        wait_until(lambda: people.count() == 3, 10, "three are shown")
        texts = people.all_inner_texts()
        expect(look.page.locator("#nets")).to_have_text("Nets: nets-1.")
    # The interval as the votes of the helper have it: 5 years less, 6 more.
    assert [text.replace("\u2013", "-") for text in texts] == [
        "Female, 34 (29-41)",
        "Gender unknown, 61 (56-67)",
        "Not classified yet",
    ]


def test_a_closed_visit_appears_without_a_reload(world: World, browser: Browser) -> None:
    fill(world.sink)
    with looking(browser, world.url) as look:
        look.wait_until_loaded()
        visits = look.number("visits")
        write_visit(world.sink, 99, at_s=time.time() - 5)
        expect(look.page.locator("#left-people li").first).to_have_attribute("data-visit", "door/s1-99")
        wait_until(lambda: look.number("visits") == visits + 1, 10, "one more visit is counted")


def test_visits_at_a_quiet_camera_are_shown_beside_a_busy_one(world: World, browser: Browser) -> None:
    now_s = time.time()
    for number in range(3):
        write_visit(world.sink, number, at_s=now_s - 3_000 + number, camera_id="shop")
    for number in range(210):
        write_visit(world.sink, number, at_s=now_s - 300 + number)
    with looking(browser, world.url) as look:
        look.wait_until_loaded()
        left = look.page.locator("#left-people [data-visit]")
        expect(left).to_have_count(12)
        expect(left.first).to_have_attribute("data-visit", "door/s1-209")
        look.page.select_option("#camera", "shop")
        expect(left).to_have_count(3)
        expect(left.first).to_have_attribute("data-visit", "shop/s1-2")
        write_visit(world.sink, 300, at_s=time.time() - 5)
        write_visit(world.sink, 301, at_s=time.time() - 6, camera_id="shop")
        expect(left).to_have_count(4)
        expect(left.first).to_have_attribute("data-visit", "shop/s1-301")
        look.page.select_option("#camera", "")
        expect(left).to_have_count(12)
        expect(left.first).to_have_attribute("data-visit", "door/s1-300")
        assert look.complaints == []


def test_without_a_camera_the_page_says_how_to_start_one(world: World, browser: Browser) -> None:
    with looking(browser, world.url) as look:
        look.wait_for("live")
        expect(look.page.get_by_text("No camera yet")).to_be_visible()
        expect(look.page.get_by_text("agegender demo")).to_be_visible()
        expect(look.page.locator(".card:visible")).to_have_count(1)
        write_visit(world.sink, 1, at_s=time.time() - 5)
        expect(look.page.locator('[data-camera="door"][data-state="live"]')).to_be_visible()
        assert look.complaints == []


def test_a_silent_camera_says_since_when(world: World, browser: Browser) -> None:
    write_visit(world.sink, 1, at_s=time.time() - 5)
    world.sink.client.hset("agegender:{door}:state", "written_at_s", repr(time.time() - 130))
    with looking(browser, world.url) as look:
        look.wait_for("live")
        expect(look.page.locator('[data-camera="door"][data-state="silent"] .state')).to_contain_text(
            "silent since"
        )


def test_a_failing_camera_comes_first_and_says_why(world: World, browser: Browser) -> None:
    write_visit(world.sink, 1, at_s=time.time() - 5, camera_id="a-live-one")
    for number in range(4):
        world.sink.output.write([camera_notice(f"gate{number}", noticed_at_s=time.time())])
    with looking(browser, world.url) as look:
        look.wait_for("live")
        cameras = look.page.locator("[data-camera]")
        expect(cameras).to_have_count(5)
        expect(cameras.first).to_have_attribute("data-state", "failing")
        expect(cameras.first.locator(".state")).to_contain_text("login — 401 Unauthorized")
        expect(cameras.last).to_have_attribute("data-camera", "a-live-one")
        assert look.complaints == []


def test_the_page_of_failing_cameras_alone_does_not_ask_for_one(world: World, browser: Browser) -> None:
    world.sink.output.write([camera_notice("gate", noticed_at_s=time.time())])
    with looking(browser, world.url) as look:
        look.wait_for("live")
        expect(look.page.locator('[data-camera="gate"][data-state="failing"]')).to_be_visible()
        expect(look.page.get_by_text("No camera yet")).to_be_hidden()


def test_a_camera_of_an_old_run_does_not_stay_red(world: World, browser: Browser) -> None:
    write_visit(world.sink, 1, at_s=time.time() - 5)
    world.sink.client.hset("agegender:{door}:state", "written_at_s", repr(time.time() - 7_200))
    with looking(browser, world.url) as look:
        look.wait_for("live")
        camera = look.page.locator('[data-camera="door"]')
        expect(camera).to_have_attribute("data-state", "stopped")
        expect(camera.locator(".state")).to_contain_text("silent since")


def test_while_redis_is_away_the_page_says_so_and_recovers(world: World, browser: Browser) -> None:
    fill(world.sink)
    with looking(browser, world.url) as look:
        look.wait_until_loaded()
        world.redis.stop()
        look.wait_for("away")
        expect(look.page.locator("#banner")).to_contain_text("Redis is away")
        assert look.number("visits") > 0, "the last numbers stay"
        world.redis.start()
        look.wait_for("live")
        expect(look.page.locator("#banner")).to_be_hidden()


def test_when_the_service_ends_the_page_says_so(world: World, browser: Browser) -> None:
    with contextlib.ExitStack() as service:
        api = service.enter_context(running_api(world.redis.url))
        with looking(browser, f"http://127.0.0.1:{api.port}/") as look:
            look.wait_for("live")
            service.close()
            look.wait_for("unreachable")
            expect(look.page.locator("#banner")).to_contain_text("does not answer")


def test_the_page_asks_for_the_token_and_keeps_it_out_of_urls(world: World, browser: Browser) -> None:
    fill(world.sink)
    with (
        running_api(world.redis.url, token=TOKEN) as api,
        looking(browser, f"http://127.0.0.1:{api.port}/") as look,
    ):
        page = look.page
        expect(page.get_by_role("dialog")).to_contain_text("Token needed")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_label("Token", exact=True).fill("not-the-right-one")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("That was not the token")
        page.get_by_label("Token", exact=True).fill(TOKEN)
        page.get_by_role("button", name="Open").click()
        look.wait_until_loaded()
        assert look.number("visits") > 0
        assert not [address for address in look.addresses if TOKEN in address]
        assert TOKEN not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
        page.reload()
        look.wait_until_loaded()
        expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_preview_is_shown_only_where_there_is_one(world: World, browser: Browser) -> None:
    jpeg = bytes(cv2.imencode(".jpg", np.full((90, 160, 3), 128, np.uint8))[1])
    write_visit(world.sink, 1, at_s=time.time() - 5, camera_id="shop")
    sequences = itertools.count(1)

    def shown() -> bool:
        frame = frame_info("door", "s1", next(sequences), time.time())
        world.sink.output.write([track_update(frame=frame), preview(frame, jpeg=jpeg)])
        return look.page.locator('[data-camera="door"] .preview img').is_visible()

    with looking(browser, world.url) as look:
        look.wait_for("live")
        # A preview is kept for seconds: a camera sends new ones all the time.
        wait_until(shown, 20, "the preview is shown")
        expect(look.page.locator('[data-camera="shop"] .preview img')).to_have_count(0)
        assert look.complaints == []
