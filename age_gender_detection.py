"""Age and gender of the faces in pictures, videos and webcams, on this machine.

    python age_gender_detection.py photo.jpg holiday/ clip.mp4
    python age_gender_detection.py --json --output faces.jsonl holiday/
    python age_gender_detection.py --annotate copies --blur clip.mp4
    python age_gender_detection.py --help

From Python:

    from age_gender_detection import analyze_image
    for result in analyze_image("photo.jpg"):
        print(result.age_years, result.age_interval_years, result.gender, result.face.box_xyxy)

The stages are those of the pipeline, so a picture gets the same answer here as in the frame of a camera.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterable, Iterator

from agegender.commands.packages import end_for_missing

try:
    import typer

    from agegender.analysis.analyzer import DEFAULT_FPS, Analyzer, Unreadable, VideoAnalysis
    from agegender.analysis.people import Analyzed, Person
    from agegender.analysis.pictures import Colour, PictureLike
    from agegender.commands.analyze.command import app
    from agegender.shared.errors import EXIT_BAD_SETTINGS, AgeGenderError
    from agegender.shared.messages.pipeline import Result
except ModuleNotFoundError as error:
    if __name__ == "__main__":
        end_for_missing(error)
    raise

__all__ = [
    "Analyzed",
    "Analyzer",
    "Person",
    "Result",
    "Unreadable",
    "VideoAnalysis",
    "analyze_image",
    "analyze_images",
    "analyze_video",
]

_making_analyzer = threading.Lock()


def analyze_image(picture: PictureLike, *, colour: Colour = "bgr") -> list[Result]:
    """The faces of one picture, from left to right; an empty list if there is no face.

    Boxes and landmarks are in pixels of the picture, turned upright by its EXIF. The nets are loaded by the
    first call and kept; the function is thread-safe.

    Args:
        picture: a path, a picture file as bytes or as an open binary file, an image of Pillow, or a NumPy
            array: (height, width) grey, (height, width, 3) colour or (height, width, 4) with alpha last,
            uint8 or uint16.
        colour: the order of an array's colours: `bgr` as in OpenCV, or `rgb` as in Pillow.

    Raises:
        Unreadable: the file or the bytes cannot be read; the text says why.
        ValueError: an array of another shape or type.
        TypeError: no picture.
    """
    return _analyzer().analyze_image(picture, colour=colour)


def analyze_images(
    pictures: Iterable[PictureLike], *, colour: Colour = "bgr"
) -> Iterator[list[Result] | Unreadable]:
    """The faces of each of many pictures, in their order, on all cores at once.

    For a picture that cannot be read, or is none, the result is an `Unreadable` that says why. Pictures are
    taken from the iterable when they are needed, so a generator may give any number of them.

    Raises:
        TypeError: `pictures` is one picture, or no iterable.
    """
    return _analyzer().analyze_images(pictures, colour=colour)


def analyze_video(path: str | os.PathLike[str], *, fps: float | None = DEFAULT_FPS) -> VideoAnalysis:
    """The faces and the people of a video file, on all cores.

    Args:
        path: the file; anything that FFmpeg decodes.
        fps: frames a second to analyze; None for every frame.

    Raises:
        Unreadable: the file is missing, holds no video, or breaks off; the text says where.
        ValueError: `fps` is not over 0.
    """
    return _analyzer().analyze_video(path, fps=fps)


def _analyzer() -> Analyzer:
    with _making_analyzer:
        return _the_analyzer()


@functools.cache
def _the_analyzer() -> Analyzer:
    return Analyzer()


def _free_the_lock() -> None:
    """A thread of the parent may have held it. That thread does not exist in the child."""
    global _making_analyzer
    _making_analyzer = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_free_the_lock)


def main() -> None:
    """The entry point: exit status 0, 1 when an input could not be read, 2 when the usage is wrong."""
    try:
        app()
    except ModuleNotFoundError as error:
        end_for_missing(error)
        raise
    except AgeGenderError as error:
        typer.echo(f"agegender: {error}", err=True)
        sys.exit(EXIT_BAD_SETTINGS)


if __name__ == "__main__":
    main()
