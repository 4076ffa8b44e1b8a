"""What is to be analyzed: from what stands on the command line to pictures, videos and cameras one by one."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Literal

from agegender.commands.analyze.spool import Spool
from agegender.services.ingest.sources.kinds import FileKind, kind_by_suffix, kind_of
from agegender.services.ingest.sources.stills import page_count
from agegender.services.ingest.sources.stream import shown_path
from agegender.shared.cameras.camera import Camera, cameras_from_sources
from agegender.shared.process.secrets import mask_named

STDIN = "-"

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
    page: int = 0
    """Of a TIFF, from 0."""
    problem: str | None = None
    """Why there is nothing to analyze, for the kind `nothing`."""

    @property
    def key(self) -> str:
        """The same in every run, from whichever folder it is started."""
        if self.camera is not None:
            return self.shown
        path = os.fspath(self.path.absolute())
        return f"{path}, page {self.page + 1}" if self.page else path


class SkipReason(StrEnum):
    """Why a file of a folder is not analyzed."""

    UNKNOWN = "unknown kind"
    """Neither a picture nor a video, by its content."""
    LINK = "link"
    """A link to a folder, or to nothing."""
    SPECIAL = "FIFO or device"
    HIDDEN = "hidden"
    """Its name begins with a dot; also a folder."""

    def counted(self, count: int) -> str:
        """Such as `2 unknown kinds`."""
        plurals = {
            SkipReason.UNKNOWN: "unknown kinds",
            SkipReason.LINK: "links",
            SkipReason.SPECIAL: "FIFOs or devices",
            SkipReason.HIDDEN: "hidden",
        }
        return f"{count} {self.value if count == 1 else plurals[self]}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not analyzed."""

    shown: str
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class FoundInputs:
    """What the inputs are made of."""

    sources: list[Input]
    skipped: list[Skipped]


def find_inputs(
    inputs: Sequence[str],
    *,
    webcam: int | None = None,
    fps: float | None = None,
    leave_out: Path | None = None,
    spool: Spool | None = None,
) -> FoundInputs:
    """All sources in the order of the inputs, each file once; within folders by name.

    Files are told apart by their content. What is missing, empty or not to be entered becomes a source of the
    kind `nothing` in its place. Files of a folder that are no picture and no video are skipped, as are hidden
    files and links to folders. `leave_out` is not entered, because this run itself writes pictures there.

    Args:
        inputs: paths of files and folders, globs, RTSP URLs, `webcam:0`, or `-` for standard input.
        webcam: a device of this machine, besides.
        fps: frames a second to take from cameras.
        leave_out: a folder not to be entered.
        spool: copies standard input and FIFOs; None: they are not read.

    Raises:
        SettingsError: a URL is malformed; the text does not repeat its login.
        SpoolStopped: the user asked for an end.
    """
    names = [*inputs, *([f"webcam:{webcam}"] if webcam is not None else [])]
    finder = _Finder(fps, leave_out, spool)
    found: dict[str, Input] = {}
    copies: set[str] = set()
    for name in names:
        for source in finder.expand(name):
            if source.key not in found:
                found[source.key] = _with_own_copy(source, copies)
    return FoundInputs(list(found.values()), list(dict.fromkeys(finder.skipped)))


