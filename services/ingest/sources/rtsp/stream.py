"""The frames of an open RTSP camera."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from functools import partial

import av.error
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from agegender.services.ingest.sources.decoding import (
    NO_FRAME,
    decoded,
    pixel_aspect,
    upright_bgr,
    video_of,
)
from agegender.services.ingest.sources.rtsp.connection import RtspConnection
from agegender.services.ingest.sources.rtsp.failures import TIMEOUTS, explained
from agegender.services.ingest.sources.rtsp.lag_gate import LagGate
from agegender.services.ingest.sources.stream import (
    CameraError,
    FailureReason,
    Skipped,
    StreamFrame,
    Waiting,
)

_USUAL_KEYFRAME_S = 2.0
WAITS_FOR_KEYFRAME = "waits for a keyframe; set the keyframe interval of the camera to 1 or 2 s"


def camera_clock(packet: Packet[VideoStream]) -> float | None:
    """The camera's wall clock, from its RTCP reports, minus the time of the stream, in seconds.

    None for packets without a clock. Most packets have none.
    """
    if packet.pts is None or packet.time_base is None or not packet.has_sidedata("prft"):
        return None
    # AVProducerReferenceTime: int64 wall clock in microseconds, int flags.
    (wall_us,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    return float(wall_us / 1e6 - float(packet.pts * packet.time_base))


def no_packet(seconds: float, connection: RtspConnection) -> CameraError:
    """The error of a camera that sends nothing for so many seconds."""
    hint = "; it sends over UDP, which a firewall may hold up" if connection.transport == "udp" else ""
    return CameraError(FailureReason.NO_FRAME, f"no frame for {seconds:g} s{hint}")


class RtspStream:
    """The video of an open RTSP connection.

    Args:
        connection: the open camera.
        no_frame_s: the stream breaks if no frame arrives for this long.
        keyframe_s: how long it waits for the first keyframe while other packets arrive.
    """

    def __init__(self, connection: RtspConnection, *, no_frame_s: float, keyframe_s: float) -> None:
        self._connection = connection
        self._container = connection.container
        self._video = video_of(connection.container)
        self._no_frame_s = no_frame_s
        self._keyframe_s = keyframe_s
        self._wall_minus_stream_s: float | None = None
        self._lag_gate = LagGate()

    def _packets(self) -> Iterator[tuple[Packet[VideoStream], bool]]:
        """The packets, and whether to decode each: a decoder that is too slow leaves some out."""
        asked_at_s = time.monotonic()
        for packet in self._container.demux(self._video):
            now_s = time.monotonic()
            time_s = None if packet.dts is None or packet.time_base is None else packet.dts * packet.time_base
            yield (
                packet,
                self._lag_gate.takes(
                    None if time_s is None else float(time_s),
                    now_s - asked_at_s,
                    now_s,
                    is_keyframe=packet.is_keyframe,
                ),
            )
            asked_at_s = time.monotonic()

    def frames(self) -> Iterator[StreamFrame | Waiting | Skipped]:
        """See `stream.Stream`. `captured_at_s` is the arrival: the worker checks the camera's clock."""
        opened_at_s = seen_at_s = time.monotonic()
        has_keyframe = False
        try:
            for packet, is_taken in self._packets():
                self._wall_minus_stream_s = camera_clock(packet) or self._wall_minus_stream_s
                skipped_s = self._lag_gate.take_skipped_s()
                if skipped_s or not is_taken:
                    yield Skipped(skipped_s)
                if not is_taken:
                    seen_at_s = time.monotonic()
                    continue
                if packet.is_keyframe and not has_keyframe:
                    has_keyframe, seen_at_s = True, time.monotonic()
                for frame in decoded(self._video, packet) or ():
                    has_keyframe, seen_at_s = True, time.monotonic()
                    # The first frame of a connection has no time: FFmpeg counts from the second frame.
                    if frame.time is not None:
                        time_s = float(frame.time)
                        yield self._frame(frame, time_s)
                now_s = time.monotonic()
                if not has_keyframe:
                    yield from self._waiting(now_s - opened_at_s)
                elif now_s - seen_at_s > self._no_frame_s:
                    raise CameraError(
                        FailureReason.NO_FRAME, f"no frame for {self._no_frame_s:g} s: each one {NO_FRAME}"
                    )
        except TIMEOUTS:
            raise no_packet(self._no_frame_s, self._connection) from None
        except av.error.FFmpegError as error:
            raise explained(error) from None

    def _waiting(self, waited_s: float) -> Iterator[Waiting]:
        if waited_s > self._keyframe_s:
            raise CameraError(
                FailureReason.NO_KEYFRAME, f"no keyframe within {self._keyframe_s:g} s of video"
            )
        if waited_s > _USUAL_KEYFRAME_S:
            yield Waiting(FailureReason.NO_KEYFRAME, WAITS_FOR_KEYFRAME)

    def _frame(self, frame: VideoFrame, time_s: float) -> StreamFrame:
        wall_s = self._wall_minus_stream_s
        camera_time_s = None if wall_s is None else wall_s + time_s
        return StreamFrame(
            time_s,
            time.time(),
            "arrival",
            partial(upright_bgr, frame, pixel_aspect(self._video), is_live=True),
            camera_time_s=camera_time_s,
        )

    def close(self) -> None:
        """Ends the session with the camera and closes the connection."""
        self._container.close()
