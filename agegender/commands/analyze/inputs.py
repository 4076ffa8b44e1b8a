"""What is to be analyzed: from what stands on the command line to pictures, videos and cameras one by one."""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import BinaryIO, Literal

from agegender.services.ingest.sources import stills, video_file
from agegender.services.ingest.sources.stream import shown_path
from agegender.shared.cameras.camera import Camera, cameras_from_sources
from agegender.shared.images.sizes import claimed_size
from agegender.shared.process.secrets import mask_named

STDIN = "-"
_HEADER_BYTES = 65_536  # enough for the size in the header of a photo with a large EXIF block

Kind = Literal["picture", "video", "live", "nothing"]


@dataclass(frozen=True, slots=True)
class Input:
    """One picture, video or camera."""

    shown: str
    """As the person knows it, in valid UTF-8 and without a secret."""
    kind: Kind
    copy: PurePath
    """Where its annotated copy goes, below the folder of copies."""
    path: Path = Path()
    """Of anything but a camera."""
    camera: Camera | None = None
    """For the kind `live`."""
    problem: str | None = None
    """Why there is nothing to analyze, for the kind `nothing`."""

    @property
    def key(self) -> str:
        """The same in every run, from whichever folder it is started."""
        return self.shown if self.camera is not None else os.fspath(self.path.absolute())


def find_inputs(
    inputs: Sequence[str],
    *,
    webcam: int | None = None,
    fps: float | None = None,
    leave_out: Path | None = None,
    stdin_copy: Path | None = None,
) -> list[Input]:
    """All sources in the order of the inputs, each file once; within folders by name.

    What is missing, empty or not to be entered becomes a source of the kind `nothing` in its place. Hidden
    files and folders are left out, as is `leave_out`, where this run itself writes pictures.

    Args:
        inputs: paths of files and folders, globs, RTSP URLs, `webcam:0`, or `-` for standard input.
        webcam: a device of this machine, besides.
        fps: frames a second to take from cameras.
        leave_out: a folder not to be entered.
        stdin_copy: a file that holds what came from standard input.

    Raises:
        SettingsError: a URL is malformed; the text does not repeat its login.
    """
    names = [*inputs, *([f"webcam:{webcam}"] if webcam is not None else [])]
    found: dict[str, Input] = {}
    copies: set[str] = set()
    for name in names:
        for source in _expand(name, fps, leave_out, stdin_copy):
            if source.key not in found:
                found[source.key] = _with_own_copy(source, copies)
    return list(found.values())


def spool_stdin(folder: Path, stdin: BinaryIO | None = None) -> Path:
    """Standard input as a file in `folder`, so that a video of any length can be read."""
    path = folder / "stdin"
    with path.open("wb") as file:
        shutil.copyfileobj(stdin or sys.stdin.buffer, file)
    return path


def _expand(name: str, fps: float | None, leave_out: Path | None, stdin_copy: Path | None) -> Iterator[Input]:
    if name == STDIN and stdin_copy is not None:
        yield _file(stdin_copy, PurePath("stdin"), shown="standard input")
        return
    if "://" in name or name.lower().startswith("webcam:"):
        (camera,) = cameras_from_sources([name])
        camera = camera.model_copy(update={"fps": fps})
        shown = mask_named(camera.source)
        copy = PurePath("".join(c if c.isalnum() or c in ".-" else "-" for c in shown) + ".mp4")
        yield Input(shown, "live", copy, camera=camera)
        return
    path = Path(name)
    if _is(path.is_dir, unknown=False):
        yield from _folder(path, leave_out)
    elif _is(path.exists, unknown=True) or not glob.has_magic(name):
        yield _file(path, PurePath(path.name))
    else:
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207  (pathlib knows no absolute patterns)
        for match in map(Path, matches):
            if _is(match.is_dir, unknown=False) and "**" not in name:
                yield from _folder(match, leave_out)
            elif _is(match.is_file, unknown=True) and not _within(match, leave_out):
                yield _file(match, PurePath(match.name))
        if not matches:
            yield _nothing(path, "no file has such a name")


def _is(asked: Callable[[], bool], *, unknown: bool) -> bool:
    """The answer, or `unknown` where the name may not even be looked at: reading it will tell why."""
    try:
        return asked()
    except OSError:
        return unknown


def _folder(folder: Path, leave_out: Path | None) -> Iterator[Input]:
    troubles: list[OSError] = []
    is_empty = True
    for parent, folders, files in os.walk(folder, onerror=troubles.append):
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and not _within(Path(parent, f), leave_out)
        )
        while troubles:
            yield _trouble(troubles.pop(0))
        for name in sorted(files):
            path = Path(parent, name)
            if _kind_by_name(path) is not None and not name.startswith("."):
                is_empty = False
                yield _file(path, path.relative_to(folder))
    if troubles:
        yield from map(_trouble, troubles)
    elif is_empty:
        yield _nothing(folder, "no picture and no video in this folder")


def _trouble(error: OSError) -> Input:
    return _nothing(Path(error.filename), f"cannot be entered: {error.strerror}")


def _nothing(path: Path, problem: str) -> Input:
    return Input(shown_path(path), "nothing", PurePath(path.name), path=path, problem=problem)


def _within(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _file(path: Path, relative: PurePath, shown: str | None = None) -> Input:
    kind = _kind_by_name(path) or _kind_by_content(path)
    return Input(shown or shown_path(path), kind, _copy_name(relative, kind), path=path)


def _kind_by_name(path: Path) -> Kind | None:
    suffix = path.suffix.lower()
    if suffix in stills.PICTURE_SUFFIXES:
        return "picture"
    return "video" if suffix in video_file.VIDEO_SUFFIXES else None


def _kind_by_content(path: Path) -> Kind:
    try:
        with path.open("rb") as file:
            return "picture" if claimed_size(file.read(_HEADER_BYTES)) else "video"
    except OSError:
        return "video"  # opening it will tell what is wrong


def _copy_name(relative: PurePath, kind: Kind) -> PurePath:
    """Keeps names of formats that we write. Others get our suffix added, so that no two become one."""
    kept, added = (_KEPT_VIDEOS, ".mp4") if kind in ("video", "live") else (_KEPT_PICTURES, ".jpg")
    is_kept = relative.suffix.lower() in kept
    return relative if is_kept else relative.with_name(relative.name + added)


_KEPT_PICTURES = frozenset([".jpg", ".jpeg", ".png", ".webp"])
_KEPT_VIDEOS = frozenset([".mp4", ".m4v"])


def _with_own_copy(source: Input, taken: set[str]) -> Input:
    """Also on a disk that takes capitals and small letters for the same, as that of the copies may be."""
    copy, number = source.copy, 2
    while str(copy).casefold() in taken:
        copy = source.copy.with_name(f"{source.copy.stem}-{number}{source.copy.suffix}")
        number += 1
    taken.add(str(copy).casefold())
    return replace(source, copy=copy)
