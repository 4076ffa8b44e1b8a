"""A camera is waited for as long as it usually takes, and now and then for longer."""

from __future__ import annotations

from agegender.services.ingest.mailbox import WhenFull
from agegender.services.ingest.reader import ReaderSettings
from agegender.services.ingest.sources.rtsp.connection import CONNECT_S
from agegender.services.ingest.sources.rtsp.patience import AnswerPatience


def test_a_camera_that_never_answered_gets_the_whole_time() -> None:
    patience = AnswerPatience(35.0)
    assert {patience.next_s() for _ in range(20)} == {35.0}


def test_a_quick_camera_is_tried_again_soon() -> None:
    patience = AnswerPatience(35.0)
    patience.answered(0.2)
    assert [patience.next_s() for _ in range(8)] == [1.5] * 7 + [35.0]


def test_a_slow_camera_is_waited_for() -> None:
    patience = AnswerPatience(35.0)
    patience.answered(6.0)
    assert patience.next_s() == 18.0
    patience.answered(30.0)
    assert patience.next_s() == 35.0


def test_the_longest_try_and_wait_leave_time_for_a_keyframe() -> None:
    """A camera that comes back in the worst moment gives frames within 5 s, with a keyframe each second."""
    patience = AnswerPatience(35.0)
    patience.answered(0.3)
    longest_wait_s = ReaderSettings(5.0, WhenFull.REPLACE, reopens=True).backoff().max_s
    assert max(CONNECT_S, patience.next_s()) + longest_wait_s + 0.3 + 1.0 <= 5.0
