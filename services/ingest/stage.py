"""The stage of ingest: shrinks a captured picture and compresses it as JPEG."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.shared.images.pictures import Bgr, OversizePicture, UnreadablePicture, encode_jpeg, shrink
from agegender.shared.messages.codec import MAX_MESSAGE_BYTES
from agegender.shared.messages.pipeline import Frame, FrameInfo
from agegender.shared.runtime.stage import Done, Dropped, DropReason, Outcome

MAX_JPEG_BYTES = MAX_MESSAGE_BYTES - 32_000
"""Leaves room in a message for the longest file path, 4,096 bytes, even if JSON escapes every byte."""


class IngestStage:
    """Shrinks and compresses pictures.

    Args:
        longer_side_px: larger pictures are shrunk to this.
        jpeg_quality: 1 to 100.
        max_bytes: the largest JPEG. A larger one is dropped as `oversize`.
    """

    def __init__(
        self,
        longer_side_px: int = 1280,
        jpeg_quality: int = 85,
        *,
        max_bytes: int = MAX_JPEG_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._longer_side_px = longer_side_px
        self._jpeg_quality = jpeg_quality
        self._max_bytes = max_bytes
        self._clock = clock

    def process(self, batch: Sequence[CapturedFrame]) -> Sequence[Outcome[Frame]]:
        """One outcome for each picture: its frame, or the reason why it is dropped."""
        return [self._process(captured) for captured in batch]

    def _process(self, captured: CapturedFrame) -> Outcome[Frame]:
        picture = captured.picture
        if isinstance(picture, OversizePicture):
            return Dropped(DropReason.OVERSIZE)
        if isinstance(picture, UnreadablePicture):
            return Dropped(DropReason.UNDECODABLE)
        picture = shrink(picture, self._longer_side_px)
        jpeg = encode_jpeg(picture, self._jpeg_quality)
        if len(jpeg) > self._max_bytes:
            return Dropped(DropReason.OVERSIZE)
        info = frame_info(captured, picture, self._clock())
        return Done((Frame(info=info, jpeg=jpeg),))


def frame_info(captured: CapturedFrame, picture_bgr: Bgr, published_at_s: float) -> FrameInfo:
    """The description of a frame: the place and time of `captured`, and the size of `picture_bgr`."""
    return FrameInfo(
        camera_id=captured.camera_id,
        stream_id=captured.stream_id,
        sequence=captured.sequence,
        captured_at_s=captured.captured_at_s,
        clock=captured.clock,
        published_at_s=published_at_s,
        width_px=picture_bgr.shape[1],
        height_px=picture_bgr.shape[0],
        media_time_s=captured.media_time_s,
        file=captured.file,
        mode=captured.mode,
        elapsed_s=captured.elapsed_s,
        smallest_face_px=captured.smallest_face_px,
    )
