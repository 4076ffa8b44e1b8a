"""Tells the store which cameras give no frames, beside the frames and never in their way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from agegender.services.ingest.reader import SERVICE
from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.shared.errors import AgeGenderError
from agegender.shared.messages.pipeline import CameraNotice
from agegender.shared.runtime.transport import Delivery, Output, Source

log = logging.getLogger(__name__)

REPEAT_S = 10.0
"""How often a lasting failure is told again. The store believes a failure for three times as long."""
_LOOK_EVERY_S = 0.5
_CLOSE_S = 2.0  # as long as the cameras may take to close


class NotingCameras(Source[CapturedFrame], Protocol):
    """A source of frames that knows the state of its cameras."""

    @property
    def notices(self) -> Mapping[str, CameraNotice | None]:
        """Camera id → why it gives no frames, for each camera that is read; None: it gives some."""

    @property
    def is_owner(self) -> bool:
        """False while another worker may have taken the cameras over."""


class NotedCameras:
    """The same source of frames, and a thread that sends the notices of its cameras to `output`.

    A notice is sent when the state of a camera changes, and again every `REPEAT_S` while it fails. A camera
    that is not read any more is noted as stopped. What cannot be sent is told by a later notice.
    """

    def __init__(
        self,
        cameras: NotingCameras,
        output: Output[CameraNotice],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cameras = cameras
        self._output = output
        self._clock = clock
        self._told: dict[str, CameraNotice | None] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def open(self) -> None:
        """See `transport.Source`."""
        self._output.open()
        self._cameras.open()
        self._thread.start()

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[CapturedFrame]]:
        """See `transport.Source`."""
        return self._cameras.poll(max_messages, timeout_s)

    def commit(self) -> None:
        """See `transport.Source`."""
        self._cameras.commit()

    def keep_alive(self) -> None:
        """See `transport.Source`."""
        self._cameras.keep_alive()

    @property
    def exhausted(self) -> bool:
        """See `transport.Source`."""
        return self._cameras.exhausted

    def close(self) -> None:
        """Closes the cameras and notes all of them as stopped. Waits 2 s at most for that to be sent."""
        try:
            self._cameras.close()
        finally:
            self._closing.set()
            if self._thread.ident is None:
                self._output.close()
            else:
                self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while not self._closing.wait(_LOOK_EVERY_S):
            if self._cameras.is_owner:
                self._tell(self._cameras.notices)
        self._tell({})
        self._output.close()

    def _tell(self, now: Mapping[str, CameraNotice | None]) -> None:
        """Sends what is new in `now`. Cameras that were there before and are missing have stopped."""
        gone = [self._stopped(camera_id) for camera_id in self._told if camera_id not in now]
        due = [one for one in (*gone, *now.values()) if one is not None and self._is_due(one)]
        try:
            self._output.write(due)
        except AgeGenderError as error:
            log.debug("notices not sent", extra={"service": SERVICE, "reason": str(error)})
            return
        sent = {one.camera_id: one for one in due}
        self._told = {
            camera_id: sent.get(camera_id, None if one is None else self._told.get(camera_id))
            for camera_id, one in now.items()
        }

    def _is_due(self, notice: CameraNotice) -> bool:
        told = self._told.get(notice.camera_id)
        if told is None or told.state != notice.state:
            return True
        return notice.state == "failing" and (
            (told.reason, told.detail) != (notice.reason, notice.detail)
            or notice.noticed_at_s - told.noticed_at_s >= REPEAT_S
        )

    def _stopped(self, camera_id: str) -> CameraNotice:
        now_s = self._clock()
        return CameraNotice(
            camera_id=camera_id,
            state="stopped",
            detail="not read any more",
            since_s=now_s,
            noticed_at_s=now_s,
        )
