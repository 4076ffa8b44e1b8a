"""A video is read as a player shows it: the right stream, upright, with square pixels, time going forward."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from age_gender_detection import Analyzer
from agegender.commands.cameras.probing import probe
from agegender.services.ingest.sources.video_file import VideoFileStream
from agegender.shared.cameras.camera import Camera
from agegender.shared.images.pictures import Bgr
from agegender.shared.images.tone_mapping import Transfer
from tests.support.faces import astronaut, write_frames
from tests.support.hdr import write_hdr_clip

UNIT = 65_536
# By the orientation of EXIF: the signs of a, b, c and d that show the picture as EXIF's number does.
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def corners() -> Bgr:
    """Four quarters of different brightness, so that each way to turn it differs."""
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:32, :64], picture[:32, 64:], picture[32:, :64], picture[32:, 64:] = 0, 80, 160, 240
    return picture


def first_frame(path: Path) -> Bgr:
    stream = VideoFileStream(str(path))
    try:
        return next(stream.frames()).picture()
    finally:
        stream.close()


def with_matrix(path: Path, signs: tuple[int, int, int, int], size_wh: tuple[int, int]) -> None:
    a, b, c, d = (UNIT * sign for sign in signs)
    plain = struct.pack(">9i", UNIT, 0, 0, 0, UNIT, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", a, b, 0, c, d, 0, size_wh[0] * UNIT, size_wh[1] * UNIT, 1 << 30)
    data = path.read_bytes()
    at = data.index(plain, data.index(b"tkhd"))  # ISO/IEC 14496-12, section 8.3.2
    path.write_bytes(data[:at] + turned + data[at + len(turned) :])


def put_the_cover_first(path: Path) -> None:
    """Moves the box of the cover before that of the track, which changes no offset."""
    data = path.read_bytes()
    moov = data.index(b"moov") - 4
    end = moov + int.from_bytes(data[moov : moov + 4], "big")
    boxes, at = [], moov + 8
    while at < end:
        size = int.from_bytes(data[at : at + 4], "big")
        boxes.append(data[at : at + size])
        at += size
    boxes.sort(key=lambda box: (b"mvhd", b"udta", b"trak").index(box[4:8]))
    path.write_bytes(data[: moov + 8] + b"".join(boxes) + data[end:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_display_matrix_shows_the_picture_upright(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "turned.mov"
    write_frames(path, [(corners(), 0.0)])
    with_matrix(path, MATRICES[orientation], (128, 64))
    jpeg = tmp_path / "same.jpg"
    ok, data = cv2.imencode(".jpg", corners())
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    jpeg.write_bytes(data.tobytes()[:2] + block + data.tobytes()[2:])
    expected = cv2.imread(str(jpeg))
    shown = first_frame(path)
    assert ok
    assert expected is not None
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("aspect", [Fraction(64, 45), Fraction(45, 64)])
def test_pixels_that_are_not_square_are_stretched(tmp_path: Path, aspect: Fraction) -> None:
    path = tmp_path / "anamorphic.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.codec_context.sample_aspect_ratio = aspect
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), format="bgr24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    height_px, width_px = first_frame(path).shape[:2]
    assert (width_px, height_px) == ((455, 240) if aspect > 1 else (320, 341))


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_a_video_of_high_dynamic_range_looks_as_a_usual_one(tmp_path: Path, transfer: Transfer) -> None:
    path = tmp_path / "hdr.mp4"
    write_hdr_clip(path, astronaut(), transfer)
    with av.open(str(path)) as written:
        usual = next(written.decode(video=0)).to_ndarray(format="bgr24")
    shown = first_frame(path)
    assert np.abs(shown.astype(int) - astronaut()).mean() < 5
    assert np.abs(usual.astype(int) - astronaut()).mean() > 15, "without tone mapping"
    control = tmp_path / "usual.mp4"
    write_frames(control, [(astronaut(), 0.0)])
    with Analyzer(workers=1) as analyzer:
        (of_hdr,), (of_control,) = (analyzer.analyze_image(one) for one in (shown, first_frame(control)))
    assert of_hdr.age_years == pytest.approx(of_control.age_years, abs=3)
    assert of_hdr.gender == of_control.gender == "female"


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "covered.mp4"
    cover = cv2.imencode(".jpg", np.zeros((90, 160, 3), np.uint8))[1].tobytes()
    with av.open(str(path), "w") as container:
        attached = container.add_stream("mjpeg")
        attached.width, attached.height, attached.pix_fmt = 160, 90, "yuvj420p"
        attached.disposition = Disposition.attached_pic
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 512, 512, "yuv420p"
        packet = av.Packet(cover)
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = attached, 0, 0, True
        container.mux(packet)
        for _ in range(6):
            container.mux(video.encode(av.VideoFrame.from_ndarray(astronaut(), format="bgr24")))
        container.mux(video.encode(None))
    put_the_cover_first(path)
    with av.open(str(path)) as written:
        assert written.streams[0].disposition & Disposition.attached_pic
    assert first_frame(path).shape == (512, 512, 3)
    found = probe(Camera(id="file", source=str(path)), 2)
    assert (found.width_px, found.codec) == (512, "h264")


def test_the_track_marked_as_default_is_read(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for side_px, marked in ((64, 0), (128, Disposition.default)):
            video = container.add_stream("libx264", rate=10)
            video.width, video.height, video.pix_fmt = side_px, side_px, "yuv420p"
            video.disposition = Disposition(marked)
            streams.append(video)
        for video in streams:
            for _ in range(3):
                frame = av.VideoFrame.from_ndarray(
                    np.zeros((video.height, video.width, 3), np.uint8), format="bgr24"
                )
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
    assert first_frame(path).shape == (128, 128, 3)


def test_joined_recordings_are_one_video(tmp_path: Path) -> None:
    one = tmp_path / "one.ts"
    write_frames(one, [(astronaut(), number / 10) for number in range(12)])
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() * 2)
    with Analyzer(workers=1) as analyzer:
        found = analyzer.analyze_video(joined, fps=None)
    times_s = [frame.time_s for frame in found.frames]
    assert len(times_s) == 24
    assert times_s == sorted(set(times_s))
    (person,) = found.people
    assert person.first_s == 0
    assert person.last_s == pytest.approx(2.3, abs=0.15)
