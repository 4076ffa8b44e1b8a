"""A camera reports its time late: a person before it still stays one track."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.stage import DetectStage
from agegender.services.ingest.sources.rtsp.connection import open_rtsp
from agegender.services.ingest.sources.rtsp.lag_gate import MOST_BEHIND_S
from agegender.services.ingest.sources.rtsp.stream import RtspStream
from agegender.services.ingest.sources.stream import Skipped, StreamFrame
from agegender.services.ingest.stage import IngestStage
from agegender.shared.cameras.camera import Camera
from agegender.shared.messages.pipeline import Frame, TrackSummary, TrackUpdate
from agegender.shared.models import weights
from agegender.shared.runtime.stage import Done
from agegender.simulator.content.clips import Placement, make_clip
from agegender.simulator.rtsp import camera as simulated_camera
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.faces import astronaut
from tests.support.taking import Taken, Taker
from tests.support.waiting import wait_until

FPS = 25


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of one woman."""
    path = tmp_path_factory.mktemp("clips") / "woman.mp4"
    make_clip(path, [Placement(astronaut(), (320, 180), 300)], size_wh=(640, 360), fps=FPS, seconds=2)
    return path


@pytest.mark.parametrize("ahead_s", [-1.5, 3.0])
def test_a_person_stays_one_track_when_the_camera_reports_time(
    clip: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    monkeypatch.setattr(simulated_camera, "time", SimpleNamespace(time=lambda: time.time() + ahead_s))
    with CameraSimulator() as cameras:
        source = cameras.add("door", clip, untold_pictures=FPS)
        with Taker([Camera(id="door", source=source)], fps=10) as taker:
            wait_until(lambda: _told(taker.taken) >= 10, 20, "the camera tells its time")
    frames = [_frame(one) for one in taker.taken]
    assert len({frame.info.stream_id for frame in frames}) == 1
    clocks = [frame.info.clock for frame in frames]
    assert clocks == sorted(clocks)
    assert clocks.count("arrival") >= 5

    tracks = _tracks(frames)
    assert {one.track_id for one in tracks} == {tracks[0].track_id}
    last = tracks[-1]
    assert last.frames >= len(frames) - 2
    passed_s = taker.taken[-1].at_s - taker.taken[0].at_s
    assert last.last_seen_s - last.first_seen_s == pytest.approx(passed_s, abs=0.5)


def _told(taken: Sequence[Taken]) -> int:
    return sum(one.frame.clock == "camera" for one in taken)


def _frame(taken: Taken) -> Frame:
    """What was taken as it was published, at once."""
    (outcome,) = IngestStage(clock=lambda: taken.at_s).process([taken.frame])
    assert isinstance(outcome, Done)
    return outcome.outputs[0]


def _tracks(frames: Sequence[Frame]) -> list[TrackSummary]:
    stage = DetectStage(YuNet(weights("yunet"), 480, 0.7))
    outcomes = stage.process(frames)
    told = [output for outcome in outcomes if isinstance(outcome, Done) for output in outcome.outputs]
    track_updates = [one for one in (*told, *stage.finish()) if isinstance(one, TrackUpdate)]
    return [track_summary for track_update in track_updates for track_summary in track_update.info.tracks]


def test_the_skew_of_a_camera_an_hour_off_is_measured(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clock is not used, and the alert still sees how far it is off."""
    monkeypatch.setattr(simulated_camera, "time", SimpleNamespace(time=lambda: time.time() - 3600.0))
    with CameraSimulator() as cameras:
        source = cameras.add("door", clip)
        with Taker([Camera(id="door", source=source)], fps=10) as taker:
            wait_until(
                lambda: (
                    3590 < taker.metrics.total("agegender_camera_clock_skew_seconds", camera="door") < 3610
                ),
                20,
                "the skew is measured",
            )
            wait_until(lambda: taker.taken, 20, "frames flow")
    assert _told(taker.taken) == 0


def test_a_slow_decoder_skips_to_the_present(clip: Path) -> None:
    """It needs three times as long for a frame as the camera. Without skips, frames came later and later."""
    late_s, skipped_s = [], 0.0
    with CameraSimulator() as cameras:
        opened = open_rtsp(cameras.add("door", clip), no_frame_s=5, answer_s=5)
        stream = RtspStream(opened, no_frame_s=5, keyframe_s=5)
        try:
            for one in stream.frames():
                match one:
                    case StreamFrame(camera_time_s=float(told_s)):
                        late_s.append(one.captured_at_s - told_s)
                        time.sleep(3 / FPS)
                    case Skipped():
                        skipped_s += one.seconds
                if skipped_s > 6 or len(late_s) > 150:
                    break
        finally:
            stream.close()
    assert max(late_s) < MOST_BEHIND_S + 1.0
    assert len(late_s) > 50
