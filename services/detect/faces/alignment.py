"""Alignment: cuts out a face so that its eyes, nose and mouth always lie at the same places of the chip."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.shared.images.faces import CHIP_CONTEXT, CHIP_SIDE_PX, template_px
from agegender.shared.images.pictures import Bgr

LANDMARK_WEIGHTS: NDArray[np.float64] = np.array([1.0, 1.0, 0.25, 1.0, 1.0])
"""The weight of each landmark in the alignment. The tip of the nose is in front of the other landmarks, so it
moves sideways when the head turns. With a full weight it would shift the chip."""


def similarity(
    source_xy: NDArray[np.float64], target_xy: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The rotation, scale and shift, (2, 3), that moves `source_xy` closest to `target_xy`, both (N, 2).

    Weighted least squares without reflection. `weights`, (N,), are equal by default. The method is that of S.
    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE PAMI
    13(4), 1991. In the plane it is one complex division. With both sets centred and read as complex numbers,
    rotation and scale together are
    sum(weight * target * conj(source)) / sum(weight * abs(source) ** 2).

    Raises:
        ValueError: all points of `source_xy` are the same.
    """
    weights = np.ones(len(source_xy)) if weights is None else weights
    source = source_xy[:, 0] + 1j * source_xy[:, 1]
    target = target_xy[:, 0] + 1j * target_xy[:, 1]
    source_middle = complex(weights @ source / weights.sum())
    target_middle = complex(weights @ target / weights.sum())
    centred = source - source_middle
    spread = float(weights @ np.abs(centred) ** 2)
    if spread == 0:
        raise ValueError(
            "expected landmarks at different points, got all on one point: the face cannot be aligned"
        )
    turn = complex((weights * (target - target_middle)) @ np.conj(centred)) / spread
    shift = target_middle - turn * source_middle
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def cut_chip(
    picture_bgr: Bgr, landmarks_xy: NDArray[np.float64], weights: NDArray[np.float64] = LANDMARK_WEIGHTS
) -> Bgr:
    """The aligned chip, (CHIP_SIDE_PX, CHIP_SIDE_PX, 3). Beyond the picture, its edge pixels are repeated.

    A face much larger than the chip is shrunk first. Sampling one pixel of many would show noise as skin.

    Args:
        landmarks_xy: (5, 2), in pixels of the picture.
        weights: (5,), of the landmarks.
    """
    template = template_px(CHIP_SIDE_PX, CHIP_CONTEXT)
    to_chip = similarity(landmarks_xy, template, weights)
    scale = float(np.hypot(to_chip[0, 0], to_chip[1, 0]))
    if scale < 0.5:
        picture_bgr, offset_xy = _around(picture_bgr, to_chip)
        factor = 2 * scale
        size_wh = tuple(max(1, round(side * factor)) for side in picture_bgr.shape[1::-1])
        actual_xy = np.array(size_wh) / picture_bgr.shape[1::-1]
        picture_bgr = np.asarray(cv2.resize(picture_bgr, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        # Pixel centres have coordinates of .5, so scaling about the corner moves them by half a pixel.
        landmarks_xy = (landmarks_xy - offset_xy + 0.5) * actual_xy - 0.5
        to_chip = similarity(landmarks_xy, template, weights)
    chip = cv2.warpAffine(
        picture_bgr,
        to_chip,
        (CHIP_SIDE_PX, CHIP_SIDE_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(chip, np.uint8)


def _around(picture_bgr: Bgr, to_chip: NDArray[np.float64]) -> tuple[Bgr, NDArray[np.float64]]:
    """The part of the picture that the chip shows, and the top left corner of that part, (2,)."""
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float64) * CHIP_SIDE_PX
    from_chip = cv2.invertAffineTransform(to_chip)
    seen_xy = corners @ from_chip[:, :2].T + from_chip[:, 2]
    bounds_wh = np.array(picture_bgr.shape[1::-1])
    low_xy = np.clip(np.floor(seen_xy.min(axis=0)), 0, bounds_wh - 1).astype(int)
    high_xy = np.clip(np.ceil(seen_xy.max(axis=0)), low_xy + 1, bounds_wh).astype(int)
    part = picture_bgr[low_xy[1] : high_xy[1], low_xy[0] : high_xy[0]]
    return part, low_xy.astype(np.float64)
