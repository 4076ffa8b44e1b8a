"""One run of the tool: all sources through the analyzer, to rows, copies and the window."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from agegender.analysis.analyzer import AnalyzedFrame, Analyzer, Unreadable
from agegender.analysis.ordered import in_order
from agegender.analysis.people import Analyzed, People
from agegender.analysis.video_frames import FileFrames, LiveFrames, VideoFrames, closing
from agegender.commands.analyze.copies import Style, VideoCopy, covered_boxes, picture_marks
from agegender.commands.analyze.copy_folder import CopyFolder
from agegender.commands.analyze.inputs import Input
from agegender.commands.analyze.progress import ProgressBar
from agegender.commands.analyze.results_file import ResultsFile
from agegender.commands.analyze.rows import Totals
from agegender.commands.analyze.window import Window
from agegender.commands.analyze.writing import CannotWrite, VideoWriter, write_picture
from agegender.services.ingest.sources.stream import CameraError, shown_path
from agegender.shared.images.pictures import Bgr

EVERY_FRAME = "all"
"""What `--fps` says for it."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """What the person asked for."""

    style: Style
    copies_to: CopyFolder | None = None
    """The folder of annotated copies; None for no copies."""
    fps: float | None = None
    """Frames a second of a video to analyze; None for all."""
    seconds: float | None = None
    """How long to watch each live camera; None for ever."""

    def by_name(self) -> dict[str, str]:
        """By name, for a run that goes on: it has to have them in common with the one before."""
        return {
            "--annotate": "none" if self.copies_to is None else str(self.copies_to.path.absolute()),
            "--blur": "yes" if self.style.anonymizes else "no",
            "--labels": "yes" if self.style.labels else "no",
            "--fps": EVERY_FRAME if self.fps is None else f"{self.fps:g}",
            "--seconds": "none" if self.seconds is None else f"{self.seconds:g}",
        }


@dataclass(frozen=True, slots=True)
class _Still:
    """A picture that was looked at."""

    source: Input
    found: Analyzed | None
    shown_bgr: Bgr | None
    error: str | None


class AnalysisRun:
    """Works through sources in their order.

    Args:
        analyzer: does the work.
        options: of the copies and frame rates.
        results: where rows go.
        progress: is told how far it is.
        window: shows everything, if there is one.
        tell: prints a line for the person.
        stopped: asked over and over whether to end; what is in hand is then finished or left out, never half
            written.
    """

    def __init__(
        self,
        analyzer: Analyzer,
        options: CopyOptions,
        results: ResultsFile,
        progress: ProgressBar,
        window: Window | None,
        tell: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._analyzer = analyzer
        self._options = options
        self._results = results
        self._progress = progress
        self._window = window
        self._tell = tell
        self._stopped = stopped
        self.failed = 0
        """Inputs that could not be read to their end, and inputs without their copy."""

    @property
    def interrupted(self) -> bool:
        """Whether the user asked for an end."""
        return self._stopped() or (self._window is not None and self._window.closed)

    def work(self, sources: Sequence[Input]) -> None:
        """Works until the end of the sources or a stop; raises OSError where rows cannot be written."""
        left = [source for source in sources if not self._results.is_done(source)]
        self._progress.begin(len(sources), done=len(sources) - len(left))
        for kind, some in itertools.groupby(left, lambda source: source.kind):
            if kind == "picture":
                self._pictures(some)
            else:
                for source in self._until_stopped(some):
                    self._nothing(source) if kind == "nothing" else self._video(source)

    def _until_stopped(self, sources: Iterable[Input]) -> Iterator[Input]:
        return itertools.takewhile(lambda _: not self.interrupted, sources)

    def _end(self, source: Input, totals: Totals) -> None:
        if totals.error is not None:
            self.failed += 1
            self._say(source, totals.error)
        self._results.end(source, totals)
        self._progress.source_done()

    def _say(self, source: Input, text: str) -> None:
        self._tell(f"{source.shown}: {text}")

    def _nothing(self, source: Input) -> None:
        self._end(source, Totals(error=source.problem))

    def _pictures(self, sources: Iterable[Input]) -> None:
        numbered = zip(itertools.count(), self._until_stopped(sources), strict=False)
        for still in in_order(self._analyzer.threads, self._look_at, numbered, 2 * self._analyzer.workers):
            if still.found is not None:
                self._results.rows.faces(still.source.shown, still.found)
            faces = len(still.found.faces) if still.found else 0
            self._end(still.source, Totals(int(still.found is not None), faces, error=still.error))
            if self._window is not None and still.shown_bgr is not None:
                self._window.show(still.shown_bgr)
                self._window.wait(self._stopped)

    def _look_at(self, numbered: tuple[int, Input]) -> _Still:
        """Runs on a worker, from the file to the copy."""
        number, source = numbered
        try:
            picture_bgr, found = self._analyzer.look_at(source.path, number=number, page=source.page)
        except Unreadable as error:
            return _Still(source, None, None, str(error).removeprefix(f"{shown_path(source.path)}: "))
        if self._options.copies_to is None and self._window is None:
            return _Still(source, found, None, None)
        shown = self._options.style.apply(picture_bgr, picture_marks(found.faces), covered_boxes(found))
        try:
            if self._options.copies_to is not None:
                write_picture(self._options.copies_to.path_for(source), shown)
        except CannotWrite as error:
            return _Still(source, found, None, str(error))
        return _Still(source, found, shown if self._window is not None else None, None)

    def _video(self, source: Input) -> None:
        watched = _Watched()
        try:
            with closing(self._open(source)) as moments:
                self._progress.video(source.shown, moments.frame_count)
                try:
                    self._watch(source, moments, watched)
                finally:
                    watched.totals = replace(watched.totals, undecoded=moments.undecoded)
            watched.totals = replace(watched.totals, error=moments.damage)
        except (CameraError, CannotWrite) as error:
            watched.totals = replace(watched.totals, error=str(error))
        for frame in watched.people.finish():
            self._results.rows.faces(source.shown, frame)
        persons = watched.people.persons()
        for person in persons:
            self._results.rows.person(source.shown, person)
        if self.interrupted and source.kind == "video":
            # Not complete: it is begun anew when the run goes on.
            self._results.leave()
            return
        self._end(source, replace(watched.totals, people=len(persons)))

    def _open(self, source: Input) -> VideoFrames:
        if source.camera is not None:
            tell = partial(self._say, source)
            return LiveFrames(source.camera, self._options.seconds, lambda: self.interrupted, tell)
        return FileFrames(source.path, self._options.fps)

    def _watch(self, source: Input, moments: VideoFrames, watched: _Watched) -> None:
        """Frame after frame, until the end, an error or a stop."""
        shows = self._options.copies_to is not None or self._window is not None
        wanted = (moment for moment in moments if moment.due or shows)
        seen_frames = self._analyzer.watch(
            itertools.takewhile(lambda _: not self.interrupted, wanted), keep_pictures=shows
        )
        copy = VideoCopy(self._options.style, moments.fps)
        file = None
        if self._options.copies_to is not None:
            path = self._options.copies_to.path_for(source)
            file = VideoWriter(path, moments.fps, moments.time_base)
        with contextlib.closing(file) if file is not None else contextlib.nullcontext():
            try:
                for seen in seen_frames:
                    self._take(source, seen, watched, copy, file)
            finally:
                # The copy keeps all frames up to the end, also after an error.
                self._show(copy.finish(), file)

    def _take(
        self, source: Input, seen: AnalyzedFrame, watched: _Watched, copy: VideoCopy, file: VideoWriter | None
    ) -> None:
        people = watched.people.add(seen.found) if seen.found is not None else []
        if seen.found is not None:
            watched.totals = replace(
                watched.totals,
                frames=watched.totals.frames + 1,
                faces=watched.totals.faces + len(seen.found.faces),
            )
        for frame in watched.people.ready():
            self._results.rows.faces(source.shown, frame)
        self._show(copy.add(seen, people), file)
        self._progress.frame_done(seen.moment.number)

    def _show(self, pictures: Iterable[tuple[Bgr, float]], file: VideoWriter | None) -> None:
        for picture_bgr, time_s in pictures:
            if file is not None:
                file.add(picture_bgr, time_s)
            if self._window is not None:
                self._window.show(picture_bgr)


class _Watched:
    """What came of a video so far."""

    def __init__(self) -> None:
        self.people = People()
        self.totals = Totals()
