"""Backpressure limits the speed of files."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agegender.services.ingest.publish.backpressure import NO_ROOM, Backpressure
from agegender.shared.errors import NotNow
from agegender.shared.runtime.transport import Backlog


class World:
    """The backlog of each group, and the time. Counts the requests."""

    def __init__(self, **waiting: int) -> None:
        self.now_s = 100.0
        self.asked = 0
        self.done: int | None = None
        self.is_overloaded = False
        self.waiting: dict[str, int] | None = {"detect": 0, "classify": 0, "sink": 0, **waiting}

    def ask(self) -> Mapping[str, Backlog]:
        self.asked += 1
        if self.waiting is None:
            raise NotNow("Kafka: no answer")
        return {group: Backlog(number, self.done) for group, number in self.waiting.items()}


def backpressure(world: World, most: int = 50) -> Backpressure:
    return Backpressure(world.ask, most, "detect", lambda: world.is_overloaded, clock=lambda: world.now_s)


@pytest.mark.parametrize(
    ("waiting", "room"),
    [({}, 50), ({"detect": 20}, 30), ({"detect": 20, "sink": 45}, 5), ({"classify": 1_000}, 0)],
)
def test_room_is_what_the_longest_backlog_leaves(waiting: dict[str, int], room: int) -> None:
    assert backpressure(World(**waiting)).room() == (room, room)


def test_published_frames_take_room_until_the_next_look() -> None:
    world = World()
    paced = backpressure(world)
    for left in (50, 40, 30):
        assert paced.room() == (left, left)
        paced.spend(10)
    assert world.asked == 1
    world.waiting = {"detect": 15}
    world.now_s += 1.0
    assert (paced.room(), world.asked) == ((35, 35), 2)


def test_where_there_is_no_room_it_looks_more_often() -> None:
    world = World()
    paced = backpressure(world)
    paced.spend(paced.room().cameras)
    assert (paced.room(), world.asked) == (NO_ROOM, 1)
    world.now_s += 0.2
    assert (paced.room(), world.asked) == ((50, 50), 2)


def test_what_is_not_known_is_no_room_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "agegender.services.ingest.publish.backpressure")
    world = World()
    world.waiting = None
    paced = backpressure(world)
    assert paced.room() == NO_ROOM
    assert [vars(one)["reason"] for one in caplog.records] == ["Kafka: no answer"]
    world.waiting = {"detect": 0}
    world.now_s += 0.2
    assert paced.room() == (50, 50)


def test_the_reason_why_files_wait_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "agegender.services.ingest.publish.backpressure")
    world = World(classify=60)
    paced = backpressure(world)
    for _ in range(100):
        paced.room()
        world.now_s += 1.0
    said = [(one.getMessage(), vars(one)["reason"]) for one in caplog.records]
    assert said == [("complete sources wait", "60 messages are unread by classify")] * 2


def test_detect_gets_two_seconds_of_work_of_files_ahead() -> None:
    """A live frame behind the frames of a file waits no longer. A camera cannot wait."""
    world = World()
    world.done = 1_000
    paced = backpressure(world, most=500)
    assert paced.room() == (500, 8), "its speed is not known yet"
    for speed_hz, room in ((8, 16), (16, 32), (30, 60), (30, 60)):
        world.now_s += 1.0
        world.done += speed_hz
        assert paced.room() == (500, room)
    world.waiting = {"detect": 45}
    world.now_s += 1.0
    assert paced.room() == (455, 15)


def test_a_detect_that_is_away_may_have_the_whole_backlog() -> None:
    world = World()
    world.done = 1_000
    paced = backpressure(world)
    for _ in range(12):
        paced.room()
        world.now_s += 1.0
    assert paced.room() == (50, 50)


def test_files_wait_while_live_cameras_are_thinned(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "agegender.services.ingest.publish.backpressure")
    world = World()
    paced = backpressure(world)
    world.is_overloaded = True
    assert paced.room() == (50, 0)
    assert [vars(one)["reason"] for one in caplog.records] == [
        "live cameras come first, and they need all that detect can do"
    ]
    world.is_overloaded = False
    world.now_s += 1.0
    assert paced.room() == (50, 50)
