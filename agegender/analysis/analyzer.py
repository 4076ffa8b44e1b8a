"""Age and gender of the faces in pictures and videos, from Python."""

from __future__ import annotations

import contextlib
import math
import os
import time
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from agegender.analysis.ordered import in_order
from agegender.analysis.people import Analyzed, People, Person
from agegender.analysis.pictures import Colour, PictureLike, as_bgr, check_colour, is_one_picture, pages_of
from agegender.analysis.stages import StagePool, StageSet
from agegender.analysis.video_frames import FileFrames, VideoFrame
from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.config import DetectSettings
from agegender.services.ingest.sources.stream import CameraError, CapturedFrame, shown_path
from agegender.services.ingest.stage import frame_info
from agegender.shared.errors import AgeGenderError
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.messages.pipeline import Result

DEFAULT_FPS = 5.0
# A message must name a camera and a stream. A picture comes from neither, and no output shows these.
_CAMERA_ID = "analyze"


class Unreadable(AgeGenderError):
    """Something that was to be analyzed is missing, broken, too large, or of an unknown kind."""


@dataclass(frozen=True, slots=True)
class VideoAnalysis:
    """What was found in a video."""

    frames: tuple[Analyzed, ...]
    """The frames that were analyzed, in order, also those without a face."""
    people: tuple[Person, ...]
    """All people who were seen in at least three frames."""
    undecoded: int = 0
    """Frames that could not be decoded, because the file is damaged."""


@dataclass(frozen=True, slots=True)
class AnalyzedFrame:
    """One frame on its way from the analysis to the screen or to a file."""

    moment: VideoFrame
    picture_bgr: Bgr | None
    """None if it was not wanted, or cannot be converted."""
    found: Analyzed | None
    """None for a frame that was not due, or that cannot be converted."""


