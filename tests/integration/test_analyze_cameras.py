"""Live cameras that go away while the tool watches them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agegender.analysis.video_frames import LiveFrames, closing
from agegender.services.ingest.sources.stream import CameraError
from agegender.shared.cameras.camera import Camera
from agegender.simulator.content.clips import write_video
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.faces import portraits


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_video(path, [portraits(1)] * 50, size_wh=(256, 256), fps=25)
    return path


def watched(url: str, seconds: float | None, tell: Callable[[str], None]) -> LiveFrames:
    camera = Camera.model_validate({"id": "door", "source": url, "fps": 10})
    return LiveFrames(camera, seconds, lambda: False, tell)


def test_a_camera_that_is_away_when_its_time_is_over_has_failed(clip: Path) -> None:
    told: list[str] = []
    with (
        CameraSimulator() as simulator,
        closing(watched(simulator.add("door", clip), 4, told.append)) as moments,
    ):
        frames = iter(moments)
        assert [next(frames).number for _ in range(5)] == [0, 1, 2, 3, 4]
        simulator.stop_camera("door")
        with pytest.raises(CameraError, match=r"^broken after \d\.\d s: "):
            list(frames)
    assert len(told) == 1
    assert "trying again" in told[0]


def test_a_camera_that_returns_is_watched_further(clip: Path) -> None:
    told: list[str] = []
    with CameraSimulator() as simulator:
        url = simulator.add("door", clip)

        def tell(text: str) -> None:
            told.append(text)
            simulator.start_camera("door")

        with closing(watched(url, None, tell)) as moments:
            frames = iter(moments)
            next(frames)
            for outages in (1, 2):
                simulator.stop_camera("door")
                while len(told) < outages:
                    assert next(frames).due
    assert len(told) == 2
