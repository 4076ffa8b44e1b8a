"""A camera is waited for as long as it usually takes, and now and then for longer."""

from __future__ import annotations

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
