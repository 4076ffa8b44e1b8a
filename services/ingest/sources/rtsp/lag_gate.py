"""Whether a decoder keeps up with its camera, and what to leave out when it does not. Pure."""

from __future__ import annotations

from collections import deque

MOST_BEHIND_S = 2.0
"""A decoder that is further behind its camera skips to the present."""
_OVER_S = 2.0
_LEAST_SHARE = 0.3  # of the time is spent on waiting for packets by a decoder that keeps up
_CAUGHT_UP_S = 0.5
_DRIFT = 0.001  # how much two clocks may differ in speed
_KEYFRAME_S = 10.0  # some cameras refresh the picture in parts and send no keyframes


class LagGate:
    """Decides for each packet of a stream whether it is decoded.

    A decoder that is too slow reads packets later and later, and the network holds them meanwhile. By the
    times alone, that looks like a camera with a wrong clock. But a decoder that keeps up waits for most
    packets, and one that is too slow finds them ready. The latter skips all packets up to the present, and
    decodes again from the next keyframe on.
    """

    def __init__(self) -> None:
        self._waits: deque[tuple[float, float]] = deque()
        self._least_s: float | None = None
        self._now_s = 0.0
        self._skips_from_s: float | None = None
        self._keyframe_from_s: float | None = None
        self._skipped_s = 0.0
        self.behind_s = 0.0
        """How much later than at its best the last packet was read."""

    def takes(self, stream_s: float | None, waited_s: float, now_s: float, *, is_keyframe: bool) -> bool:
        """Whether to decode the next packet.

        Args:
            stream_s: the time of the packet in the stream; None if it has none.
            waited_s: how long reading it took.
            now_s: seconds of a clock that is never set, after the reading.
        """
        self._note_wait(waited_s, now_s)
        if stream_s is not None:
            self._note_time(stream_s, now_s)
        self._now_s = now_s
        if self._skips_from_s is None:
            if not self._is_too_slow:
                return self._goes_on(now_s, is_keyframe=is_keyframe)
            self._skips_from_s = stream_s
        elif self.behind_s < _CAUGHT_UP_S or self._share_of_waiting >= _LEAST_SHARE:
            self._skipped_s += max(0.0, (stream_s or self._skips_from_s) - self._skips_from_s)
            self._skips_from_s, self._keyframe_from_s = None, now_s
            return self._goes_on(now_s, is_keyframe=is_keyframe)
        return False

    def _goes_on(self, now_s: float, *, is_keyframe: bool) -> bool:
        """After a skip, nothing can be decoded before the next keyframe."""
        if self._keyframe_from_s is None:
            return True
        if not is_keyframe and now_s < self._keyframe_from_s + _KEYFRAME_S:
            return False
        self._skipped_s += now_s - self._keyframe_from_s
        self._keyframe_from_s = None
        return True

    def take_skipped_s(self) -> float:
        """The seconds of video skipped since the last call, once decoding goes on; else 0."""
        if self._skips_from_s is not None or self._keyframe_from_s is not None:
            return 0.0
        skipped_s, self._skipped_s = self._skipped_s, 0.0
        return skipped_s

    def _note_wait(self, waited_s: float, now_s: float) -> None:
        self._waits.append((now_s, waited_s))
        while self._waits[0][0] < now_s - _OVER_S:
            self._waits.popleft()

    def _note_time(self, stream_s: float, now_s: float) -> None:
        late_s = now_s - stream_s
        if self._least_s is not None:
            late_s = min(late_s, self._least_s + _DRIFT * (now_s - self._now_s))
        self._least_s = late_s
        self.behind_s = now_s - stream_s - self._least_s
        if self.behind_s > MOST_BEHIND_S and self._share_of_waiting >= _LEAST_SHARE:
            # The decoder keeps up: the network stood still, or the clock of the stream was set.
            self._least_s, self.behind_s = now_s - stream_s, 0.0

    @property
    def _share_of_waiting(self) -> float:
        return sum(waited_s for _, waited_s in self._waits) / _OVER_S

    @property
    def _is_too_slow(self) -> bool:
        return self.behind_s > MOST_BEHIND_S and self._share_of_waiting < _LEAST_SHARE
