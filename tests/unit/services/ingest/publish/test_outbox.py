"""Frames are made and kept while nobody takes them; whatever becomes of each is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from agegender.services.ingest.mailbox import Mailbox, WhenFull
from agegender.services.ingest.publish.backpressure import Backpressure
from agegender.services.ingest.publish.buffer import FrameBuffer
from agegender.services.ingest.publish.outbox import Outbox
from agegender.services.ingest.sources.stream import Captured
from agegender.services.ingest.stage import IngestStage
from agegender.shared.errors import NotNow
from agegender.shared.images.pictures import UnreadablePicture
from agegender.shared.messages.pipeline import Frame, Mode
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.stage import Done
from agegender.shared.runtime.transport import Delivery
from tests.support.waiting import wait_until

PICTURE = np.zeros((48, 64, 3), np.uint8)
DROPPED = "agegender_messages_dropped_total"


@dataclass
class Places:
    """Cameras whose frames a test leaves in their places."""

    mailbox: Mailbox = field(default_factory=lambda: Mailbox(1))
    lost: bool = False
    not_ours: set[str] = field(default_factory=set)
    error: Exception | None = None

    def open(self) -> None: ...

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[Captured]]:
        if self.error is not None:
            raise self.error
        if self.lost:
            raise NotNow("the cameras may be another worker's")
        taken = self.mailbox.take(max_messages, timeout_s)
        return [Delivery(one, "") for one in taken]

    def commit(self) -> None: ...
    def keep_alive(self) -> None: ...
    def hold(self, camera_ids: Collection[str]) -> None:
        self.mailbox.hold(camera_ids)

    def is_ours(self, camera_id: str) -> bool:
        return camera_id not in self.not_ours

    @property
    def exhausted(self) -> bool:
        return self.mailbox.exhausted

    def close(self) -> None:
        self.mailbox.close()


@dataclass
class Bench:
    """An outbox that keeps about ten frames of each camera."""

    cameras: Places = field(default_factory=Places)
    metrics: Metrics = field(default_factory=lambda: Metrics(CollectorRegistry()))
    waiting: int = 0
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        stage = IngestStage()
        (made,) = stage.process([captured(0)])
        assert isinstance(made, Done)
        size = len(made.outputs[0].jpeg)
        backpressure = Backpressure(lambda: {"detect": self.waiting}, 25)
        self.outbox = Outbox(self.cameras, stage, FrameBuffer(10 * size), self.metrics, backpressure)
        self.outbox.open()

    def leave(self, *numbers: int, camera: str = "door", mode: Mode = "live") -> None:
        """Leaves frames in the camera's place, each when the one before it is taken."""
        for number in numbers:
            self.cameras.mailbox.put(captured(number, camera, mode), WhenFull.WAIT)

    def taken(self, most: int = 100, timeout_s: float = 0.3) -> list[int]:
        found = self.outbox.poll(most, timeout_s)
        return [one.message.info.sequence for one in found if isinstance(one.message, Frame)]

    def total(self, name: str, **labels: str) -> float:
        return self.metrics.total(name, **labels)

    def wait_for(self, what: Callable[[], bool], why: str) -> None:
        wait_until(what, 5, why)


def captured(number: int, camera: str = "door", mode: Mode = "live", *, readable: bool = True) -> Captured:
    picture = PICTURE if readable else UnreadablePicture("broken")
    return Captured(camera, "s1", number, 1_700_000_000.0 + number, "arrival", picture, mode=mode)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.outbox.close()


def test_a_live_camera_goes_on_while_nobody_takes_and_its_newest_frames_are_kept(bench: Bench) -> None:
    bench.leave(*range(50))
    bench.wait_for(lambda: bench.total(DROPPED, reason="full") == 40, "40 frames are pushed out")
    assert bench.total("agegender_buffered_messages", camera="door") == 10
    assert bench.taken() == list(range(40, 50))
    bench.outbox.commit()
    assert bench.total("agegender_buffered_messages") == 0
    assert bench.total(DROPPED) == 40


