"""The stage of detect: a frame in; the faces worth classifying and the tracks of its camera out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence

from agegender.services.detect.faces.detections import FrameDetections
from agegender.services.detect.faces.search import FaceDetector, FaceSearch, Known
from agegender.services.detect.motion import MotionGate, Searched
from agegender.services.detect.pace import Pace
from agegender.services.detect.preview import PreviewRenderer
from agegender.services.detect.tracking.best_shot import Selection
from agegender.services.detect.tracking.camera_tracks import (
    DEFAULT_LIMITS,
    CameraTracks,
    ConfirmedTrack,
    TrackLimits,
    TracksByCamera,
)
from agegender.services.detect.tracking.checkpoint import Checkpoint
from agegender.shared.images.pictures import Bgr
from agegender.shared.images.sizes import MAX_PIXELS
from agegender.shared.messages.pipeline import Face, Frame, FrameInfo, Preview, TrackUpdate
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.stage import Bad, Done, Dropped, DropReason, Outcome, SkipReason

DetectOutput = Face | TrackUpdate | Preview


class DetectStage:
    """Finds the faces of each frame, tracks them, and cuts a chip for those that are worth classifying.

    - A frame with a picture that cannot be decoded is bad.
    - A detection with all its landmarks on one point is not a face and is left out.
    - A frame that comes a second time gives no outputs. Kafka delivers it again only when all its outputs are
      safe already, or when the checkpoint does not contain it.
    - A frame of a live camera is dropped as stale when it is too old, or when a later stream of the camera
      has been processed. The next processed frame says which tracks ended in the meantime.
    - A frame of a live camera that shows what a searched one showed is not searched, see `MotionGate`. Its
      faces are those of that frame. They are skipped, because their tracks have enough votes.
    - A live frame is dropped as busy when its camera has had its share, see `Pace`.
    - Stills are not tracked: all their faces are sent.

    Args:
        detector: for one frame at a time.
        more_detectors: each searches one more frame of a batch in parallel, in a thread of its own. Tracking
            still follows the order of the frames.
        max_pixels: a frame with more pixels is bad, and is not decoded.
        min_score: detections with a lower score are not faces; previews and copies still anonymize them.
        selection: which faces are sent.
        limits: of the tracks.
        preview: makes the previews; None sends no previews.
        deadline: says which frames are stale; None drops no frame for its age.
        motion: says which frames show nothing new; None: all are searched. Previews, and the selection `all`,
            need the picture of each frame, so it is not used with them.
        is_removed: whether the camera was removed. It then counts as live in any mode: its old frames
            are dropped as `removed`, so that they hold up no other camera.
        pace: says which frames are looked at under overload; None: all, because the source thins them.
        clock: seconds since 1970, for the messages.
        monotonic: seconds of a clock that is never set, for forgetting cameras.
    """

    def __init__(
        self,
        detector: FaceDetector,
        *,
        more_detectors: Sequence[FaceDetector] = (),
        max_pixels: int = MAX_PIXELS,
        min_score: float = 0.7,
        selection: Selection = "best-shot",
        limits: TrackLimits = DEFAULT_LIMITS,
        preview: PreviewRenderer | None = None,
        deadline: Deadline | None = None,
        motion: MotionGate | None = None,
        is_removed: Callable[[str], bool] = lambda _camera_id: False,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._search = FaceSearch((detector, *more_detectors), max_pixels, min_score, clock)
        self._sends_all = selection == "all"
        self._preview_renderer = preview
        self._deadline = deadline
        self._motion = None if self._sends_all or preview is not None else motion
        self._is_removed = is_removed
        self._pace = pace
        self._clock = clock
        self._monotonic = monotonic
        self._cameras = TracksByCamera(limits)
        self._changed: set[str] = set()

    def process(self, batch: Sequence[Frame]) -> Sequence[Outcome[DetectOutput]]:
        """One outcome for each frame: its faces, track update and preview, or why it is bad or dropped."""
        started_s = time.monotonic()
        early = [(frame, self._outcome_without_search(frame)) for frame in batch]
        searched = [frame for frame, outcome in early if outcome is None]
        detections = self._search.each(searched, self._known(searched))
        outcomes = [
            self._process(frame, next(detections)) if outcome is None else outcome for frame, outcome in early
        ]
        if self._pace is not None:
            self._pace.note_work(len(searched), time.monotonic() - started_s)
        return outcomes

    @property
    def rate_hz(self) -> float | None:
        """Frames a second of each live camera that are looked at; None: all of them."""
        return None if self._pace is None else self._pace.rate_hz

    def note_read(self, frame: Frame, absent_at_s: float) -> None:
        """Takes note that Kafka did not have this frame yet at `absent_at_s`; see `Deadline.note_read`."""
        if self._deadline is not None:
            self._deadline.note_read(frame.info, absent_at_s)

    def finish(self) -> list[TrackUpdate]:
        """The last track update of each camera, when no more frames will come. All tracks have ended."""
        return [TrackUpdate(info=info) for info in self._cameras.finish(self._clock())]

    def take_checkpoints(self) -> Sequence[Checkpoint]:
        """A checkpoint of each camera with a processed frame since the last call."""
        changed = sorted(self._changed)
        self._changed.clear()
        return self._cameras.checkpoints(changed)

    def restore(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Forgets all cameras, and goes on from these checkpoints."""
        self._changed.clear()
        self._cameras.restore(checkpoints, self._monotonic())

    def find(self, frame: Frame) -> Done[Face] | Bad:
        """All faces of a single frame, or why it is bad. Nothing is tracked."""
        detections = self._search.one(frame)
        return detections if isinstance(detections, Bad) else Done(detections.all_faces())

    def search(self, picture_bgr: Bgr, info: FrameInfo) -> FrameDetections:
        """The detections of a picture that is decoded already. Nothing is tracked."""
        return self._search.picture(picture_bgr, info)

    def _outcome_without_search(self, frame: Frame) -> Outcome[DetectOutput] | None:
        """The outcome of a frame that needs no search; None when it needs one."""
        if self._is_overdue(frame.info):
            self._camera_of(frame).note_dropped()
            return Dropped(DropReason.REMOVED)
        if _is_picture(frame.info):
            return None
        camera = self._camera_of(frame)
        if (outcome := _outcome_if_late(camera, frame.info)) is not None:
            return outcome
        if (reason := self._why_dropped(frame.info, self._clock())) is not None:
            camera.note_dropped()
            return Dropped(reason)
        return None

    def _is_overdue(self, info: FrameInfo) -> bool:
        """Whether the frame is of a removed camera, and too old for a live one."""
        if self._deadline is None or not info.is_complete or not self._is_removed(info.camera_id):
            return False
        return self._deadline.is_stale(info.model_copy(update={"mode": "live"}), self._clock())

    def _why_dropped(self, info: FrameInfo, now_s: float) -> DropReason | None:
        if self._deadline is not None and not self._deadline.admit(info, now_s):
            return DropReason.STALE
        if self._pace is None or info.is_complete:
            return None
        waited_s = 0.0 if self._deadline is None else self._deadline.waited_s(info, now_s)
        return None if self._pace.admit(info, waited_s) else DropReason.BUSY

    def _known(self, frames: Sequence[Frame]) -> Callable[[Frame], Known | None]:
        """Tells why one of `frames` needs no search after all, in any thread; None where it needs one."""
        cameras = {} if self._motion is None else {one.camera_id: self._camera_of(one) for one in frames}

        def known(frame: Frame) -> Known | None:
            if _is_picture(frame.info):
                return None
            # It may have waited long for the other frames of its batch.
            if self._deadline is not None and self._deadline.is_stale(frame.info, self._clock()):
                return Dropped(DropReason.STALE)
            if self._motion is None or (before := cameras[frame.camera_id].searched) is None:
                return None
            return before if self._motion.shows_the_same(frame, before) else None

        return known

    def _camera_of(self, frame: Frame) -> CameraTracks:
        return self._cameras.of(frame.camera_id, self._monotonic())

    def _process(self, frame: Frame, detections: FrameDetections | Bad | Known) -> Outcome[DetectOutput]:
        if isinstance(detections, Dropped):
            self._camera_of(frame).note_dropped()
            return detections
        if _is_picture(frame.info) and not isinstance(detections, Searched):
            return detections if isinstance(detections, Bad) else Done(detections.all_faces())
        camera = self._camera_of(frame)
        # Other frames of the batch may have made this one late.
        if (outcome := _outcome_if_late(camera, frame.info)) is not None:
            return outcome
        if isinstance(detections, Bad):
            return detections
        if isinstance(detections, Searched):
            return self._keep(camera, frame.info, detections)
        done = self._track(camera, detections)
        if self._motion is not None:
            boxes_xyxy = [one.box_xyxy for one in detections.faces]
            camera.searched = self._motion.searched(frame, boxes_xyxy) if camera.is_settled else None
            done = dataclasses.replace(done, is_still=False)
        return done

    def _keep(self, camera: CameraTracks, info: FrameInfo, searched: Searched) -> Done[DetectOutput]:
        """The tracks go on with the faces of the searched frame."""
        self._changed.add(info.camera_id)
        camera.update(info, searched.boxes_xyxy)
        outputs = self._updates(camera, info)
        return Done(outputs, (SkipReason.STILL,) * len(searched.boxes_xyxy), is_still=True)

    def _track(self, camera: CameraTracks, detections: FrameDetections) -> Done[DetectOutput]:
        self._changed.add(detections.info.camera_id)
        tracks = camera.update(detections.info, [one.box_xyxy for one in detections.faces])
        chosen = [self._choose(detections, i, track, camera.time_s) for i, track in enumerate(tracks)]
        outputs: list[DetectOutput] = [one for one in chosen if isinstance(one, Face)]
        if self._preview_renderer is not None and camera.is_second_over:
            outputs.append(_preview(self._preview_renderer, camera, detections))
        outputs += self._updates(camera, detections.info)
        return Done(tuple(outputs), tuple(one for one in chosen if isinstance(one, SkipReason)))

    def _updates(self, camera: CameraTracks, info: FrameInfo) -> tuple[TrackUpdate, ...]:
        """The track update, if it is due."""
        return (TrackUpdate(info=camera.take_update(info, self._clock())),) if camera.is_update_due else ()

    def _choose(
        self, detections: FrameDetections, index: int, track: ConfirmedTrack | None, time_s: float
    ) -> Face | SkipReason:
        """The face to send, or why it is skipped. A face that is certain to be skipped is not cut out."""
        if track is None:
            return detections.cut(index).face() if self._sends_all else SkipReason.UNCONFIRMED
        if track.ballot.is_settled and not self._sends_all:
            return SkipReason.ENOUGH
        aligned = detections.cut(index)
        refused = track.consider(aligned.info, time_s)
        if refused is None:
            return aligned.face(track.track_id, track.ballot.votes_sent)
        return aligned.face(track.track_id) if self._sends_all else refused


def _preview(renderer: PreviewRenderer, camera: CameraTracks, detections: FrameDetections) -> Preview:
    found = [one.box_xyxy for one in (*detections.faces, *detections.doubtful)]
    # The face of a track may still be there when the detector missed it in this frame.
    missed = [one.track.box_xyxy for one in camera.present if one.track.last_s < camera.time_s]
    return Preview(info=detections.info, jpeg=renderer.jpeg(detections.picture_bgr, [*found, *missed]))


def _outcome_if_late(camera: CameraTracks, info: FrameInfo) -> Outcome[DetectOutput] | None:
    if camera.has_seen(info):
        return Done()
    return Dropped(DropReason.STALE) if camera.is_late(info) else None


def _is_picture(info: FrameInfo) -> bool:
    return info.file is not None and info.media_time_s is None
