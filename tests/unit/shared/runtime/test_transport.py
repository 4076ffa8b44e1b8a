"""An output that splits by type: each message arrives once, however often one side refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from agegender.shared.errors import NotNow
from agegender.shared.messages.pipeline import Preview, TrackUpdate
from agegender.shared.runtime.transport import SplitOutput
from tests.support.made_messages import preview, track_update


@dataclass
class Collector:
    """Keeps the messages written to it, and refuses the first calls."""

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


def split(previews: Collector, others: Collector) -> SplitOutput[TrackUpdate | Preview]:
    return SplitOutput(Preview, previews, others)


BATCH = (track_update(), preview(), track_update())


def test_each_type_arrives_at_its_output() -> None:
    previews, others = Collector(), Collector()
    output = split(previews, others)
    output.open()
    output.write(BATCH)
    output.write(BATCH[:1])
    output.close()
    assert previews.got == [preview()]
    assert others.got == [track_update()] * 3
    assert previews.calls == others.calls == ["open", "write", "write", "close"]


@pytest.mark.parametrize(("previews", "others"), [(2, 0), (0, 2), (1, 1)])
def test_a_refusal_of_one_output_repeats_nothing_at_the_other(previews: int, others: int) -> None:
    first, second = Collector(previews), Collector(others)
    output = split(first, second)
    for _ in range(2):
        with pytest.raises(NotNow):
            output.write(BATCH)
    output.write(BATCH)
    assert (first.got, second.got) == ([preview()], [track_update()] * 2)


def test_both_outputs_get_the_call_without_messages() -> None:
    previews, others = Collector(), Collector()
    split(previews, others).write(())
    assert previews.calls == others.calls == ["write"]
