"""Labels that can be read anywhere, and faces that cannot."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agegender.commands.analyze import labels
from agegender.commands.analyze.labels import MIN_LONGER_SIDE_PX, Mark, draw
from agegender.shared.images.anonymization import anonymize
from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import BoxXyxy
from tests.support.faces import astronaut, no_face, portraits


def plates_of(monkeypatch: pytest.MonkeyPatch, picture: Bgr, marks: list[Mark]) -> list[labels.Rect]:
    """Where the labels were drawn."""
    drawn: list[labels.Rect] = []
    draw_label = labels._draw_label

    def spy(*arguments: object) -> labels.Rect:
        drawn.append(draw_label(*arguments))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setattr(labels, "_draw_label", spy)
    draw(picture, marks)
    return drawn


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_label_stands_out_from_any_ground(ground: int) -> None:
    picture = np.full((400, 600, 3), ground, np.uint8)
    drawn = draw(picture, [Mark((200, 150, 300, 280), "female 34", "female")])
    grey = cv2.cvtColor(drawn[100:150, 200:330], cv2.COLOR_BGR2GRAY)
    # The text is white on a dark plate of its own, over any picture.
    assert np.count_nonzero(grey > 230) > 150
    assert np.count_nonzero(grey < 40) > 1_000


@pytest.mark.parametrize(
    "box", [(-20, -10, 60, 70), (560, 350, 640, 430), (0, 0, 600, 400), (590, 5, 599, 15)]
)
def test_a_label_stays_inside_the_picture(monkeypatch: pytest.MonkeyPatch, box: BoxXyxy) -> None:
    (plate,) = plates_of(monkeypatch, no_face(600, 400), [Mark(box, "female 34 (27-41)", "female")])
    assert plate[0] >= 0
    assert plate[1] >= 0
    assert plate[2] <= 600
    assert plate[3] <= 400


def test_labels_of_neighbours_do_not_cover_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = [Mark((x, 150.0, x + 45, 200.0), "female 34 (27-41)", "female") for x in (100, 150, 200, 250)]
    plates = plates_of(monkeypatch, no_face(640, 400), marks)
    for index, one in enumerate(plates):
        assert all(labels._shared(one, other) == 0 for other in plates[:index])


@pytest.mark.parametrize("size_wh", [(1, 1), (40, 30), (30, 200), (319, 20)])
def test_a_tiny_picture_is_enlarged_by_a_whole_factor(size_wh: tuple[int, int]) -> None:
    drawn = draw(no_face(*size_wh), [Mark((0, 0, *size_wh), "male 20", "male")])
    factor = drawn.shape[1] / size_wh[0]
    assert factor == int(factor)
    assert drawn.shape[0] == size_wh[1] * factor
    assert max(drawn.shape) >= MIN_LONGER_SIDE_PX


def test_text_grows_with_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    heights = []
    for side_px in (400, 4_000):
        picture = np.zeros((side_px, side_px, 3), np.uint8)
        box = (side_px * 0.4, side_px * 0.4, side_px * 0.6, side_px * 0.6)
        (plate,) = plates_of(monkeypatch, picture, [Mark(box, "male 20", "male")])
        heights.append(plate[3] - plate[1])
        assert not picture.any()
    assert heights[1] > 5 * heights[0]


def test_without_marks_the_picture_stays_as_it_is() -> None:
    np.testing.assert_array_equal(draw(astronaut(), []), astronaut())


def test_four_colours_are_all_that_a_covered_face_holds() -> None:
    """Two faces with the same coarse colours become the same pixels: nothing else gets through."""
    box = (0.0, 0.0, 160.0, 160.0)
    flat = np.full((160, 160, 3), 120, np.uint8)
    noise = np.random.default_rng(0).integers(-4, 5, flat.shape)
    detailed = np.clip(flat.astype(int) + noise, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(anonymize(flat, [box]), anonymize(detailed, [box]))


def test_a_box_beyond_the_edge_covers_only_what_is_inside() -> None:
    picture = portraits(1)
    covered = anonymize(picture, [(-50.0, -50.0, 10.0, 10.0), (900.0, 900.0, 950.0, 950.0)])
    np.testing.assert_array_equal(covered[40:], picture[40:])
    assert not np.array_equal(covered[:20, :20], picture[:20, :20])
