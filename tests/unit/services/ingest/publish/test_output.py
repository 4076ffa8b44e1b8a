"""Frames are accepted at once and sent by a thread; every frame that is not sent is counted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from agegender.services.ingest.publish.backpressure import Backpressure
from agegender.services.ingest.publish.buffer import FrameBuffer
from agegender.services.ingest.publish.output import BufferedOutput
from agegender.shared.errors import NotNow
from agegender.shared.messages.pipeline import Frame, Mode
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.transport import Backlog
from tests.support.made_messages import frame_info
from tests.support.waiting import wait_until

JPEG = bytes(1_000)
NOW_S = 1_700_000_000.0
DROPPED = "agegender_messages_dropped_total"
BUFFERED = "agegender_buffered_messages"
SENT = "agegender_messages_sent_total"


@dataclass
class Server:
    """A server that can be away or broken, and keeps what it is sent."""

    sent: list[Frame] = field(default_factory=list)
    away: bool = False
    error: Exception | None = None
    closed: bool = False

    def open(self) -> None: ...

    def write(self, messages: Sequence[Frame]) -> None:
        if self.error is not None:
            raise self.error
        if self.away:
            raise NotNow("Kafka: no answer")
        self.sent += messages

    def close(self) -> None:
        self.closed = True

    def numbers(self, camera: str = "door") -> list[int]:
        return [one.info.sequence for one in self.sent if one.camera_id == camera]


@dataclass
class Cameras:
    """Which cameras are ours, and which are held."""

    held: Collection[str] = ()
    lost: set[str] = field(default_factory=set)
    is_owner: bool = True

    def hold(self, camera_ids: Collection[str]) -> None:
        self.held = camera_ids

    def is_ours(self, camera_id: str) -> bool:
        return camera_id not in self.lost


@dataclass
class Bench:
    """An output that keeps ten frames of each camera and sends at most 25 of files ahead of detect."""

    server: Server = field(default_factory=Server)
    cameras: Cameras = field(default_factory=Cameras)
    metrics: Metrics = field(default_factory=lambda: Metrics(CollectorRegistry()))
    backlog: int = 0
    now_s: float = NOW_S
    output: BufferedOutput = field(init=False)
    health: Health = field(init=False)

    def __post_init__(self) -> None:
        self.health = Health("ingest", self.metrics)
        self.health.ready()
        self.output = BufferedOutput(
            self.server,
            self.cameras,
            FrameBuffer(10 * len(JPEG)),
            Backpressure(lambda: {"detect": Backlog(self.backlog, None)}, 25, "detect"),
            Deadline(30.0),
            metrics=self.metrics,
            health=self.health,
            grace_s=0.5,
            clock=lambda: self.now_s,
        )
        self.output.open()

    def write(self, *numbers: int, camera: str = "door", mode: Mode = "live") -> None:
        for number in numbers:
            info = frame_info(camera, sequence=number)
            info = info.model_copy(update={"mode": mode, "captured_at_s": NOW_S, "published_at_s": NOW_S})
            self.output.write([Frame(info=info, jpeg=JPEG)])

    def total(self, name: str, **labels: str) -> float:
        return self.metrics.total(name, **labels)

    def wait_for(self, what: Callable[[], bool], why: str) -> None:
        wait_until(what, 5, why)

    def go_away(self) -> None:
        """The server goes away, and one frame is in hand of the thread that tries to send it."""
        self.server.away = True
        self.write(0, camera="first")
        self.wait_for(lambda: self.health.waiting_for == "Kafka: no answer", "the thread waits")


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(cameras=getattr(request, "param", None) or Cameras())
    yield made
    made.output.close()


def test_frames_are_sent_in_order_with_the_time_of_sending(bench: Bench) -> None:
    bench.now_s = NOW_S + 7.0
    bench.write(*range(8))
    bench.wait_for(lambda: bench.total(SENT, service="ingest", kind="frame") == 8, "all are counted")
    assert bench.server.numbers() == list(range(8))
    assert {one.info.published_at_s for one in bench.server.sent} == {NOW_S + 7.0}
    assert {one.jpeg for one in bench.server.sent} == {JPEG}
    assert bench.total(BUFFERED) == 0


def test_the_newest_frames_of_a_live_camera_are_kept(bench: Bench) -> None:
    bench.go_away()
    bench.write(*range(50))
    assert bench.total(DROPPED, reason="full") == 40
    assert bench.total(BUFFERED, camera="door") == 10
    assert bench.total(SENT) == 0
    bench.server.away = False
    bench.wait_for(lambda: bench.server.numbers() == list(range(40, 50)), "the newest ten are sent")
    bench.wait_for(lambda: bench.total(BUFFERED) == 0, "none is kept")
    assert bench.total(DROPPED) == 40


def test_a_complete_camera_is_held_while_its_buffer_is_full(bench: Bench) -> None:
    bench.go_away()
    bench.write(*range(9), mode="complete")
    assert bench.cameras.held == frozenset()
    bench.write(9, mode="complete")
    assert bench.cameras.held == {"door"}
    bench.server.away = False
    bench.wait_for(lambda: bench.cameras.held == frozenset(), "it is held no more")
    bench.wait_for(lambda: bench.server.numbers() == list(range(10)), "all are sent")
    assert bench.total(DROPPED) == 0


def test_complete_frames_wait_for_the_backlog(bench: Bench) -> None:
    bench.backlog = 25
    bench.write(0, mode="complete")
    bench.write(0, camera="hall")
    bench.wait_for(lambda: bench.server.numbers("hall") == [0], "the live frame is sent")
    assert bench.server.numbers() == []
    bench.backlog = 24
    bench.wait_for(lambda: bench.server.numbers() == [0], "the frame of the file is sent")


def test_a_live_frame_that_waited_too_long_is_dropped(bench: Bench) -> None:
    bench.go_away()
    bench.write(0)
    bench.write(0, camera="file", mode="complete")
    bench.now_s = NOW_S + 31.0
    bench.server.away = False
    bench.wait_for(lambda: bench.server.numbers("file") == [0], "the complete frame is sent")
    assert bench.server.numbers() == []
    assert bench.total(DROPPED, camera="door", reason="stale") == 1


def test_readiness_and_retries_show_that_kafka_is_away(bench: Bench) -> None:
    bench.go_away()
    bench.health.ready()
    assert bench.health.waiting_for == "Kafka: no answer"
    assert bench.health.is_live
    assert bench.total("agegender_retries_total", service="ingest") >= 1
    bench.server.away = False
    bench.wait_for(lambda: bench.health.waiting_for is None, "it is ready again")


@pytest.mark.parametrize("bench", [Cameras(is_owner=False)], indirect=True)
def test_nothing_is_sent_while_ownership_is_unsure(bench: Bench) -> None:
    bench.write(0, 1)
    bench.write(0, camera="hall")
    bench.cameras.lost.add("hall")
    bench.wait_for(lambda: bench.total(DROPPED, camera="hall", reason="stale") == 1, "hall is dropped")
    assert bench.server.sent == []
    bench.cameras.is_owner = True
    bench.wait_for(lambda: bench.server.numbers() == [0, 1], "the frames of the kept camera are sent")
    assert bench.server.numbers("hall") == []


def test_frames_kept_before_a_takeover_are_dropped(bench: Bench) -> None:
    bench.go_away()
    bench.write(0, 1)
    bench.cameras.lost.add("door")
    bench.wait_for(lambda: bench.total(DROPPED, camera="door", reason="stale") == 2, "they are dropped")
    bench.cameras.lost.clear()
    bench.server.away = False
    bench.write(2)
    bench.wait_for(lambda: bench.server.numbers() == [2], "only the frame after the takeover is sent")


def test_close_sends_what_is_left(bench: Bench) -> None:
    bench.go_away()
    bench.write(*range(6))
    bench.server.away = False
    bench.output.close()
    assert bench.server.numbers() == list(range(6))
    assert bench.total(DROPPED) == 0
    assert bench.server.closed


def test_close_drops_what_cannot_be_sent_in_time(bench: Bench) -> None:
    bench.go_away()
    bench.write(*range(6))
    bench.output.close()
    assert bench.total(DROPPED, reason="stopped") == 7, "one in hand and six in the buffer"
    assert bench.total(BUFFERED) == 0
    assert bench.server.sent == []


def test_close_does_not_wait_for_the_backlog() -> None:
    bench = Bench(backlog=25)
    bench.write(0, mode="complete")
    bench.output.close()
    assert bench.total(DROPPED, reason="stopped") == 1


def test_an_error_of_the_thread_is_raised_by_write(bench: Bench) -> None:
    bench.server.error = ZeroDivisionError("a mistake of ours")
    bench.write(0)

    def raises() -> bool:
        try:
            bench.output.write(())
        except ZeroDivisionError:
            return True
        return False

    bench.wait_for(raises, "the error is raised")
