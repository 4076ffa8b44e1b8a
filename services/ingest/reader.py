"""A thread that reads one camera: open, read, sample, hand over, open again.

The thread reads every frame as fast as the stream gives it, so that no delay builds up. It keeps only the
newest sampled frame for the pipeline. A camera that fails is opened again after growing waits. A thread may
hang in the driver of a webcam; `watch`, called by another thread, then abandons it and starts a new one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agegender.services.ingest.mailbox import Mailbox, WhenFull
from agegender.services.ingest.sources.sampler import Sampler
from agegender.services.ingest.sources.stream import (
    CameraError,
    CapturedFrame,
    FailureReason,
    OpenStream,
    Skipped,
    Stream,
    StreamFrame,
    Waiting,
)
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.messages.pipeline import CameraNotice, Mode
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.secrets import mask, mask_message
from agegender.shared.runtime.backoff import Backoff
from agegender.shared.runtime.stage import DropReason

log = logging.getLogger(__name__)

SERVICE = "ingest"
_REPEAT_LOG_S = 60.0
_LONGEST_DETAIL = 300
_STEADY_S = 10.0
_MAX_HUNG_THREADS = 3
_FOR_A_PERSON = (FailureReason.LOGIN, FailureReason.UNSUPPORTED)  # more tries change nothing
_LOOK_EVERY_S = 0.1  # how late a paused reader notices that it may read again


def always() -> bool:
    """The permission for cameras that no other worker reads."""
    return True


@dataclass(frozen=True)
class ReaderSettings:
    """How a camera is read."""

    fps: float
    """Frames a second to take."""
    when_full: WhenFull
    reopens: bool
    """True for live cameras: the end of a stream is a failure, and the camera is opened again."""
    mode: Mode | None = None
    """The mode that the frames carry."""
    smallest_face_px: int | None = None
    """Of the camera's settings; the frames carry it."""
    hang_s: float | None = None
    """A thread without a frame for this long hangs. None: the stream has its own time limit."""
    backoff: Callable[[], Backoff] = field(default=lambda: Backoff(first_s=0.5, max_s=1.5))
    """Short, so that frames flow within 5 s of a camera's return, with the try before and a keyframe."""
    login_backoff: Callable[[], Backoff] = field(default=lambda: Backoff(first_s=1.0, max_s=60.0))
    """Longer, because cameras lock users out after too many wrong passwords. Also for what is unsupported."""


