"""A decoder that is too slow skips to the present; one that only seems late does not."""

from __future__ import annotations

from dataclasses import dataclass, field

from agegender.services.ingest.sources.rtsp.lag_gate import MOST_BEHIND_S, LagGate

FPS = 25.0
GOP = 25


@dataclass
class _Decoder:
    """Reads a camera with a keyframe each second. Decoding a frame takes `cost_s`, reading it 1 ms."""

    cost_s: float
    stall_s: tuple[float, float] = (0.0, 0.0)
    """From when to when the network stands still."""
    set_by_s: float = 0.0
    """How much the clock of the stream is set at its 30th second."""
    late_s: list[float] = field(default_factory=list)
    """How old each decoded frame was when it was read."""
    skipped_s: float = 0.0

    def run(self, seconds: float) -> _Decoder:
        gate, now_s, number = LagGate(), 0.0, 0
        while now_s < seconds:
            sent_s = number / FPS
            arrives_s = self.stall_s[1] if self.stall_s[0] <= sent_s < self.stall_s[1] else sent_s
            waited_s = max(arrives_s - now_s, 0.0) + 0.001
            now_s += waited_s
            stream_s = sent_s + (self.set_by_s if sent_s >= 30 else 0.0)
            if gate.takes(stream_s, waited_s, now_s, is_keyframe=number % GOP == 0):
                self.late_s.append(now_s - sent_s)
                now_s += self.cost_s
            self.skipped_s += gate.take_skipped_s()
            number += 1
        return self


def test_a_decoder_that_keeps_up_decodes_all() -> None:
    decoder = _Decoder(cost_s=0.02).run(60)
    assert len(decoder.late_s) == 60 * FPS + 1
    assert decoder.skipped_s == 0


def test_a_decoder_at_half_the_speed_is_never_late() -> None:
    decoder = _Decoder(cost_s=0.08).run(120)
    assert max(decoder.late_s) < MOST_BEHIND_S + 0.2
    assert 40 < decoder.skipped_s < 80, "about half of it"
    assert len(decoder.late_s) > 0.3 * 120 * FPS, "it decodes about as much as it can"


def test_a_much_too_slow_decoder_is_never_late() -> None:
    decoder = _Decoder(cost_s=0.5).run(120)
    assert max(decoder.late_s) < MOST_BEHIND_S + 0.6
    assert decoder.skipped_s > 80


def test_a_stalled_network_is_no_slow_decoder() -> None:
    decoder = _Decoder(cost_s=0.005, stall_s=(20.0, 27.0)).run(60)
    assert len(decoder.late_s) == 60 * FPS + 1
    assert decoder.skipped_s == 0


def test_a_stream_clock_that_is_set_is_no_slow_decoder() -> None:
    for set_by_s in (-3600.0, -3.0, 3.0, 3600.0):
        decoder = _Decoder(cost_s=0.01, set_by_s=set_by_s).run(60)
        assert len(decoder.late_s) == 60 * FPS + 1
        assert decoder.skipped_s == 0


def test_a_camera_without_keyframes_is_decoded_again_after_a_while() -> None:
    gate, decoded_s = LagGate(), []
    now_s = 0.0
    for number in range(3000):
        now_s = max(now_s, number / FPS) + 0.001
        if gate.takes(number / FPS, 0.001, now_s, is_keyframe=False):
            decoded_s.append(now_s)
            now_s += 0.08
    assert decoded_s[-1] > now_s - 15
