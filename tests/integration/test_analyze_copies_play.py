"""Annotated videos in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.analyzing import run_analyze
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.browser import browser_or_skip
from tests.support.faces import portraits, write_frames

_PLAYS_H264 = """document.createElement("video").canPlayType('video/mp4; codecs="avc1.640028"')"""
_ENDED = "video.ended || video.error !== null"
_STATE = """({
    error: video.error && video.error.message,
    ended: video.ended,
    size_wh: [video.videoWidth, video.videoHeight],
    time_s: video.currentTime,
    duration_s: video.duration,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
})"""


def test_a_browser_plays_an_annotated_video_to_its_end(tmp_path: Path) -> None:
    clip, copies = tmp_path / "clip.mov", tmp_path / "copies"
    write_frames(clip, [(portraits(2, 200), index / 25) for index in range(30)])
    done = run_analyze(clip, "--annotate", copies)
    assert done.returncode == 0, done.stderr
    page_path = copies / "page.html"
    page_path.write_text('<video id="video" src="clip.mov.mp4" muted></video>')
    with browser_or_skip() as browser:
        page = browser.new_page()
        if not page.evaluate(_PLAYS_H264):
            skip_or_fail(ServerUnavailableError(f"chromium {browser.version} was built without H.264"))
        page.goto(page_path.as_uri())
        page.evaluate("video.play().catch(() => {})")
        page.wait_for_function(_ENDED)
        state = page.evaluate(_STATE)
    assert (state["error"], state["ended"]) == (None, True)
    assert state["size_wh"] == [400, 200]
    assert state["time_s"] == state["duration_s"] == pytest.approx(30 / 25, abs=0.05)
    assert state["frames"] > 1