class Analyzer:
    """Finds faces and classifies them, with the stages of the pipeline.

    Frames of videos are searched shrunk to `detect.longer_side_px`. Pictures are searched at up to three
    sizes, and turned if they lie on their side. Each face is cut and classified at its own resolution.

    Loads the nets once. Safe to use from several threads: as many calls work at once as there are workers,
    and the others wait. OpenCV is set to one thread for the whole process, because several pictures at once
    with one thread each are faster than one picture with several.

    Args:
        workers: how many pictures are worked on at the same time; None for one for each core that this
            process may use.
        detect: how faces are searched; None for the settings of the environment (`DETECT_...`).
        classify: where the nets run; None for the settings of the environment (`CLASSIFY_...`).

    Raises:
        AgeGenderError: a setting is wrong, or weights are missing or damaged.
        ValueError: less than one worker.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        detect: DetectSettings | None = None,
        classify: ClassifySettings | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"expected one worker or more, got {workers}")
        self.workers = workers or _cores()
        detecting = detect or DetectSettings.load()
        classifying = classify or ClassifySettings.load()
        self._build = partial(StageSet.build, detecting, classifying)
        self._own_pools()
        self._stages.warm_up()
        _open_analyzers.add(self)

    def _own_pools(self) -> None:
        """Makes the pools of this process. Threads start and nets are loaded when they are needed."""
        self._stages = StagePool(self._build, self.workers)
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="analyze")

    def renew_after_fork(self) -> None:
        """Replaces the pools in a forked child. The threads of its parent do not exist here."""
        # Kept, because nets that end would wait for threads that do not exist.
        _inherited.append((self._stages, self._threads))
        self._own_pools()

    def analyze_image(self, picture: PictureLike, *, colour: Colour = "bgr") -> list[Result]:
        """The faces of one picture, from left to right; none where there is no face.

        Those of all pages of a TIFF, page after page; `face.frame.sequence` is the page, from 0. An animation
        is a video: `analyze_video` reads all of it, and this function refuses it with that advice.

        Args:
            picture: a path, a picture file as bytes or as an open binary file, an image of Pillow, or an
                array: grey, colour or colour with alpha, uint8 or uint16.
            colour: the order of an array's colours: `bgr` as OpenCV has it, or `rgb`.

        Raises:
            Unreadable: the file or the bytes cannot be read; the text says why.
            ValueError: an array of another shape or type.
            TypeError: no picture.
        """
        pages = range(pages_of(picture))
        return [face for page in pages for face in self._faces_of(picture, colour, page)]

    def _faces_of(self, picture: PictureLike, colour: Colour, page: int) -> tuple[Result, ...]:
        return self.look_at(picture, colour=colour, number=page, page=page)[1].faces

    def analyze_images(
        self, pictures: Iterable[PictureLike], *, colour: Colour = "bgr"
    ) -> Iterator[list[Result] | Unreadable]:
        """The faces of each of many pictures, in their order, on all workers at once.

        For a picture that cannot be read, or is none, the result is an `Unreadable` that says why. Pictures
        are taken from the iterable when they are needed, so a generator may give any number of them.

        Raises:
            TypeError: `pictures` is one picture, or no iterable.
        """
        check_colour(colour)
        if is_one_picture(pictures):
            raise TypeError(
                f"expected several pictures, got one ({type(pictures).__name__}): use analyze_image, "
                "or put it into a list"
            )

        def work(picture: PictureLike) -> list[Result] | Unreadable:
            try:
                return self.analyze_image(picture, colour=colour)
            except Unreadable as error:
                return error
            except (TypeError, ValueError) as error:
                return Unreadable(str(error))

        return in_order(self._threads, work, iter(pictures), 2 * self.workers)

    def analyze_video(
        self, path: str | os.PathLike[str], *, fps: float | None = DEFAULT_FPS
    ) -> VideoAnalysis:
        """The faces and the people of a video file.

        Args:
            path: the file.
            fps: frames a second to analyze; None for every frame.

        Raises:
            Unreadable: the file is missing, holds no video, or breaks off; the text says where.
            ValueError: `fps` is not over 0.
        """
        people = People()
        frames: list[Analyzed] = []
        with _opened(path, fps) as moments:
            for found in self._analyzed_frames(moments):
                people.add(found)
                frames += people.ready()
            undecoded = moments.undecoded
        frames += people.finish()
        return VideoAnalysis(tuple(frames), tuple(people.persons()), undecoded)

    def analyze_frames(
        self, path: str | os.PathLike[str], *, fps: float | None = DEFAULT_FPS
    ) -> Iterator[Analyzed]:
        """The same frame by frame, as they are done, for videos too long to keep; people are not told apart.

        Raises:
            Unreadable: as `analyze_video`, after the frames that could be read.
            ValueError: `fps` is not over 0.
        """
        check_fps(fps)

        def frames() -> Iterator[Analyzed]:
            with _opened(path, fps) as moments:
                yield from self._analyzed_frames(moments)

        return frames()

    def _analyzed_frames(self, moments: FileFrames) -> Iterator[Analyzed]:
        for seen in self.watch(moment for moment in moments if moment.due):
            if seen.found is not None:
                yield seen.found

    def look_at(
        self, picture: PictureLike, *, colour: Colour = "bgr", number: int = 0, page: int = 0
    ) -> tuple[Bgr, Analyzed]:
        """A picture's pixels and what was found in them; raises as `analyze_image`.

        Args:
            picture: as for `analyze_image`.
            colour: the same.
            number: becomes the frame's number, `face.frame.sequence`.
            page: of a TIFF file, from 0.
        """
        file = shown_path(picture) if isinstance(picture, str | os.PathLike) else None
        try:
            picture_bgr = as_bgr(picture, colour, page)
        except UnreadablePicture as error:
            raise Unreadable(str(error) if file is None else f"{file}: {error}") from None
        captured = CapturedFrame(_CAMERA_ID, "0", number, time.time(), "arrival", picture_bgr, file=file)
        info = frame_info(captured, picture_bgr, time.time())
        with self._stages.lent() as stages:
            return picture_bgr, stages.still(picture_bgr, info)

    def watch(self, moments: Iterable[VideoFrame], *, keep_pictures: bool = False) -> Iterator[AnalyzedFrame]:
        """Each moment with what was found in it, in order, on all workers; raises what `moments` raise.

        Args:
            moments: the frames of one video or camera.
            keep_pictures: whether the pixels are wanted too.
        """

        def work(moment: VideoFrame) -> AnalyzedFrame:
            if not (moment.due or keep_pictures):
                return AnalyzedFrame(moment, None, None)
            try:
                picture_bgr = moment.picture()
            except UnreadablePicture:
                return AnalyzedFrame(moment, None, None)
            kept = picture_bgr if keep_pictures else None
            if not moment.due:
                return AnalyzedFrame(moment, kept, None)
            info = moment.info(picture_bgr, _CAMERA_ID)
            with self._stages.lent() as stages:
                return AnalyzedFrame(moment, kept, stages.frame(picture_bgr, info, moment.time_s))

        return in_order(self._threads, work, moments, self.workers + 1)

    @property
    def threads(self) -> ThreadPoolExecutor:
        """The threads that do the work, for work around it."""
        return self._threads

    def close(self) -> None:
        """Ends the threads; what they have begun is finished."""
        _open_analyzers.discard(self)
        self._threads.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_fps(fps: float | None) -> None:
    """Raises ValueError if `fps` is no frame rate."""
    if fps is not None and not 0 < fps < math.inf:
        raise ValueError(f"expected fps over 0, or None for every frame, got {fps}")


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str], fps: float | None) -> Iterator[FileFrames]:
    check_fps(fps)
    try:
        with contextlib.closing(FileFrames(Path(path), fps)) as moments:
            yield moments
    except CameraError as error:
        raise Unreadable(f"{shown_path(path)}: {error}") from None


_open_analyzers: weakref.WeakSet[Analyzer] = weakref.WeakSet()
_inherited: list[tuple[StagePool, ThreadPoolExecutor]] = []


def _renew_all_after_fork() -> None:
    for analyzer in list(_open_analyzers):
        analyzer.renew_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all_after_fork)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