class CameraReader:
    """Reads one camera until it is stopped, or until the end of its file.

    Args:
        camera_id: for messages, metrics and logs.
        shown: the source without its login, for logs.
        may_read: called by the reading thread at every frame. While it returns False, the stream is closed
            and no frame is handed over. When it returns True again, the camera is opened again.
    """

    def __init__(
        self,
        camera_id: str,
        shown: str,
        open_stream: OpenStream,
        mailbox: Mailbox,
        metrics: Metrics,
        settings: ReaderSettings,
        may_read: Callable[[], bool] = always,
    ) -> None:
        self.camera_id = camera_id
        self._shown = shown
        self._open_stream = open_stream
        self._mailbox = mailbox
        self._metrics = metrics
        self._settings = settings
        self._may_read = may_read
        self._stop = threading.Event()
        self._current: threading.Thread | None = None
        self._hung: list[threading.Thread] = []
        self._alive_at_s = time.monotonic()
        self._opening = True
        self._logged_down_at_s: dict[FailureReason, float] = {}
        self._logged_slow_at_s = -_REPEAT_LOG_S
        self._skipped_s = 0.0
        self._logged_up = False
        self._last_stream_ms = 0
        self.failure: CameraError | None = None
        """Why the camera gives no frames at the moment; None while it does."""
        self._failing_since_s = 0.0
        self._ended_at_s: float | None = None
        self._up = metrics.camera_up.labels(camera_id)
        self._decoder_skipped_s = metrics.decoder_skipped.labels(camera_id)
        self._up.set(0)

    def start(self) -> None:
        """Starts the thread. Call it once."""
        self._alive_at_s = time.monotonic()
        thread = threading.Thread(target=self._run, name=f"camera {self.camera_id}", daemon=True)
        self._current = thread
        thread.start()

    def watch(self) -> None:
        """Replaces a thread that hangs. Call it about every second; also allowed before `start`."""
        current, silent_s = self._current, time.monotonic() - self._alive_at_s
        if current is None or self._settings.hang_s is None:
            return
        if self._stop.is_set() or silent_s < self._settings.hang_s:
            return
        self._hung = [thread for thread in self._hung if thread.is_alive()]
        self._alive_at_s = time.monotonic()
        reason = FailureReason.UNREACHABLE if self._opening else FailureReason.NO_FRAME
        self._failed(CameraError(reason, f"no sign of life for {silent_s:.0f} s"))
        if len(self._hung) < _MAX_HUNG_THREADS:
            self._hung.append(current)
            self.start()

    def stop(self) -> None:
        """Asks the thread to end."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Waits up to `timeout_s` for the thread to end. Returns whether it has.

        A thread that hangs ends later, by itself.
        """
        if self._current is not None:
            self._current.join(timeout_s)
        self._up.set(0)
        return self._current is None or not self._current.is_alive()

    def drop_gauges(self) -> None:
        """Removes the gauges of the camera, after it was released or its file has ended.

        Its counters stay.
        """
        for gauge in (self._metrics.camera_up, self._metrics.clock_skew):
            gauge.remove(self.camera_id)

    @property
    def notice(self) -> CameraNotice | None:
        """Why the camera gives no frames at this moment; None while it gives some, or connects at first."""
        failure, now_s = self.failure, time.time()
        if failure is not None:
            return CameraNotice(
                camera_id=self.camera_id,
                state="failing",
                reason=failure.reason.value,
                detail=mask_message(str(failure))[:_LONGEST_DETAIL],
                since_s=self._failing_since_s,
                noticed_at_s=now_s,
            )
        if self._ended_at_s is not None:
            return CameraNotice(
                camera_id=self.camera_id,
                state="stopped",
                detail="at its end",
                since_s=self._ended_at_s,
                noticed_at_s=now_s,
            )
        return None

    @property
    def _is_mine(self) -> bool:
        """Whether the calling thread still reads the camera, and was not replaced or stopped."""
        return threading.current_thread() is self._current and not self._stop.is_set()

    @property
    def _goes_on(self) -> bool:
        return self._is_mine and self._may_read()

    def _run(self) -> None:
        backoff, login_backoff = self._settings.backoff(), self._settings.login_backoff()
        while self._is_mine:
            if not self._may_read():
                self._wait_for_permission()
                continue
            started_s = time.monotonic()
            error = self._read_stream()
            if not self._is_mine:
                return
            if not self._may_read():
                continue
            if not self._settings.reopens:
                if error is None:
                    self._ended_at_s = time.time()
                    self.drop_gauges()
                else:
                    self._failed(error)
                self._mailbox.finished()
                return
            if time.monotonic() - started_s > _STEADY_S:
                backoff.reset()
            error = error or CameraError(FailureReason.ENDED, "the stream ended")
            if error.reason in _FOR_A_PERSON:
                wait_s = login_backoff.next_s()
            else:
                wait_s = backoff.next_s()
                login_backoff.reset()
            self._failed(error, wait_s)
            self._wait(wait_s)

    def _wait_for_permission(self) -> None:
        self._up.set(0)
        self._alive_at_s = time.monotonic()
        self._stop.wait(_LOOK_EVERY_S)

    def _wait(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while self._is_mine and (left_s := until_s - time.monotonic()) > 0:
            self._alive_at_s = time.monotonic()
            self._stop.wait(min(left_s, 1.0))

    def _read_stream(self) -> CameraError | None:
        """Reads one stream until it ends, breaks or is no longer wanted. Returns why it broke."""
        try:
            self._opening = True
            stream = self._open_stream(lambda: self._goes_on)
            self._opening = False
            try:
                if self._goes_on:  # connecting takes seconds, in which another worker may have taken over
                    self._hand_over_frames(stream)
            finally:
                stream.close()
        except CameraError as error:
            return error
        except Exception as error:
            # An error of one camera must never end the others.
            log.error("camera reader failed", extra={"camera": self.camera_id}, exc_info=True)
            return CameraError(FailureReason.NOT_VIDEO, f"{type(error).__name__} while decoding")
        return None

    def _hand_over_frames(self, stream: Stream) -> None:
        sampler = Sampler(self._settings.fps)
        stream_id, sequence, began_s = self._new_stream_id(), 0, time.monotonic()
        for frame in stream.frames():
            if not self._goes_on:
                return
            self._alive_at_s = time.monotonic()
            if isinstance(frame, Waiting):
                self._waits(frame)
                continue
            if isinstance(frame, Skipped):
                self._skipped(frame)
                continue
            if sequence == 0:
                self._recovered()
            if frame.time_s is None or sampler.pick(frame.time_s):
                elapsed_s = round(time.monotonic() - began_s, 3)
                self._hand_over(frame, stream_id, sequence, elapsed_s)
                sequence += 1

    def _hand_over(self, frame: StreamFrame, stream_id: str, sequence: int, elapsed_s: float) -> None:
        picture: Bgr | UnreadablePicture
        try:
            picture = frame.picture()
        except UnreadablePicture as error:
            picture = error
        captured = CapturedFrame(
            self.camera_id,
            stream_id,
            sequence,
            frame.captured_at_s,
            frame.clock,
            picture,
            frame.media_time_s,
            frame.file,
            self._settings.mode,
            elapsed_s,
            self._settings.smallest_face_px,
        )
        self._metrics.captured.labels(self.camera_id).inc()
        if frame.camera_time_s is not None:
            # Also of a wrong clock, which is not used: an alert watches it.
            self._metrics.clock_skew.labels(self.camera_id).set(time.time() - frame.camera_time_s)
        lost = self._mailbox.put(captured, self._settings.when_full)
        if lost is not None:
            # A closed mailbox gives back the frame itself; else an older one made room.
            reason = DropReason.STOPPED if lost is captured else DropReason.BUSY
            self._metrics.dropped.labels(SERVICE, self.camera_id, reason.value).inc()

    def _new_stream_id(self) -> str:
        """Our clock in ms, in base 36: later streams sort after earlier ones, even after a restart."""
        self._last_stream_ms = max(int(time.time() * 1000), self._last_stream_ms + 1)
        number, text = self._last_stream_ms, ""
        while number:
            number, digit = divmod(number, 36)
            text = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + text
        return text.rjust(9, "0")

    def _waits(self, waiting: Waiting) -> None:
        """Tells why an open stream gives no frame yet. That is no failure, and is not counted as one."""
        told = CameraError(waiting.reason, waiting.why)
        if str(told) != str(self.failure):
            log.info("camera waits", extra={"camera": self.camera_id, "detail": waiting.why})
        self._note_failure(told)

    def _note_failure(self, failure: CameraError) -> None:
        if self.failure is None:
            self._failing_since_s = time.time()
        self.failure = failure

    def _skipped(self, skipped: Skipped) -> None:
        """Counts what a decoder that is too slow has left out. Logs it once a minute at most."""
        self._decoder_skipped_s.inc(skipped.seconds)
        self._skipped_s += skipped.seconds
        if time.monotonic() < self._logged_slow_at_s + _REPEAT_LOG_S:
            return
        log.warning(
            "decoder too slow, video was skipped",
            extra={"camera": self.camera_id, "seconds": round(self._skipped_s, 1)},
        )
        self._logged_slow_at_s, self._skipped_s = time.monotonic(), 0.0

    def _recovered(self) -> None:
        self.failure = None
        self._up.set(1)
        if not self._logged_up:
            self._logged_up = True
            log.info("camera up", extra={"camera": self.camera_id, "source": mask(self._shown)})

    def _failed(self, error: CameraError, again_in_s: float | None = None) -> None:
        """Counts a failure. Logs it unless the same reason was logged within a minute."""
        self._up.set(0)
        self._note_failure(error)
        self._metrics.camera_failures.labels(self.camera_id, error.reason.value).inc()
        now_s = time.monotonic()
        if now_s - self._logged_down_at_s.get(error.reason, -_REPEAT_LOG_S) < _REPEAT_LOG_S:
            return
        self._logged_down_at_s[error.reason] = now_s
        self._logged_up = False
        fields: dict[str, object] = {
            "camera": self.camera_id,
            "source": mask(self._shown),
            "reason": error.reason.value,
            "detail": str(error),
        }
        if again_in_s is not None:
            fields["again_in_s"] = round(again_in_s, 1)
        log.warning("camera down", extra=fields)
