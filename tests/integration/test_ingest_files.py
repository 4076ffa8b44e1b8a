"""Videos, folders of pictures and devices, read from real files to their end."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.services.ingest.sources.video_file import VideoFileStream
from agegender.services.ingest.sources.webcam import WebcamStream
from agegender.services.ingest.stage import IngestStage
from agegender.shared.cameras.camera import Camera
from agegender.shared.images.pictures import Bgr, UnreadablePicture, encode_jpeg
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.stage import Done, Dropped
from agegender.simulator.content.clips import write_video
from tests.support.faces import write_frames
from tests.support.taking import Taker
from tests.support.waiting import wait_until

FPS, SECONDS, SIZE_WH = 25, 2, (320, 180)


_BITS = 6


def numbered(number: int) -> Bgr:
    """A picture that tells its number: six bars, black or white, the highest bit on the left."""
    bars = [255 if number >> bit & 1 else 0 for bit in reversed(range(_BITS))]
    row = np.repeat(np.array(bars, np.uint8), SIZE_WH[0] // _BITS + 1)[: SIZE_WH[0]]
    return np.dstack([np.tile(row, (SIZE_WH[1], 1))] * 3)


def number_of(picture: Bgr | UnreadablePicture) -> int:
    assert not isinstance(picture, UnreadablePicture)
    width_px = SIZE_WH[0] // _BITS + 1
    bars = [picture[:, n * width_px + 10 : (n + 1) * width_px - 10].mean() > 127 for n in range(_BITS)]
    return int("".join("1" if bar else "0" for bar in bars), 2)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "ein Clip: ß@" / "film.mp4"
    path.parent.mkdir()
    write_video(path, (numbered(n) for n in range(FPS * SECONDS)), size_wh=SIZE_WH, fps=FPS)
    return path


def contained(clip: Path, path: Path, container_format: str, **options: str) -> Path:
    """The clip in another container; in those of Windows, in MPEG-4 Part 2, which they are made for."""
    if container_format in ("avi", "asf"):
        return encoded(path, container_format)
    with (
        av.open(f"file:{clip}") as source,
        av.open(f"file:{path}", "w", format=container_format, options=options) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path


def encoded(path: Path, container_format: str) -> Path:
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = "yuv420p"
        for number in range(FPS * SECONDS):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def camera(source: Path | str, camera_id: str = "file") -> Camera:
    return Camera.model_validate({"id": camera_id, "source": str(source)})


def read(source: Path | str, *, fps: float = 60, slow_s: float = 0.0) -> Taker:
    """Everything that a file gives."""
    with Taker([camera(source)], fps=fps, slow_s=slow_s) as taker:
        assert taker.exhausted.wait(20)
    return taker


def reasons(taker: Taker) -> list[str]:
    """What the stage makes of what was taken."""
    outcomes = IngestStage().process([one.frame for one in taker.taken])
    return [one.reason.value if isinstance(one, Dropped) else "sent" for one in outcomes]


@pytest.mark.parametrize("slow_s", [0.0, 0.02])
def test_a_slow_taker_still_gets_every_frame_of_a_video(clip: Path, slow_s: float) -> None:
    taker = read(clip, slow_s=slow_s)
    frames = [one.frame for one in taker.taken]
    assert [number_of(frame.picture) for frame in frames] == list(range(FPS * SECONDS))
    assert [frame.sequence for frame in frames] == list(range(FPS * SECONDS))
    assert [frame.media_time_s for frame in frames] == pytest.approx([n / FPS for n in range(FPS * SECONDS)])
    assert {frame.file for frame in frames} == {str(clip)}
    assert {frame.clock for frame in frames} == {"arrival"}
    assert taker.balance("file") == 0
    assert taker.metrics.total("agegender_messages_dropped_total") == 0
    assert taker.failures("file") == {}


def test_frames_not_committed_at_the_end_count_as_dropped(clip: Path) -> None:
    metrics = Metrics(CollectorRegistry())
    source = CameraSource([camera(clip)], IngestSettings(fps=60), metrics)
    source.open()
    first = source.poll(1, 5.0)
    source.commit()
    second = source.poll(1, 5.0)
    source.close()
    assert len(first) == len(second) == 1
    dropped = metrics.by_label("agegender_messages_dropped_total", "reason", camera="file")
    assert set(dropped) == {"stopped"}
    assert metrics.total("agegender_frames_captured_total", camera="file") - dropped["stopped"] == len(first)


def test_a_video_is_sampled_by_its_own_clock_and_not_by_ours(clip: Path) -> None:
    taker = read(clip, fps=5)
    assert [one.frame.media_time_s for one in taker.taken] == pytest.approx(
        [n / 5 for n in range(5 * SECONDS)]
    )
    assert [number_of(one.frame.picture) for one in taker.taken] == [5 * n for n in range(5 * SECONDS)]


def test_a_relative_path_with_a_colon_is_no_protocol(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("concat:film.mp4").symlink_to(clip)
    assert len(read("concat:film.mp4").taken) == FPS * SECONDS


@pytest.mark.parametrize("container_format", ["matroska", "mpegts", "mov", "avi", "asf", "flv", "h264"])
def test_every_container_gives_all_frames_and_their_times(
    clip: Path, tmp_path: Path, container_format: str
) -> None:
    """A bare stream (h264) tells no times: they are counted."""
    path = contained(clip, tmp_path / "copy", container_format)
    taker = read(path)
    frames = [one.frame for one in taker.taken]
    assert [number_of(frame.picture) for frame in frames] == list(range(FPS * SECONDS))
    assert [frame.media_time_s for frame in frames] == pytest.approx(
        [n / FPS for n in range(FPS * SECONDS)], abs=0.001
    )
    assert taker.failures("file") == {}


def test_a_video_with_b_frames_comes_in_order(tmp_path: Path) -> None:
    path = tmp_path / "b-frames.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"bf": "3", "preset": "veryfast"})
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = "yuv420p"
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames = [one.frame for one in read(path).taken]
    assert [number_of(frame.picture) for frame in frames] == list(range(30))
    assert [frame.media_time_s for frame in frames] == pytest.approx([n / FPS for n in range(30)])


def test_a_frame_time_of_years_ends_the_video(tmp_path: Path) -> None:
    path = tmp_path / "absurd.mkv"
    write_frames(path, [(numbered(n), 1e9 if n == 20 else n / FPS) for n in range(21)])
    taker = read(path)
    assert [number_of(one.frame.picture) for one in taker.taken] == list(range(20))
    assert taker.failures("file") == {"ended": 1}


def test_a_rotated_video_is_turned_upright_as_opencv_does(clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    # In the track header (ISO 14496-12, 8.3.2), version 0: 40 bytes behind its name begins the matrix.
    at = data.index(b"tkhd") + 44
    one = 0x10000
    quarter_turn = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 0x40000000)
    path = tmp_path / "sideways.mp4"
    path.write_bytes(data[:at] + quarter_turn + data[at + 36 :])
    capture = cv2.VideoCapture(str(path))
    ok, expected = capture.read()
    capture.release()
    assert ok
    assert expected.shape == (SIZE_WH[0], SIZE_WH[1], 3)
    picture = read(path).taken[0].frame.picture
    assert not isinstance(picture, UnreadablePicture)
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).mean() < 2


@pytest.mark.parametrize(
    ("container_format", "states_its_length"),
    [("mov", True), ("matroska", True), ("avi", True), ("asf", True), ("flv", False), ("mpegts", False)],
)
def test_a_truncated_video_gives_its_frames_up_to_the_break(
    clip: Path, tmp_path: Path, container_format: str, states_its_length: bool
) -> None:
    """A MOV has its index at the end, if it is not told otherwise: moved to the front here."""
    options = {"movflags": "faststart"} if container_format == "mov" else {}
    path = contained(clip, tmp_path / "cut", container_format, **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    taker = read(path)
    count = len(taker.taken)
    assert 5 < count < FPS * SECONDS
    assert [number_of(one.frame.picture) for one in taker.taken][: count - 1] == list(range(count - 1))
    assert taker.failures("file") == ({"ended": 1} if states_its_length else {})
    assert taker.balance("file") == 0


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("noise.mp4", np.random.default_rng(0).bytes(50_000), "not-video"),
        ("empty.mp4", b"", "not-video"),
        ("text.mp4", b"this is a text\n" * 100, "not-video"),
        ("text.txt", b"this is a text\n" * 100, "not-video"),
        ("missing.mp4", None, "not-found"),
        ("missing.jpg", None, "not-found"),
    ],
    ids=["noise", "empty", "text", "text by name", "missing video", "missing picture"],
)
def test_a_file_that_is_no_video_is_named_and_counts_as_read(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    taker = read(tmp_path / name)
    assert taker.taken == []
    assert taker.failures("file") == {reason: 1}
    assert taker.source.failures.keys() == {"file"}


def test_a_sound_file_and_a_folder_without_a_picture_are_named(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    assert read(tmp_path / "sound.wav").failures("file") == {"not-video": 1}
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no picture")
    assert read(tmp_path / "folder").failures("file") == {"not-found": 1}


def write_claiming(path: Path, width_px: int, height_px: int) -> None:
    """An uncompressed AVI is little more than a claim; its header is patched."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("rawvideo", rate=5)
        video.width, video.height, video.pix_fmt = 16, 16, "bgr24"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="bgr24")
        container.mux(video.encode(frame))
    data = bytearray(path.read_bytes())
    at = data.index(b"strf") + 12
    data[at : at + 8] = struct.pack("<ii", width_px, height_px)
    path.write_bytes(data)


