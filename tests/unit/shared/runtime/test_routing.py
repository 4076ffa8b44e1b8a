"""Messages of one kind go another way, and each arrives once however often the other side says: not now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from agegender.shared.errors import NotNow
from agegender.shared.messages.pipeline import Preview, TrackUpdate
from agegender.shared.runtime.routing import RoutedOutput
from tests.support.made_messages import preview, track_update


@dataclass
class Place:
    """Takes messages, but for so many times."""

    refuses: int = 0
    got: list[TrackUpdate | Preview] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def open(self) -> None:
        self.calls.append("open")

    def write(self, messages: Sequence[TrackUpdate | Preview]) -> None:
        self.calls.append("write")
        if self.refuses:
            self.refuses -= 1
            raise NotNow("away")
        self.got += messages

    def close(self) -> None:
        self.calls.append("close")


def routed(theirs: Place, others: Place) -> RoutedOutput[TrackUpdate | Preview]:
    return RoutedOutput(Preview, theirs, others)


BATCH = (track_update(), preview(), track_update())


def test_each_kind_arrives_where_it_belongs() -> None:
    theirs, others = Place(), Place()
    output = routed(theirs, others)
    output.open()
    output.write(BATCH)
    output.write(BATCH[:1])
    output.close()
    assert theirs.got == [preview()]
    assert others.got == [track_update()] * 3
    assert theirs.calls == others.calls == ["open", "write", "write", "close"]


@pytest.mark.parametrize(("theirs", "others"), [(2, 0), (0, 2), (1, 1)])
def test_what_one_side_has_is_not_sent_to_it_again_when_the_other_refuses(theirs: int, others: int) -> None:
    there, elsewhere = Place(theirs), Place(others)
    output = routed(there, elsewhere)
    for _ in range(2):
        with pytest.raises(NotNow):
            output.write(BATCH)
    output.write(BATCH)
    assert (there.got, elsewhere.got) == ([preview()], [track_update()] * 2)


def test_both_are_called_for_what_is_due_by_the_clock() -> None:
    theirs, others = Place(), Place()
    routed(theirs, others).write(())
    assert theirs.calls == others.calls == ["write"]