def test_a_complete_camera_waits_when_its_place_is_full_and_loses_nothing(bench: Bench) -> None:
    reader = threading.Thread(target=bench.leave, args=range(60), kwargs={"mode": "complete"}, daemon=True)
    reader.start()
    bench.wait_for(lambda: bench.total("agegender_buffered_messages") == 10, "its place is full")
    bench.leave(*range(5), camera="hall")
    bench.wait_for(lambda: bench.total("agegender_buffered_messages", camera="hall") == 5, "others go on")
    assert reader.is_alive()
    found: list[tuple[str, int]] = []

    def all_came() -> bool:
        for one in bench.outbox.poll(100, 0.1):
            assert isinstance(one.message, Frame)
            found.append((one.message.camera_id, one.message.info.sequence))
        bench.outbox.commit()
        return len(found) == 65

    wait_until(all_came, 10, "all frames come, as those before them are worked off")
    for camera, number in (("door", 60), ("hall", 5)):
        assert [one for name, one in found if name == camera] == list(range(number))
    assert bench.total(DROPPED) == 0


def test_while_the_topics_are_not_worked_off_nothing_complete_is_handed_out(bench: Bench) -> None:
    bench.waiting = 25
    bench.leave(0, mode="complete")
    bench.wait_for(lambda: bench.total("agegender_buffered_messages") == 1, "the frame is there")
    assert bench.taken() == []
    bench.waiting = 24
    bench.wait_for(lambda: bench.taken() == [0], "it is handed out")


def test_what_no_frame_can_be_made_of_is_counted_by_its_reason(bench: Bench) -> None:
    bench.cameras.mailbox.put(captured(0, readable=False), WhenFull.WAIT)
    bench.leave(1)
    bench.wait_for(lambda: bench.taken() == [1], "the next one comes")
    assert bench.total(DROPPED, reason="undecodable") == 1


def test_what_was_not_published_by_the_end_is_counted(bench: Bench) -> None:
    bench.leave(*range(6))
    bench.wait_for(lambda: bench.total("agegender_buffered_messages") == 6, "all are there")
    assert bench.taken(2) == [0, 1]
    bench.outbox.commit()
    assert bench.taken(2) == [2, 3]
    bench.outbox.close()
    assert bench.total(DROPPED, reason="stopped") == 4, "two in hand and two that nobody took"
    assert bench.total("agegender_buffered_messages") == 0


def test_frames_wait_while_the_cameras_may_be_anothers_and_those_of_lost_ones_are_dropped(
    bench: Bench,
) -> None:
    bench.leave(0, 1)
    bench.leave(0, camera="hall")
    bench.wait_for(lambda: bench.total("agegender_buffered_messages") == 3, "all are there")
    bench.cameras.lost = True

    def refused() -> bool:
        try:
            bench.outbox.poll(0, 0.1)
        except NotNow as error:
            return "another worker's" in str(error)
        return False

    bench.wait_for(refused, "nothing is handed out")
    bench.cameras.not_ours.add("hall")
    bench.cameras.lost = False
    bench.wait_for(lambda: not refused(), "the cameras are ours again")
    assert bench.taken() == [0, 1]
    assert bench.total(DROPPED, camera="hall", reason="stale") == 1


def test_what_was_kept_of_a_camera_that_was_anothers_in_between_is_dropped(bench: Bench) -> None:
    bench.leave(0, 1)
    bench.wait_for(lambda: bench.total("agegender_buffered_messages", camera="door") == 2, "both are kept")
    bench.cameras.not_ours.add("door")
    bench.wait_for(lambda: bench.total(DROPPED, camera="door", reason="stale") == 2, "they are dropped")
    bench.cameras.not_ours.clear()
    bench.leave(2)
    bench.wait_for(lambda: bench.taken() == [2], "the next one is handed out")


def test_the_end_comes_when_everything_was_handed_out(bench: Bench) -> None:
    bench.leave(0, 1, mode="complete")
    bench.cameras.mailbox.finished()
    found: list[int] = []
    while not bench.outbox.exhausted:
        found += bench.taken()
    assert found == [0, 1]


def test_an_error_of_the_thread_ends_the_run(bench: Bench) -> None:
    bench.cameras.error = ZeroDivisionError("a mistake of ours")

    def raises() -> bool:
        try:
            bench.taken()
        except ZeroDivisionError:
            return True
        return False

    bench.wait_for(raises, "the error is raised by poll")


def test_who_publishes_nothing_and_does_not_say_why_gets_no_frames(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agegender.services.ingest.publish.outbox._HUNG_S", 0.3)
    bench.outbox.keep_alive()
    bench.leave(0)
    bench.wait_for(lambda: bench.total("agegender_buffered_messages") == 1, "the frame is there")
    threading.Event().wait(0.5)
    bench.leave(1)
    assert bench.total("agegender_buffered_messages") == 1
    bench.outbox.keep_alive()
    bench.wait_for(lambda: bench.total("agegender_buffered_messages") == 2, "it goes on")
