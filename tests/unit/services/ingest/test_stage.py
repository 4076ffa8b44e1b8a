"""The stage of ingest: a picture in, a JPEG frame out, or the reason why not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.services.ingest.stage import MAX_JPEG_BYTES, IngestStage
from agegender.shared.images.pictures import Bgr, OversizePicture, UnreadablePicture, decode_picture
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.messages.codec import MAX_MESSAGE_BYTES
from agegender.shared.messages.pipeline import Frame
from agegender.shared.runtime.stage import Done, Dropped, DropReason

NOW_S = 1_700_000_100.0


def stage(*, longer_side_px: int = 1280, quality: int = 85, max_bytes: int = 10**6) -> IngestStage:
    return IngestStage(longer_side_px, quality, max_bytes=max_bytes, clock=lambda: NOW_S)


def captured(picture: Bgr | UnreadablePicture, sequence: int = 3) -> CapturedFrame:
    taken_s = 1_700_000_000.5
    return CapturedFrame(
        "door", "abc123", sequence, taken_s, "camera", picture, 12.5, "a file.mp4", smallest_face_px=64
    )


def noise(width_px: int, height_px: int) -> Bgr:
    return np.random.default_rng(0).integers(0, 255, (height_px, width_px, 3), np.uint8)


def only_frame(outcome: object) -> Frame:
    assert isinstance(outcome, Done)
    (frame,) = outcome.outputs
    assert isinstance(frame, Frame)
    return frame


def test_a_frame_tells_where_and_when_it_was_taken() -> None:
    (outcome,) = stage().process([captured(noise(64, 48))])
    info = only_frame(outcome).info
    assert info.frame_id == "door/abc123/3"
    assert (info.captured_at_s, info.published_at_s, info.clock) == (1_700_000_000.5, NOW_S, "camera")
    assert (info.width_px, info.height_px) == (64, 48)
    assert (info.media_time_s, info.file, info.smallest_face_px) == (12.5, "a file.mp4", 64)


@pytest.mark.parametrize(
    ("size_wh", "expected_wh"),
    [
        ((1280, 720), (640, 360)),
        ((720, 1280), (360, 640)),
        ((640, 480), (640, 480)),
        ((20, 10), (20, 10)),
        ((1, 1), (1, 1)),
        ((3000, 2), (640, 1)),
    ],
)
def test_a_large_picture_is_shrunk_in_proportion(
    size_wh: tuple[int, int], expected_wh: tuple[int, int]
) -> None:
    (outcome,) = stage(longer_side_px=640).process([captured(noise(*size_wh))])
    frame = only_frame(outcome)
    assert (frame.info.width_px, frame.info.height_px) == expected_wh
    assert decode_picture(frame.jpeg).shape == (expected_wh[1], expected_wh[0], 3)


def test_the_jpeg_shows_the_picture() -> None:
    smooth = cv2.GaussianBlur(noise(320, 240), (0, 0), 8)
    (outcome,) = stage().process([captured(np.asarray(smooth, np.uint8))])
    assert np.abs(decode_picture(only_frame(outcome).jpeg).astype(int) - smooth).mean() < 2


def test_only_a_jpeg_larger_than_a_message_is_dropped() -> None:
    pictures = [noise(400, 300), np.zeros((300, 400, 3), np.uint8)]
    first, second = stage(max_bytes=20_000).process([captured(one) for one in pictures])
    assert first == Dropped(DropReason.OVERSIZE)
    assert len(only_frame(second).jpeg) <= 20_000


def test_an_unreadable_picture_is_dropped_with_its_reason() -> None:
    outcomes = stage().process(
        [
            captured(UnreadablePicture("no picture"), 0),
            captured(noise(8, 8), 1),
            captured(OversizePicture("too many pixels"), 2),
        ]
    )
    assert outcomes[0] == Dropped(DropReason.UNDECODABLE)
    assert only_frame(outcomes[1]).info.sequence == 1
    assert outcomes[2] == Dropped(DropReason.OVERSIZE)
    assert stage().process([]) == []


def test_the_largest_jpeg_and_path_fit_into_a_message() -> None:
    (outcome,) = stage().process([captured(noise(8, 8), sequence=10**12)])
    info = only_frame(outcome).info.model_copy(update={"camera_id": "c" * 64, "file": "/" + "\x01" * 4_095})
    encoded = FRAMES.codec.encode(Frame(info=info, jpeg=bytes(MAX_JPEG_BYTES)))
    assert encoded.size_bytes <= MAX_MESSAGE_BYTES
