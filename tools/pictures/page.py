"""Draws the live page as it looks on an afternoon in a shop.

The visits are made up, and it shows no picture of a person.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright
from prometheus_client import CollectorRegistry

from agegender.services.api.config import ApiSettings
from agegender.services.api.server import ApiServer
from agegender.services.classify.calibration import Calibration, load_calibration
from agegender.services.sink.config import SinkSettings
from agegender.services.sink.redis_store import RedisStore
from agegender.shared.errors import AgeGenderError
from agegender.shared.messages.pipeline import (
    FaceInfo,
    FrameInfo,
    Result,
    TrackSummary,
    TrackUpdate,
    TrackUpdateInfo,
)
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import connect
from agegender.shared.store.embedded import EmbeddedStore

_CAMERAS = ("entrance", "checkout")
_OPEN_FROM, _OPEN_TO, _IT_IS = 8, 20, 16  # o'clock
_VISITS_AN_HOUR = 26.0
_THERE_NOW = 4
_QUALITY = 0.8  # of a face a few metres away
_ERROR_YEARS = 5.0
_HOUR_S = 3_600.0
_BOX_XYXY = (100.0, 80.0, 140.0, 130.0)
_SIZE_PX = ViewportSize(width=1600, height=900)


def draw_page(target: Path) -> None:
    """Fills a store with made visits and takes a picture of the page over it.

    Raises:
        AgeGenderError: there is no Chromium on this machine.
    """
    program = shutil.which("chromium")
    if program is None:
        raise AgeGenderError("the picture of the page needs chromium (Debian: apt-get install chromium)")
    metrics = Metrics(CollectorRegistry())
    with tempfile.TemporaryDirectory(prefix="page-") as folder, EmbeddedStore(Path(folder)) as store:
        settings = RedisSettings().at(store.url)
        output = RedisStore(connect(settings), SinkSettings(), metrics)
        output.open()
        now_s = time.time()
        rng = random.Random(3)  # noqa: S311  (no secret: visits)
        output.write([message for person in _persons(rng, now_s) for message in person])
        with (
            connect(settings) as client,
            ApiServer(client, ApiSettings(port=0), metrics, Health("api", metrics)) as server,
        ):
            _take_picture(program, server.url, target)
        output.close()


def _take_picture(program: str, url: str, target: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        ahead_h = _ahead_h(time.time())
        page = browser.new_page(
            viewport=_SIZE_PX,
            locale="en-GB",
            color_scheme="light",
            # The names of these zones count westwards.
            timezone_id=f"Etc/GMT{-ahead_h:+d}",
        )
        page.goto(url)
        page.wait_for_selector('body[data-connection="live"][data-loaded]')
        page.wait_for_selector("#left-people [data-visit]")
        page.screenshot(path=target)
        browser.close()


def _ahead_h(now_s: float) -> int:
    """How far a time zone is ahead of UTC in which it is afternoon now."""
    return (_IT_IS - time.gmtime(now_s).tm_hour + 11) % 24 - 11


def _persons(rng: random.Random, now_s: float) -> Iterator[list[Result | TrackUpdate]]:
    """For each visit its one classification and its track updates; the last few visits are still open."""
    number, calibration = 0, load_calibration("default")
    at_s = now_s - 24 * _HOUR_S
    while at_s < now_s - 120.0:
        hour = time.gmtime(at_s + _ahead_h(now_s) * _HOUR_S).tm_hour
        rate = _VISITS_AN_HOUR if _OPEN_FROM <= hour < _OPEN_TO else 0.4
        at_s += rng.expovariate(rate * (1.7 if hour in (12, 13, 17, 18) else 1.0)) * _HOUR_S
        number += 1
        stay_s = min(rng.expovariate(1 / 25.0) + 2.0, 50.0)
        yield _visit(rng, calibration, number, min(at_s, now_s - 60.0), stay_s, ended=True)
    for place in range(_THERE_NOW):
        stay_s = 3.0 + 6.0 * place
        yield _visit(rng, calibration, number + 1 + place, now_s - stay_s - 0.3, stay_s, ended=False)


def _visit(
    rng: random.Random, calibration: Calibration, number: int, at_s: float, stay_s: float, *, ended: bool
) -> list[Result | TrackUpdate]:
    camera_id = _CAMERAS[number % 3 == 0]
    track_id = f"s1-{number}"
    frame = FrameInfo(
        camera_id=camera_id,
        stream_id="s1",
        sequence=number,
        captured_at_s=at_s + stay_s,
        clock="camera",
        published_at_s=at_s + stay_s,
        width_px=1280,
        height_px=720,
    )
    # What the nets might read; the rest is the calibration of the product.
    male_logit = rng.choice((-5.0, -4.0, -3.0, 3.5, 4.5, 0.2 if number % 4 == 0 else 5.5))
    age_years = min(85.0, max(4.0, rng.gauss(37.0, 15.0)))
    answer = calibration.classify(age_years, male_logit, _ERROR_YEARS, _QUALITY, turn=0.0)
    face = FaceInfo(
        frame=frame,
        index=0,
        faces_in_frame=1,
        box_xyxy=_BOX_XYXY,
        landmarks_xy=((110, 95), (130, 95), (120, 108), (112, 118), (128, 118)),
        score=0.9,
        quality=_QUALITY,
        track_id=track_id,
        vote=1,
        detected_at_s=at_s,
    )
    classified = Result(
        face=face,
        age_years=answer.age_years,
        age_interval_years=answer.interval_years,
        gender=answer.gender,
        gender_confidence=answer.gender_confidence,
        male_probability=answer.male_probability,
        nets=calibration.pack,
        classified_at_s=at_s,
    )
    seen = TrackSummary(
        track_id=track_id,
        first_seen_s=at_s,
        last_seen_s=at_s + stay_s,
        frames=int(stay_s * 5) + 1,
        votes_sent=1,
        box_xyxy=_BOX_XYXY,
        ended=ended,
    )
    info = TrackUpdateInfo(frame=frame, frame_rate_hz=5.0, tracks=(seen,), detected_at_s=at_s + stay_s)
    return [classified, TrackUpdate(info=info)]
