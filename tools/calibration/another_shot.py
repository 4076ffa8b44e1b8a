"""Further shots of the person in a picture: nearer or farther, turned, in other light, blurred, noisy."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from agegender.shared.images.pictures import Bgr, decode_picture, encode_jpeg

# Deviations of normal curves, and the ends of even spans. Degrees of the head's roll; shares of the width by
# which a flat face that turns narrows and by which its far side shrinks; logarithms of light and gamma;
# blurs as shares of the face's height; grey values of noise.
_ROLL_DEG = 5.0
_NARROWING, _FAR_SIDE = 0.05, 0.06
_LIGHT, _GAMMA = 0.1, 0.2
_MOST_BLUR = 0.012
_MOST_NOISE = 4.0
_JPEG_QUALITIES = (50, 95)
_MOVED_PX = 8.0

_SMALLEST_PICTURE_PX = 320
_GREY = (110.0, 110.0, 110.0)


def another_shot(picture_bgr: Bgr, scale: float, face_px: float, rng: Generator) -> Bgr:
    """The picture `scale` times as large, as another frame of a camera might show it.

    The picture lies in the middle of a grey one, as large as detectors are used to.

    Args:
        picture_bgr: (height, width, 3).
        scale: up to about 1; the detail that it takes away is the largest difference between shots.
        face_px: the height of the face in the shot.
        rng: draws everything else.
    """
    small = picture_bgr
    if scale < 1:
        small = np.asarray(cv2.resize(picture_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    height_px, width_px = small.shape[:2]
    side_px = max(_SMALLEST_PICTURE_PX, round(1.3 * max(height_px, width_px)))
    to_middle = np.array([[1, 0, -width_px / 2], [0, 1, -height_px / 2], [0, 0, 1]])
    turned = np.diag([1 - abs(rng.normal(0, _NARROWING)), 1.0, 1.0])
    turned[2, 0] = rng.normal(0, _FAR_SIDE) / (width_px / 2)
    rolled = np.eye(3)
    rolled[:2, :2] = cv2.getRotationMatrix2D((0, 0), rng.normal(0, _ROLL_DEG), 1.0)[:, :2]
    rolled[:2, 2] = side_px / 2 + rng.uniform(-_MOVED_PX, _MOVED_PX, 2)
    seen = cv2.warpPerspective(small, rolled @ turned @ to_middle, (side_px, side_px), borderValue=_GREY)
    blur_px = rng.uniform(0, _MOST_BLUR) * face_px
    if blur_px > 0.3:  # less does not reach the next pixel
        seen = cv2.GaussianBlur(seen, (0, 0), blur_px)
    values = np.exp(rng.normal(0, _LIGHT)) * (seen / 255.0) ** np.exp(rng.normal(0, _GAMMA)) * 255
    values += rng.normal(0, rng.uniform(0, _MOST_NOISE), seen.shape)
    lit = np.clip(values, 0, 255).astype(np.uint8)
    return decode_picture(encode_jpeg(lit, int(rng.integers(*_JPEG_QUALITIES))))