class _Finder:
    """Expands one input after the other, and notes what is skipped."""

    def __init__(self, fps: float | None, leave_out: Path | None, spool: Spool | None) -> None:
        self._fps = fps
        self._leave_out = leave_out
        self._spool = spool
        self.skipped: list[Skipped] = []

    def expand(self, name: str) -> Iterator[Input]:
        """The sources of one input."""
        if name == STDIN and self._spool is not None:
            yield from _of_file(self._spool.stdin(), PurePath("stdin"), "standard input")
            return
        if "://" in name or name.lower().startswith("webcam:"):
            yield _camera(name, self._fps)
            return
        path = Path(name)
        if _is(path.is_dir, unknown=False):
            yield from self._folder(path)
        elif _is(path.exists, unknown=True) or not glob.has_magic(name):
            yield from self._named(path)
        else:
            # pathlib knows no absolute patterns
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
            for match in map(Path, matches):
                yield from self._match(match, has_folders="**" not in name)
            if not matches:
                yield _nothing(path, "no file has such a name")

    def _match(self, path: Path, *, has_folders: bool) -> Iterator[Input]:
        if _is(path.is_dir, unknown=False):
            if has_folders:
                yield from self._folder(path)
        elif not _is(path.is_file, unknown=True) and _is(path.exists, unknown=False):
            self._skip(path, SkipReason.SPECIAL)
        elif not _within(path, self._leave_out):
            yield from _of_file(path, PurePath(path.name))

    def _named(self, path: Path) -> Iterator[Input]:
        try:
            mode = path.stat().st_mode
        except OSError:
            mode = stat.S_IFREG  # reading it will tell why
        if self._spool is not None and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            yield from _of_file(self._spool.pipe(path), PurePath(path.name), shown_path(path))
        elif stat.S_ISREG(mode):
            yield from _of_file(path, PurePath(path.name))
        else:
            yield _nothing(path, "a device or socket, no file")

    def _folder(self, folder: Path) -> Iterator[Input]:
        troubles: list[OSError] = []
        is_empty = True
        for parent, folders, files in os.walk(folder, onerror=troubles.append):
            folders[:] = sorted(one for one in folders if self._is_entered(Path(parent, one)))
            while troubles:
                yield _trouble(troubles.pop(0))
            for name in sorted(files):
                path = Path(parent, name)
                for source in self._in_folder(path, path.relative_to(folder)):
                    is_empty = False
                    yield source
        if troubles:
            yield from map(_trouble, troubles)
        elif is_empty:
            yield _nothing(folder, "no picture and no video in this folder")

    def _is_entered(self, folder: Path) -> bool:
        if _within(folder, self._leave_out):
            return False
        if folder.name.startswith("."):
            self._skip(folder, SkipReason.HIDDEN)
        elif folder.is_symlink():
            self._skip(folder, SkipReason.LINK)
        else:
            return True
        return False

    def _in_folder(self, path: Path, relative: PurePath) -> Iterator[Input]:
        if path.name.startswith("."):
            self._skip(path, SkipReason.HIDDEN)
            return
        try:
            is_plain = stat.S_ISREG(path.stat().st_mode)
            kind = kind_of(path) if is_plain else FileKind.UNKNOWN
        except OSError as error:
            kind = kind_by_suffix(path)
            if kind is FileKind.UNKNOWN and not path.is_symlink():
                yield _nothing(path, f"cannot be read: {error.strerror}")
            elif kind is FileKind.UNKNOWN:
                self._skip(path, SkipReason.LINK)
            else:
                yield from _of_file(path, relative)
            return
        if kind is FileKind.UNKNOWN:
            self._skip(path, SkipReason.UNKNOWN if is_plain else SkipReason.SPECIAL)
        else:
            yield from _of_file(path, relative)

    def _skip(self, path: Path, reason: SkipReason) -> None:
        self.skipped.append(Skipped(shown_path(path), reason))


def _is(asked: Callable[[], bool], *, unknown: bool) -> bool:
    """The answer, or `unknown` where the name may not even be looked at: reading it will tell why."""
    try:
        return asked()
    except OSError:
        return unknown


def _camera(name: str, fps: float | None) -> Input:
    (camera,) = cameras_from_sources([name])
    camera = camera.model_copy(update={"fps": fps})
    shown = mask_named(camera.source)
    copy = PurePath("".join(c if c.isalnum() or c in ".-" else "-" for c in shown) + ".mp4")
    return Input(shown, "live", copy, camera=camera)


def _trouble(error: OSError) -> Input:
    return _nothing(Path(error.filename), f"cannot be entered: {error.strerror}")


def _nothing(path: Path, problem: str) -> Input:
    return Input(shown_path(path), "nothing", PurePath(path.name), path=path, problem=problem)


def _within(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _of_file(path: Path, relative: PurePath, shown: str | None = None) -> Iterator[Input]:
    """The file as one source, or one for each page of a TIFF."""
    shown = shown or shown_path(path)
    try:
        kind: Kind = "picture" if kind_of(path) is FileKind.PICTURE else "video"
    except OSError:
        # Opening it will tell what is wrong.
        kind = "picture" if kind_by_suffix(path) is FileKind.PICTURE else "video"
    pages = page_count(path) if kind == "picture" else 1
    if pages == 1:
        yield Input(shown, kind, _copy_name(relative, kind), path=path)
        return
    for page in range(pages):
        copy = relative.with_name(f"{relative.stem}-page-{page + 1}{relative.suffix}")
        yield Input(f"{shown}, page {page + 1}", kind, _copy_name(copy, kind), path=path, page=page)


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
