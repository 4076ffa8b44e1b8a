"""A frame in; out of it the faces that are worth classifying, and who is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from agegender.services.detect.faces.detections import FrameDetections
from agegender.services.detect.faces.search import FaceDetector, FaceSearch
from agegender.services.detect.preview import PreviewRenderer
from agegender.services.detect.tracking.best_shot import Selection
from agegender.services.detect.tracking.camera_tracks import (
    DEFAULT_LIMITS,
    Cameras,
    CameraTracks,
    ConfirmedTrack,
    TrackLimits,
)
from agegender.services.detect.tracking.checkpoint import Checkpoint
from agegender.shared.images.pictures import Bgr
from agegender.shared.images.sizes import MAX_PIXELS
from agegender.shared.messages.pipeline import Face, Frame, FrameInfo, Preview, TrackUpdate
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.stage import Bad, Done, Dropped, DropReason, Outcome, SkipReason

DetectOutput = Face | TrackUpdate | Preview


class DetectStage:
    """Finds the faces of each frame, follows them, and cuts a chip for those that are worth classifying.

    A frame whose picture cannot be read is bad. Detections without extent (all landmarks on one point) are
    no faces and are left out. A frame that comes a second time gives nothing: it is handed out again to
    whoever knows it only when all that came of it is safe already. A live camera's frame of a stream that
    another has followed is dropped as stale. A still is a frame by itself: nobody is
    followed, and every face is sent. A stale frame of a live camera is dropped unseen: who was there is told
    to have gone by the next one that is looked at.

    Args:
        detector: for one frame after the other.
        more_detectors: with them, as many more frames of a batch are searched side by side, each in a thread.
            They are followed in their order all the same.
        min_score: detections below are no faces; previews and blurred copies cover them nevertheless.
        selection: which faces are sent.
        preview: how a preview shows it; None: no previews are sent.
        deadline: says which frames are stale; None: none is.
        clock: seconds since 1970, for the messages and for forgetting cameras.
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
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._search = FaceSearch((detector, *more_detectors), max_pixels, min_score, clock)
        self._sends_all = selection == "all"
        self._preview_renderer = preview
        self._deadline = deadline
        self._clock = clock
        self._cameras = Cameras(limits)
        self._looked_at: set[str] = set()

    def process(self, batch: Sequence[Frame]) -> Sequence[Outcome[DetectOutput]]:
        """One outcome a frame: its faces worth classifying and who is there, or why it is bad or dropped."""
        unseen = [(frame, self._left_unseen(frame)) for frame in batch]
        searched = self._search.each([frame for frame, outcome in unseen if outcome is None])
        return [
            self._process(frame, next(searched)) if outcome is None else outcome for frame, outcome in unseen
        ]

    def finish(self) -> list[TrackUpdate]:
        """Who was there last, all of them gone: to be sent when no more frames will come."""
        return [TrackUpdate(info=info) for info in self._cameras.finish(self._clock())]

    def take_checkpoints(self) -> Sequence[Checkpoint]:
        """What is known of each camera that was looked at since the last call."""
        looked_at = sorted(self._looked_at)
        self._looked_at.clear()
        return self._cameras.checkpoints(looked_at)

    def restore(self, states: Iterable[Checkpoint]) -> None:
        """Forgets all cameras, and goes on with those of which these are the states."""
        self._looked_at.clear()
        self._cameras.restore(states, self._clock())

    def find(self, frame: Frame) -> Done[Face] | Bad:
        """All faces of a frame by itself, or why it is bad."""
        searched = self._search.one(frame)
        return searched if isinstance(searched, Bad) else Done(searched.all_faces())

    def search(self, picture_bgr: Bgr, info: FrameInfo) -> FrameDetections:
        """What is seen in a decoded picture, for whoever has the pixels already; nobody is followed."""
        return self._search.picture(picture_bgr, info)

    def _left_unseen(self, frame: Frame) -> Outcome[DetectOutput] | None:
        """The outcome of a frame that is not looked at; None: it is."""
        if _is_still(frame.info):
            return None
        camera = self._camera_of(frame)
        if (outcome := _come_too_late(camera, frame.info)) is not None:
            return outcome
        if self._deadline is not None and not self._deadline.admit(frame.info, self._clock()):
            camera.note_left_out()
            return Dropped(DropReason.STALE)
        return None

    def _camera_of(self, frame: Frame) -> CameraTracks:
        return self._cameras.of(frame.camera_id, self._clock())

    def _process(self, frame: Frame, searched: FrameDetections | Bad) -> Outcome[DetectOutput]:
        if _is_still(frame.info):
            return searched if isinstance(searched, Bad) else Done(searched.all_faces())
        camera = self._camera_of(frame)
        if (outcome := _come_too_late(camera, frame.info)) is not None:  # because of others in the batch
            return outcome
        return searched if isinstance(searched, Bad) else self._follow(camera, searched)

    def _follow(self, camera: CameraTracks, searched: FrameDetections) -> Done[DetectOutput]:
        self._looked_at.add(searched.info.camera_id)
        tracks = camera.update(searched.info, [one.box_xyxy for one in searched.faces])
        chosen = [self._choose(searched, i, track, camera.time_s) for i, track in enumerate(tracks)]
        outputs: list[DetectOutput] = [one for one in chosen if isinstance(one, Face)]
        if self._preview_renderer is not None and camera.is_second_over:
            outputs.append(self._preview(self._preview_renderer, camera, searched))
        if camera.is_update_due:
            outputs.append(TrackUpdate(info=camera.take_update(searched.info, self._clock())))
        return Done(tuple(outputs), tuple(one for one in chosen if isinstance(one, SkipReason)))

    def _choose(
        self, searched: FrameDetections, index: int, track: ConfirmedTrack | None, time_s: float
    ) -> Face | SkipReason:
        """The face as it is sent, or why it is not. What is certain to be left out is not even cut."""
        if track is None:
            return searched.cut(index).face() if self._sends_all else SkipReason.UNCONFIRMED
        if track.ballot.is_settled and not self._sends_all:
            return SkipReason.ENOUGH
        cut = searched.cut(index)
        refused = track.consider(cut.info, time_s)
        if refused is None:
            return cut.face(track.track_id, track.ballot.votes_sent)
        return cut.face(track.track_id) if self._sends_all else refused

    @staticmethod
    def _preview(renderer: PreviewRenderer, camera: CameraTracks, searched: FrameDetections) -> Preview:
        seen = [one.box_xyxy for one in (*searched.faces, *searched.doubtful)]
        # Who was there a moment ago may be there still, and only be missed by the detector.
        missed = [v.track.box_xyxy for v in camera.present if v.track.last_s < camera.time_s]
        return Preview(info=searched.info, jpeg=renderer.jpeg(searched.picture_bgr, [*seen, *missed]))


def _come_too_late(camera: CameraTracks, info: FrameInfo) -> Outcome[DetectOutput] | None:
    if camera.has_seen(info):
        return Done()
    return Dropped(DropReason.STALE) if camera.is_late(info) else None


def _is_still(info: FrameInfo) -> bool:
    return info.file is not None and info.media_time_s is None
