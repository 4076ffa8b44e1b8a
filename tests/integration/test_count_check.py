"""A quick part of `make count-check`: the detector and the tracker count people correctly."""

from __future__ import annotations

import pytest

from agegender.services.detect.faces.yunet import YuNet
from agegender.simulator.content.crowd_clips import crowd_clips
from agegender.simulator.content.heads import MOST_HEADS, Head, read_heads
from agegender.simulator.content.samples import Samples
from benchmarks.counting.check import ONE_PERSON_VIDEOS, Checked, check, detector, is_near, people_in_video
from benchmarks.counting.score import Score
from tests.support.faces import fetched_samples


@pytest.fixture(scope="module")
def samples() -> Samples:
    return fetched_samples()


@pytest.fixture(scope="module")
def heads() -> tuple[Head, ...]:
    return read_heads()


@pytest.fixture(scope="module")
def yunet() -> YuNet:
    return detector()


@pytest.mark.usefixtures("samples")
def test_the_heads_are_of_twelve_people_each_with_one_face(heads: tuple[Head, ...], yunet: YuNet) -> None:
    assert len(heads) == MOST_HEADS
    for head in heads:
        (found,) = yunet.detect(head.picture)
        assert found.box_xyxy == pytest.approx(head.face_xyxy, abs=0.1 * head.face_wh[1])
        assert yunet.detect(head.turned_away().picture) == []


@pytest.mark.parametrize("name", ["one is back after 1 s", "two pairs cross", "street of 12, 5"])
def test_visitors_are_counted_rightly_at_both_rates(heads: tuple[Head, ...], yunet: YuNet, name: str) -> None:
    (clip,) = (clip for clip in crowd_clips() if clip.name == name)
    checked = check(clip, heads, yunet)
    assert checked.is_right, checked


@pytest.mark.parametrize("name", ONE_PERSON_VIDEOS)
def test_each_real_video_holds_one_person(samples: Samples, yunet: YuNet, name: str) -> None:
    assert people_in_video(getattr(samples, name), yunet) == {5: 1, 15: 1}


@pytest.mark.parametrize(
    ("visits", "counts", "is_right"),
    [
        (3, (3, 3), True),
        (3, (3, 4), False),
        (9, (8, 9), False),
        (12, (11, 12), True),
        (12, (11, 13), False),
        (12, (14, 14), False),
        (1, (0, 0), False),
    ],
)
def test_a_count_is_right_within_a_tenth(visits: int, counts: tuple[int, int], is_right: bool) -> None:
    scores = {fps: Score(count, 0, 0, 0, 0, 0) for fps, count in zip((5, 15), counts, strict=True)}
    assert Checked("made", visits, visits, scores).is_right is is_right


def test_a_count_of_zero_is_right_only_for_zero_visits() -> None:
    assert is_near(0, 0)
    assert not is_near(1, 0)
