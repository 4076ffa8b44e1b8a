"""Bad messages are reported with their reason, and too many of them stop the worker."""

from __future__ import annotations

import pytest

from agegender.shared.errors import BadMessage, TooManyBadMessages
from agegender.shared.messages.codec import Encoded
from agegender.shared.runtime.dead_letters import DeadLetter, DeadLetterLimit, LoggedDeadLetters
from agegender.shared.runtime.transport import Delivery
from tests.support.made_messages import frame


def test_a_letter_has_reason_service_origin_and_received_bytes() -> None:
    raw = Encoded(b"key", b"value", (("schema", b"frame/1"),))
    letter = DeadLetter.of(Delivery(BadMessage("broken"), "frames/3@17", raw), "broken", "detect")
    assert letter == DeadLetter("broken", "detect", "frames/3@17", raw)


def test_a_source_without_bytes_leaves_the_letter_empty() -> None:
    letter = DeadLetter.of(Delivery(frame(), "cam1/s1@0"), "too dark", "ingest")
    assert letter.raw == Encoded(b"", b"", ())


def test_as_many_bad_messages_as_allowed_pass() -> None:
    limit = DeadLetterLimit(most=3, among=10)
    limit.check(good=0, bad=["a", "b", "c"])
    limit.check(good=5, bad=[])


def test_one_bad_message_too_many_is_an_error_with_its_reason() -> None:
    limit = DeadLetterLimit(most=2, among=10)
    limit.check(good=4, bad=["a", "b"])
    with pytest.raises(
        TooManyBadMessages, match=r"3 of the last 7 messages were bad, more than 2; the last one: c"
    ):
        limit.check(good=0, bad=["c"])


def test_bad_messages_of_long_ago_are_forgotten() -> None:
    limit = DeadLetterLimit(most=2, among=10)
    for _ in range(20):
        limit.check(good=9, bad=["now and then"])


def test_inside_one_process_letters_go_nowhere() -> None:
    letters = LoggedDeadLetters()
    letters.open()
    letters.write([DeadLetter("broken", "detect", "frames/3@17", Encoded(b"", b"", ()))])
    letters.close()