def test_a_video_that_claims_256_megapixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.avi"
    write_claiming(path, 16_000, 16_000)
    started_s = time.monotonic()
    stream = VideoFileStream(str(path))
    with pytest.raises(CameraError, match="or claims more than 50000000 pixels") as error:
        next(stream.frames())
    stream.close()
    assert error.value.reason is FailureReason.NOT_VIDEO
    assert time.monotonic() - started_s < 5


def test_a_video_with_a_side_that_no_message_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.avi"
    write_claiming(path, 70_000, 16)
    with pytest.raises(CameraError, match="70000 x 16 pixels: a side is over 65535"):
        VideoFileStream(str(path))


def test_a_folder_gives_its_pictures_in_order_and_drops_bad_ones(tmp_path: Path) -> None:
    good = encode_jpeg(numbered(10), 90)
    at = good.index(b"\xff\xc0")
    oversize = good[: at + 5] + struct.pack(">HH", 30_000, 30_000) + good[at + 9 :]
    ok, png = cv2.imencode(".png", numbered(20))
    assert ok
    contents = {
        "a picture.jpg": good,
        "b.PNG": png.tobytes(),
        "c-empty.jpg": b"",
        "d-oversize.jpg": oversize,
        "e-text.jpg": b"a text in spite of its name",
        "f-truncated.jpg": good[: len(good) // 2],
        "größe/ß 漢字.jpeg": good,
        "notes.txt": b"left out",
        os.fsdecode(b"z-\xff.jpg"): good,
    }
    (tmp_path / "größe").mkdir()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    taker = read(tmp_path, fps=0.001)
    shown = [os.fsencode(tmp_path / name).decode("utf-8", "replace") for name in contents]
    shown.remove(str(tmp_path / "notes.txt"))
    assert [one.frame.file for one in taker.taken] == sorted(shown)
    assert [one.frame.sequence for one in taker.taken] == list(range(8))
    by_name = dict(zip((Path(one.frame.file or "").name for one in taker.taken), reasons(taker), strict=True))
    assert by_name == {
        "a picture.jpg": "sent",
        "b.PNG": "sent",
        "c-empty.jpg": "undecodable",
        "d-oversize.jpg": "oversize",
        "e-text.jpg": "undecodable",
        "f-truncated.jpg": "undecodable",
        "ß 漢字.jpeg": "sent",
        "z-�.jpg": "sent",
    }
    assert taker.balance("file") == 0


def test_a_single_picture_is_one_frame_without_a_time_in_a_video(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(encode_jpeg(numbered(3), 90))
    (only,) = read(tmp_path / "one.jpg").taken
    (outcome,) = IngestStage().process([only.frame])
    assert isinstance(outcome, Done)
    frame: Frame = outcome.outputs[0]
    assert (frame.info.media_time_s, frame.info.file) == (None, str(tmp_path / "one.jpg"))
    assert abs(only.age_s) < 5


def test_files_read_in_parallel_are_counted_separately(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(encode_jpeg(numbered(3), 90))
    cameras = [camera(clip, "a"), camera(clip, "b"), camera(tmp_path, "c"), camera(tmp_path / "none", "d")]
    with Taker(cameras, fps=25) as taker:
        assert taker.exhausted.wait(20)
    assert {one: len(taker.of(one)) for one in "abcd"} == {"a": 50, "b": 50, "c": 1, "d": 0}
    assert all(taker.balance(one) == 0 for one in "abcd")


def test_a_device_gives_frames_with_the_time_of_arrival(clip: Path) -> None:
    """OpenCV reads a file in the same way as a device, so a file stands in for one."""
    stream = WebcamStream(0, device=lambda _: cv2.VideoCapture(str(clip)))
    given = stream.frames()
    numbers = []
    for _ in range(FPS * SECONDS):
        frame = next(given)
        numbers.append(number_of(frame.picture()))
        assert abs(time.time() - frame.captured_at_s) < 5
        assert (frame.clock, frame.media_time_s, frame.file) == ("arrival", None, None)
    with pytest.raises(CameraError) as error:
        next(given)
    stream.close()
    assert error.value.reason is FailureReason.ENDED
    assert numbers == list(range(FPS * SECONDS))


def test_a_missing_device_is_named_and_tried_again() -> None:
    missing = "webcam:987"
    with pytest.raises(CameraError, match="no camera 987") as error:
        WebcamStream(987)
    assert error.value.reason is FailureReason.NOT_FOUND
    with Taker([camera(missing)]) as taker:
        wait_until(lambda: taker.failures("file").get("not-found", 0) >= 2, 10, "it is tried again")
    assert not taker.exhausted.is_set()


def test_the_decoder_is_not_loaded_by_what_needs_none() -> None:
    """Detect reads pictures through `agegender.shared.images.pictures`; FFmpeg is for ingest alone."""
    modules = "agegender.shared.images.pictures, agegender.shared.cameras.camera"
    code = f"import sys, {modules}; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
