"""The store hears which cameras give no frames, and is not flooded with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from agegender.services.ingest.publish import notices as notices_module
from agegender.services.ingest.publish.notices import NotedCameras
from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.shared.errors import NotNow
from agegender.shared.messages.pipeline import CameraNotice
from agegender.shared.runtime.transport import Delivery
from tests.support.made_messages import camera_notice
from tests.support.waiting import wait_until

NOW_S = 1_700_000_000.0


@dataclass
class Cameras:
    """Cameras whose state a test sets."""

    notices: Mapping[str, CameraNotice | None] = field(default_factory=dict)
    is_owner: bool = True
    exhausted: bool = False

    def open(self) -> None:
        """Nothing."""

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[CapturedFrame]]:  # noqa: ARG002
        """No frames."""
        return ()

    def commit(self) -> None:
        """Nothing."""

    def keep_alive(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@dataclass
class Store:
    """Keeps what it is told."""

    told: list[tuple[str, str, str | None]] = field(default_factory=list)
    looks: int = 0
    away: bool = False
    is_open: bool = False

    def open(self) -> None:
        self.is_open = True

    def write(self, messages: Sequence[CameraNotice]) -> None:
        self.looks += 1
        if self.away:
            raise NotNow("Kafka: no answer")
        self.told += [(one.camera_id, one.state, one.reason) for one in messages]

    def close(self) -> None:
        self.is_open = False

    def wait_for_looks(self, number: int = 3) -> None:
        after = self.looks + number
        wait_until(lambda: self.looks >= after, 10, "the cameras are looked at again")


@dataclass
class Bench:
    cameras: Cameras = field(default_factory=Cameras)
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        self.noted = NotedCameras(self.cameras, self.store, clock=lambda: NOW_S + 60)
        self.noted.open()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(notices_module, "_LOOK_EVERY_S", 0.01)
    made = Bench()
    yield made
    made.noted.close()


def test_a_failure_is_told_once_and_its_change_again(bench: Bench) -> None:
    bench.cameras.notices = {"door": camera_notice("door"), "hall": None}
    bench.store.wait_for_looks()
    assert bench.store.told == [("door", "failing", "login")]
    bench.cameras.notices = {"door": camera_notice("door", reason="refused"), "hall": None}
    bench.store.wait_for_looks()
    assert bench.store.told[1:] == [("door", "failing", "refused")]


def test_a_lasting_failure_is_told_again_and_again(bench: Bench) -> None:
    for number in range(3):
        bench.cameras.notices = {"door": camera_notice("door", noticed_at_s=NOW_S + 10 * number)}
        bench.store.wait_for_looks()
    assert bench.store.told == [("door", "failing", "login")] * 3


def test_a_failure_after_a_recovery_is_told_at_once(bench: Bench) -> None:
    failing = {"door": camera_notice("door")}
    for state in (failing, {"door": None}, failing):
        bench.cameras.notices = state
        bench.store.wait_for_looks()
    assert bench.store.told == [("door", "failing", "login")] * 2


def test_a_camera_that_is_not_read_any_more_has_stopped(bench: Bench) -> None:
    bench.cameras.notices = {"door": None, "hall": camera_notice("hall")}
    bench.store.wait_for_looks()
    bench.cameras.notices = {"door": None}
    bench.store.wait_for_looks()
    assert bench.store.told[1:] == [("hall", "stopped", None)]
    bench.noted.close()
    assert bench.store.told[2:] == [("door", "stopped", None)]
    assert not bench.store.is_open


def test_what_could_not_be_told_is_told_later(bench: Bench) -> None:
    bench.store.away = True
    bench.cameras.notices = {"door": camera_notice("door")}
    bench.store.wait_for_looks()
    assert bench.store.told == []
    bench.store.away = False
    bench.store.wait_for_looks()
    assert bench.store.told == [("door", "failing", "login")]


def test_a_worker_that_lost_its_cameras_tells_nothing(bench: Bench) -> None:
    bench.cameras.is_owner = False
    bench.cameras.notices = {"door": camera_notice("door")}
    bench.noted.close()
    assert bench.store.told == []
