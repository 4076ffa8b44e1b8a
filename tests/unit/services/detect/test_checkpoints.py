"""Checkpoints are written after the faces, and restore the tracks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agegender.services.detect.checkpoints import CheckpointingOutput
from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.stage import DetectStage
from agegender.services.detect.tracking.checkpoint import Checkpoint
from agegender.shared.errors import NotNow
from agegender.shared.images.pictures import encode_jpeg
from agegender.shared.messages.pipeline import Face, Frame, Preview, TrackUpdate
from agegender.shared.models import weights
from agegender.shared.runtime.stage import Done
from agegender.shared.runtime.transport import Assignment
from tests.support.faces import portraits
from tests.support.made_messages import frame_info

START_S = 1_700_000_000.0
ALL = Assignment(frozenset([0]), 1)

Heard = Face | TrackUpdate | Preview


class Kept:
    """A checkpoint log and an output that record the order of their calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.checkpoints: list[Checkpoint] = []
        self.sent: list[Heard] = []
        self.away: set[str] = set()

    def output(self) -> KeptOutput:
        return KeptOutput(self)

    def read(self, assignment: Assignment) -> Sequence[Checkpoint]:
        self._note("read")
        return self.checkpoints if assignment.held else ()

    def write(self, messages: Sequence[Checkpoint]) -> None:
        if messages:
            self._note("checkpoints")
            self.checkpoints += messages

    def note_faces(self, messages: Sequence[Heard]) -> None:
        if messages:
            self._note("faces")
            self.sent += messages

    def close(self) -> None:
        self.calls.append("close checkpoints")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.away:
            raise NotNow(call)


class KeptOutput:
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def open(self) -> None:
        self._kept.calls.append("open faces")

    def write(self, messages: Sequence[Heard]) -> None:
        self._kept.note_faces(messages)

    def close(self) -> None:
        self._kept.calls.append("close faces")


def detect() -> DetectStage:
    return DetectStage(YuNet(weights("yunet"), 320, 0.7), clock=lambda: START_S)


@pytest.fixture(scope="module")
def clip() -> list[Frame]:
    jpeg = encode_jpeg(portraits(1, 200), 90)
    return [Frame(info=frame_info(sequence=i, captured_at_s=START_S + i / 5), jpeg=jpeg) for i in range(12)]


def outputs(stage: DetectStage, frames: Sequence[Frame]) -> list[Heard]:
    return [out for one in stage.process(frames) if isinstance(one, Done) for out in one.outputs]


def test_one_checkpoint_for_each_camera_follows_the_faces(clip: list[Frame]) -> None:
    stage, kept = detect(), Kept()
    output = CheckpointingOutput(stage, kept.output(), kept)
    output.open()
    output.write(outputs(stage, clip[:4]))
    output.write(())
    output.close()
    assert kept.calls == ["open faces", "faces", "checkpoints", "close faces", "close checkpoints"]
    assert [state.newest for state in kept.checkpoints] == [clip[3].info]


def test_a_batch_of_which_nothing_came_is_remembered_too(clip: list[Frame]) -> None:
    stage, kept = detect(), Kept()
    output = CheckpointingOutput(stage, kept.output(), kept)
    outputs(stage, clip[:1])
    output.write(())
    assert kept.calls == ["checkpoints"]


def test_a_retry_of_checkpoints_sends_no_face_again(clip: list[Frame]) -> None:
    stage, kept = detect(), Kept()
    output = CheckpointingOutput(stage, kept.output(), kept)
    batch = outputs(stage, clip[:4])
    kept.away = {"checkpoints"}
    for _ in range(2):
        with pytest.raises(NotNow):
            output.write(batch)
    kept.away = set()
    output.write(batch)
    assert kept.calls == ["faces", "checkpoints", "checkpoints", "checkpoints"]
    assert kept.sent == batch
    assert len(kept.checkpoints) == 1


def test_nothing_is_remembered_of_what_could_not_be_sent(clip: list[Frame]) -> None:
    stage, kept = detect(), Kept()
    output = CheckpointingOutput(stage, kept.output(), kept)
    batch = outputs(stage, clip[:4])
    kept.away = {"faces"}
    with pytest.raises(NotNow):
        output.write(batch)
    assert not kept.checkpoints
    kept.away = set()
    output.write(batch)
    assert kept.calls == ["faces", "faces", "checkpoints"]


def test_the_next_worker_sends_what_the_first_would_have(
    clip: list[Frame],
) -> None:
    alone = outputs(detect(), clip)
    kept, heard = Kept(), list[Heard]()
    for first, after in ((0, 5), (3, 8), (8, 12)):
        stage = detect()
        output = CheckpointingOutput(stage, kept.output(), kept)
        output.take_over(ALL)
        # What the one before did not commit comes again.
        batch = outputs(stage, clip[first:after])
        output.write(batch)
        heard += batch
    assert heard == alone


def test_who_has_lost_a_share_knows_nothing_more_of_it(clip: list[Frame]) -> None:
    stage, kept = detect(), Kept()
    output = CheckpointingOutput(stage, kept.output(), kept)
    outputs(stage, clip[:4])
    output.take_over(Assignment(frozenset(), 1))
    output.write(())
    assert not kept.checkpoints
    assert outputs(stage, clip[:4]) == outputs(detect(), clip[:4])


def test_what_is_known_stays_while_the_states_cannot_be_read(clip: list[Frame]) -> None:
    stage, kept = detect(), Kept()
    output = CheckpointingOutput(stage, kept.output(), kept)
    outputs(stage, clip[:4])
    kept.away = {"read"}
    with pytest.raises(NotNow):
        output.take_over(ALL)
    assert not outputs(stage, clip[:4])
