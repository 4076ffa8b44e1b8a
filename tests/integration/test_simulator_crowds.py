"""Clips of crowds show what their truth says. They are drawn with the one face of the repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.models import weights
from agegender.simulator.content.crowd_clips import across, crowd_clips, street
from agegender.simulator.content.crowds import (
    FPS,
    Actor,
    Crowd,
    Walk,
    count_visits,
    crowd_frames,
    write_crowd,
)
from agegender.simulator.content.heads import Head, cut_head
from agegender.simulator.content.scenes import ASTRONAUT, read_picture
from tests.support.faces import ASTRONAUT_BOX_XYXY

PATIENCE_S = 2.0


@pytest.fixture(scope="module")
def heads() -> list[Head]:
    left, top, right, bottom = (int(side) for side in ASTRONAUT_BOX_XYXY)
    return [cut_head(read_picture(ASTRONAUT), (left, top, right, bottom))] * 12


def standing(x: float, face_px: float, *, faces_camera: bool = True) -> Actor:
    return Actor(0, (Walk(0.0, 1.0, (x, 270.0), (x, 270.0), face_px, face_px, faces_camera),))


def crowd(*actors: Actor, seconds: float = 1.0) -> Crowd:
    return Crowd("made", actors, visits=len(actors), seconds=seconds)


def test_only_another_seed_changes_a_crowd(heads: Sequence[Head]) -> None:
    short = replace(street(3, 1), seconds=0.5)
    one, same, other = (
        [frame.picture for frame in crowd_frames(clip, heads)]
        for clip in (short, short, replace(short, seed=2))
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_detector_finds_each_face_where_the_truth_says(heads: Sequence[Head]) -> None:
    frame = next(crowd_frames(crowd(standing(250.0, 100.0), standing(700.0, 60.0)), heads))
    found = YuNet(weights("yunet")).detect(frame.picture)
    assert len(found) == len(frame.sights) == 2
    for one, sight in zip(found, frame.sights, strict=True):
        assert one.box_xyxy == pytest.approx(sight.face_xyxy, abs=8.0)
        assert sight.visible_share > 0.95


def test_hidden_outside_and_averted_faces_are_not_visible(heads: Sequence[Head]) -> None:
    behind, before = standing(480.0, 80.0), standing(485.0, 140.0)
    outside, away = standing(-20.0, 100.0), standing(800.0, 100.0, faces_camera=False)
    frame = next(crowd_frames(crowd(behind, before, outside, away), heads))
    visible = {sight.actor: sight.is_visible for sight in frame.sights}
    assert visible == {1: True, 2: False, 3: False}
    shares = {sight.actor: sight.visible_share for sight in frame.sights}
    assert 0.1 < shares[2] < 0.5
    assert shares[3] == 0.0


def test_a_walker_crosses_from_edge_to_edge(heads: Sequence[Head]) -> None:
    way = across(0.0, 270.0, 100.0, 5.0)
    frames = list(crowd_frames(crowd(Actor(0, (way,)), seconds=way.end_s), heads))
    centres = [(box[0] + box[2]) / 2 for frame in frames for box in [s.face_xyxy for s in frame.sights]]
    assert centres == sorted(centres)
    assert centres[0] < 0
    assert centres[-1] > 960
    steps = np.diff(centres)
    assert np.abs(steps - 500.0 / FPS).max() <= 1.0


def test_moving_blurs_and_noise_roughens(heads: Sequence[Head]) -> None:
    walker = Actor(0, (Walk(0.0, 1.0, (400.0, 270.0), (900.0, 270.0), 150.0, 150.0),))
    plain = replace(crowd(walker), noise_sigma=0.0, exposure_s=0.0)
    sharp, blurred, noisy = (
        next(crowd_frames(clip, heads)).picture
        for clip in (plain, replace(plain, exposure_s=0.03), replace(plain, noise_sigma=10.0))
    )
    detail = [cv2.Laplacian(picture, cv2.CV_64F).std() for picture in (blurred, sharp, noisy)]
    assert detail[0] < 0.7 * detail[1]
    assert detail[2] > 1.5 * detail[1]


def test_a_file_repeats_the_last_frame_for_a_dropped_one(heads: Sequence[Head], tmp_path: Path) -> None:
    clip = replace(crowd(standing(300.0, 100.0), seconds=2.0), dropped_share=0.3)
    frames = list(crowd_frames(clip, heads))
    assert 15 <= len(frames) <= 21
    assert frames[0].index == 0
    assert all(frame.time_s == frame.index / FPS for frame in frames)
    path = tmp_path / "crowd.mp4"
    write_crowd(path, clip, heads)
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == (960, 540)
        assert video.average_rate == FPS
        assert sum(1 for _ in container.decode(video)) == 30


def test_a_missing_head_is_refused(heads: Sequence[Head]) -> None:
    with pytest.raises(ValueError, match="expected heads below 12"):
        next(crowd_frames(crowd(Actor(12, ())), heads))


@pytest.mark.parametrize("name", ["one is back after 1 s", "one is back after 8 s"])
def test_the_visible_visits_are_those_counted_by_hand(heads: Sequence[Head], name: str) -> None:
    (clip,) = (clip for clip in crowd_clips() if clip.name == name)
    frames = [(frame.time_s, frame.sights) for frame in crowd_frames(clip, heads)]
    assert count_visits(frames, PATIENCE_S) == clip.visits


def test_the_clips_show_one_to_twelve_people() -> None:
    clips = crowd_clips()
    assert {1, 2, 3, 4, 6, 8, 10, 12} <= {clip.people for clip in clips}
    assert len({clip.name for clip in clips}) == len(clips)
    assert all(len({actor.head for actor in clip.actors}) == clip.people for clip in clips)
