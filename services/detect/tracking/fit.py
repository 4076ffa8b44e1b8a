"""How well each box of a frame fits each track. Pure geometry on arrays.

Distances are in sides of the face, the square root of its area, so that near and far people are treated
alike. A person walking past a camera moves two to four sides a second, and in a hurry eight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The largest distance from the expected path: at once, added for each second unseen, and the limit.
_REACH, _REACH_A_SECOND, _REACH_MOST = 0.6, 4.0, 1.6
_NEW_A_SECOND, _NEW_MOST = 9.0, 3.0
# The same for the change of size, as a logarithm.
_GROWTH, _GROWTH_A_SECOND, _GROWTH_MOST = 0.2, 0.8, 0.5

_NEW_COSTS = 0.5
_BESIDE_COSTS, _BESIDE_FROM = 0.9, 2.0
_BEHIND_COSTS, _BEHIND_MOST = 0.7, 0.9
_GROWTH_COSTS = 2.0
_MISSED_COSTS = 0.8
_MISSED_MOST = 2.0
_MOST_COST = 2.2

_LEAST_SIDE_PX = 1.0
_TINY = 1e-9


@dataclass(frozen=True)
class ExpectedTracks:
    """What is known of the tracks at the time of a frame. Each array has one row for each track."""

    boxes_xyxy: Floats
    """(tracks, 4): the last box of each track."""
    velocities_xy: Floats
    """(tracks, 2): pixels a second."""
    unseen_s: Floats
    """(tracks,): seconds since the last box, 0 or more."""
    missed_s: Floats
    """(tracks,): the same at the frame before; 0 for tracks that had a box in it."""
    is_new: NDArray[np.bool_]
    """(tracks,): found only once, so the velocity is unknown."""


def misfit(expected: ExpectedTracks, boxes_xyxy: Floats) -> Floats:
    """The cost of each box for each track, (tracks, boxes), 0 or more; infinite for another face.

    The expected path of a face leads from its last box to where its velocity has taken it by now. The face
    may have gone on, slowed down, stopped, or turned round while it was not seen. The cost is the sum of:

    - the distance from the path, sideways more for fast faces;
    - how far the box lags behind the end of the path;
    - the change of size;
    - how long the track has missed its face.
    """
    sizes_wh = np.maximum(expected.boxes_xyxy[:, 2:] - expected.boxes_xyxy[:, :2], _LEAST_SIDE_PX)
    sides_px = np.sqrt(sizes_wh.prod(axis=1))
    off, behind = _distances(expected, sides_px, boxes_xyxy)
    growth = _growth(sizes_wh, np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], _LEAST_SIDE_PX))

    is_new, unseen_s = expected.is_new, expected.unseen_s
    reach = _REACH + np.where(is_new, _NEW_A_SECOND, _REACH_A_SECOND) * unseen_s
    reach = np.minimum(reach, np.where(is_new, _NEW_MOST, _REACH_MOST))
    may_grow = np.minimum(_GROWTH + _GROWTH_A_SECOND * unseen_s, _GROWTH_MOST)
    cost = (
        np.where(is_new, _NEW_COSTS, 1.0)[:, None] * off
        + np.minimum(_BEHIND_COSTS * behind, _BEHIND_MOST)
        + _GROWTH_COSTS * growth
        + _MISSED_COSTS * np.minimum(expected.missed_s, _MISSED_MOST)[:, None]
    )
    fits = (off <= reach[:, None]) & (growth <= may_grow[:, None]) & (cost <= _MOST_COST)
    return np.where(fits, cost, np.inf)


def best_first(cost: Floats) -> list[tuple[int, int]]:
    """Pairs of row and column, each in one pair at most: the cheapest pair first, then of what is left."""
    rows, columns = np.nonzero(np.isfinite(cost))
    order = np.argsort(cost[rows, columns], kind="stable")
    free_rows, free_columns = set(rows.tolist()), set(columns.tolist())
    pairs = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row in free_rows and column in free_columns:
            free_rows.remove(row)
            free_columns.remove(column)
            pairs.append((row, column))
    return pairs


def _distances(expected: ExpectedTracks, sides_px: Floats, boxes_xyxy: Floats) -> tuple[Floats, Floats]:
    """The distance of each box from each path, and how much farther it is from the end of the path."""
    from_xy = (expected.boxes_xyxy[:, :2] + expected.boxes_xyxy[:, 2:]) / 2
    to_xy = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    x = (to_xy[:, 0] - from_xy[:, :1]) / sides_px[:, None]
    y = (to_xy[:, 1] - from_xy[:, 1:]) / sides_px[:, None]
    speed = np.hypot(expected.velocities_xy[:, 0], expected.velocities_xy[:, 1])
    heading_xy = expected.velocities_xy / np.maximum(speed, _TINY)[:, None]
    heading_xy[speed < _TINY] = (1.0, 0.0)
    speed = speed / sides_px
    along = heading_xy[:, :1] * x + heading_xy[:, 1:] * y
    beside = heading_xy[:, :1] * y - heading_xy[:, 1:] * x
    beside *= (1.0 + _BESIDE_COSTS * np.minimum(speed, _BESIDE_FROM))[:, None]
    way = (speed * expected.unseen_s)[:, None]
    off = np.hypot(along - np.clip(along, 0.0, way), beside)
    return off, np.hypot(along - way, beside) - off


def _growth(sizes_wh: Floats, other_wh: Floats) -> Floats:
    """The smaller change of width and height: a face that is partly occluded keeps one of the two."""
    grown = np.abs(np.log(other_wh[None]) - np.log(sizes_wh[:, None]))
    return np.asarray(np.minimum(grown[..., 0], grown[..., 1]), np.float64)
