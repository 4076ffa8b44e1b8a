"""Which box fits which track."""

from __future__ import annotations

import numpy as np
import pytest

from agegender.services.detect.tracking.fit import ExpectedTracks, best_first, misfit
from agegender.shared.messages.pipeline import BoxXyxy

SIDE = 100.0


def square(x: float, y: float = 0.0, side: float = SIDE) -> BoxXyxy:
    return (x, y, x + side, y + side)


def costs(
    *boxes: BoxXyxy,
    speed_x: float = 0.0,
    unseen_s: float = 0.2,
    missed_s: float = 0.0,
    is_new: bool = False,
) -> list[float]:
    expected = ExpectedTracks(
        boxes_xyxy=np.array([square(0.0)]),
        velocities_xy=np.array([[speed_x, 0.0]]),
        unseen_s=np.array([unseen_s]),
        missed_s=np.array([missed_s]),
        is_new=np.array([is_new]),
    )
    return [float(cost) for cost in misfit(expected, np.array(boxes))[0]]


def test_a_face_that_did_not_move_fits_perfectly() -> None:
    assert costs(square(0.0)) == [0.0]


def test_a_walking_face_may_go_on_or_stop() -> None:
    farther, halfway, stopped, turned = costs(
        square(60.0), square(30.0), square(0.0), square(-60.0), speed_x=300.0
    )
    assert farther == pytest.approx(0.0)
    assert farther < halfway < stopped < turned


def test_a_face_beside_the_path_fits_worse_than_one_on_it() -> None:
    ahead, beside = costs(square(90.0), square(60.0, 30.0), speed_x=300.0)
    assert ahead < beside
    still_ahead, still_beside = costs(square(30.0), square(0.0, 30.0))
    assert still_ahead == still_beside


def test_a_new_face_may_move_farther_than_a_known_one() -> None:
    assert costs(square(180.0), is_new=True)[0] < np.inf
    assert costs(square(180.0), is_new=False) == [np.inf]
    assert costs(square(240.0), is_new=True, unseen_s=0.3)[0] < np.inf
    assert costs(square(350.0), is_new=True) == [np.inf]


def test_another_size_is_another_face_unless_cut_by_an_edge() -> None:
    larger, cut_off = costs(square(-50.0, -50.0, 2 * SIDE), (40.0, 0.0, 100.0, 100.0))
    assert larger == np.inf
    assert cut_off < 1.0


def test_the_longer_a_face_is_missed_the_less_a_box_fits() -> None:
    prices = [costs(square(20.0), unseen_s=0.2 + s, missed_s=s)[0] for s in (0.0, 0.5, 1.0)]
    assert prices == sorted(prices)
    assert prices[0] < prices[-1]


def test_boxes_without_extent_fit_like_small_ones() -> None:
    assert costs((50.0, 50.0, 50.0, 50.0)) == [np.inf]
    assert np.isfinite(misfit(_nothing_moved(np.zeros((1, 4))), np.zeros((1, 4)))).all()


def _nothing_moved(boxes_xyxy: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> ExpectedTracks:
    rows = len(boxes_xyxy)
    return ExpectedTracks(
        boxes_xyxy, np.zeros((rows, 2)), np.zeros(rows), np.zeros(rows), np.zeros(rows, bool)
    )


def test_the_cheapest_pair_is_taken_first_and_nothing_twice() -> None:
    cost = np.array([[0.5, 0.1, np.inf], [np.inf, 0.2, np.inf], [0.3, np.inf, np.inf]])
    assert best_first(cost) == [(0, 1), (2, 0)]
    assert best_first(np.full((2, 2), np.inf)) == []
    assert best_first(np.zeros((0, 3))) == []


def test_many_boxes_at_one_place_are_all_paired() -> None:
    boxes = np.array([square(0.0)] * 50)
    pairs = best_first(misfit(_nothing_moved(boxes), boxes))
    assert sorted(row for row, _ in pairs) == sorted(column for _, column in pairs) == list(range(50))
