"""Videos: the people in them, and the annotated copies."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from age_gender_detection import Analyzed, Analyzer, Unreadable, VideoAnalysis
from agegender.commands.analyze.writing import CannotWrite, VideoWriter
from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.images.pictures import Bgr
from agegender.shared.models import weights
from agegender.simulator.content.samples import Samples
from tests.support.analyzing import run_analyze
from tests.support.faces import astronaut, fetched_samples, half_hidden, no_face, portraits, write_frames


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer(workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def samples() -> Samples:
    return fetched_samples()


def counts(analysis: VideoAnalysis, start_s: float, end_s: float) -> set[int]:
    return {len(one.faces) for one in analysis.frames if start_s <= one.time_s < end_s}


@pytest.mark.parametrize(
    ("name", "moments", "people"),
    [
        ("single_face_video", [(0.0, 2.4, 1)], 1),
        ("face_then_no_face_video", [(0.0, 2.38, 1), (2.4, 6.4, 0)], 1),
        ("no_face_then_face_video", [(0.0, 3.94, 0), (3.96, 6.33, 1)], 1),
        ("no_face_video", [(0.0, 3.9, 0)], 0),
    ],
)
def test_the_right_number_of_people_is_there_at_every_moment(
    analyzer: Analyzer, samples: Samples, name: str, moments: list[tuple[float, float, int]], people: int
) -> None:
    analysis = analyzer.analyze_video(getattr(samples, name), fps=6)
    for start_s, end_s, expected in moments:
        assert counts(analysis, start_s, end_s) == {expected}
    assert len(analysis.people) == people
    tracks = {result.face.track_id for frame in analysis.frames for result in frame.faces}
    assert tracks == {str(number) for number in range(1, people + 1)}


def test_the_people_of_the_samples_are_one_each_all_along(analyzer: Analyzer, samples: Samples) -> None:
    analysis = analyzer.analyze_video(samples.woman_video, fps=3)
    assert counts(analysis, 0.0, 19.7) == {1}
    (woman,) = analysis.people
    assert (woman.gender, woman.faces, woman.first_s, woman.last_s > 19) == ("female", 59, 0.0, True)
    (man,) = analyzer.analyze_video(samples.single_face_video).people
    assert man.gender == "male"


def test_frames_tell_their_number_and_their_time(analyzer: Analyzer, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_frames(path, [(portraits(1), index / 25) for index in range(25)])
    analysis = analyzer.analyze_video(path, fps=5)
    assert [one.info.sequence for one in analysis.frames] == [0, 5, 10, 15, 20]
    assert [round(one.time_s, 2) for one in analysis.frames] == [0.0, 0.2, 0.4, 0.6, 0.8]


def test_a_video_of_uneven_frame_times_keeps_them(analyzer: Analyzer, tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.5, 0.54, 1.5, 1.54, 1.58, 3.0]
    path = tmp_path / "uneven.mp4"
    write_frames(path, [(portraits(1), time_s) for time_s in times])
    every = analyzer.analyze_video(path, fps=None)
    assert [round(one.time_s, 2) for one in every.frames] == times
    assert [person.faces for person in every.people] == [len(times)]
    some = analyzer.analyze_video(path, fps=2)
    assert {0.0, 0.5, 1.5, 3.0} <= {round(one.time_s, 2) for one in some.frames}
    assert len(some.frames) <= 5


def test_a_truncated_video_gives_its_frames_and_its_end(analyzer: Analyzer, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    rng = np.random.default_rng(0)
    grain = [rng.integers(0, 60, (256, 512, 3), np.uint8) for _ in range(50)]
    write_frames(
        whole, [(np.asarray(cv2.add(portraits(2), g), np.uint8), i / 25) for i, g in enumerate(grain)]
    )
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    frames: list[Analyzed] = []
    with pytest.raises(Unreadable, match=r"cut\.mkv: broken after [01]\.\d s"):
        frames.extend(analyzer.analyze_frames(cut, fps=None))
    assert 10 < len(frames) < 50
    assert {len(one.faces) for one in frames} == {2}
    headless = tmp_path / "cut.mp4"
    write_frames(tmp_path / "whole.mp4", [(portraits(1), i / 25) for i in range(10)])
    headless.write_bytes((tmp_path / "whole.mp4").read_bytes()[:-500])
    with pytest.raises(Unreadable, match=r"cut\.mp4: it holds no video that can be decoded"):
        analyzer.analyze_video(headless)


@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4"])
def test_what_is_no_video_is_refused_with_its_name(analyzer: Analyzer, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    with pytest.raises(Unreadable, match=name):
        analyzer.analyze_video(tmp_path / name)


def decoded(path: Path) -> tuple[av.video.stream.VideoStream, list[Bgr], list[float]]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = list(container.decode(video))
        pictures = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in frames]
        return video, pictures, [float(frame.time or 0) for frame in frames]


def test_an_annotated_video_is_one_that_browsers_play(tmp_path: Path) -> None:
    source, copies = tmp_path / "Über uns.mov", tmp_path / "copies"
    picture = np.asarray(cv2.resize(astronaut(), (401, 351)), np.uint8)
    write_frames(source, [(picture[:350, :400], index / 30) for index in range(30)])
    done = run_analyze(source, "--annotate", copies)
    assert done.returncode == 0, done.stderr
    assert "no sound" in done.stderr
    copy = copies / "Über uns.mov.mp4"
    video, pictures, times = decoded(copy)
    assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert (video.width, video.height) == (400, 350)
    assert len(pictures) == 30
    assert times == pytest.approx([index / 30 for index in range(30)], abs=1e-3)
    data = copy.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "it cannot begin before it is loaded whole"
    # A label was drawn: white letters on a dark plate, where the picture has neither.
    assert np.abs(pictures[20].astype(int) - picture[:350, :400]).max() > 150


@pytest.mark.parametrize("fps", [Fraction(24_000, 1_001), Fraction(25), Fraction(30_000, 1_001)])
def test_a_written_video_has_the_frame_rate_and_an_even_size(tmp_path: Path, fps: Fraction) -> None:
    path = tmp_path / "odd.mp4"
    writer = VideoWriter(path, fps, 1 / fps)
    for index in range(20):
        writer.add(no_face(321, 181), float(index / fps))
    writer.add(no_face(100, 100), float(20 / fps))
    assert not path.exists()
    writer.close()
    video, pictures, _ = decoded(path)
    assert video.average_rate == fps
    assert {picture.shape for picture in pictures} == {(182, 322, 3)}
    assert list(tmp_path.iterdir()) == [path]
    assert np.abs(pictures[5][:180, :320].astype(int) - no_face(321, 181)[:180, :320]).mean() < 4


def test_a_failed_video_copy_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    writer = VideoWriter(tmp_path / "file" / "clip.mp4", Fraction(25), Fraction(1, 25))
    with pytest.raises(CannotWrite, match=r"cannot write .*clip\.mp4"):
        writer.add(no_face(), 0.0)
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_blurred_copies_show_no_face(tmp_path: Path) -> None:
    source, copies = tmp_path / "clip.mp4", tmp_path / "copies"
    write_frames(source, [(portraits(2), index / 25) for index in range(12)])
    done = run_analyze(source, "--annotate", copies, "--blur", "--no-labels")
    assert done.returncode == 0, done.stderr
    _, pictures, times = decoded(copies / "clip.mp4")
    assert times == pytest.approx([index / 25 for index in range(12)], abs=1e-3)
    detector = YuNet(weights("yunet"), min_score=0.5)
    assert [detector.detect(picture) for picture in pictures] == [[]] * 12


@pytest.mark.parametrize("name", ["still.png", "clip.mp4"])
def test_a_doubtful_face_is_anonymized_and_gets_no_row(tmp_path: Path, name: str) -> None:
    source, copy = tmp_path / name, tmp_path / "copies" / name
    if name == "still.png":
        cv2.imwrite(str(source), half_hidden())
    else:
        write_frames(source, [(half_hidden(), index / 25) for index in range(12)])
    done = run_analyze(source, "--annotate", copy.parent, "--blur", "--json")
    assert done.returncode == 0, done.stderr
    assert '"record": "face"' not in done.stdout
    pictures = [np.asarray(cv2.imread(str(copy)), np.uint8)] if copy.suffix == ".png" else decoded(copy)[1]
    assert _edge_at_the_eyes(half_hidden()) > 60
    assert max(map(_edge_at_the_eyes, pictures)) < 15


def _edge_at_the_eyes(picture: Bgr) -> int:
    grey = cv2.cvtColor(picture[78:100, 185:262], cv2.COLOR_BGR2GRAY).astype(int)
    return int(np.abs(np.diff(grey, axis=0)).max())
