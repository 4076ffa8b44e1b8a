"""Partitions on a real broker have one owner at a time, by load, and only during its lease."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Set

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove

from agegender.shared.kafka.group import KafkaGroup
from agegender.shared.kafka.topic_admin import ensure_compacted_topic
from agegender.shared.process.settings import KafkaSettings
from tests.support.waiting import wait_until

PARTITIONS = 16
SLOW_S = 0.4
"""How long a member of these tests takes to give up partitions."""


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", session_timeout_s=6)
    ensure_compacted_topic(settings, f"{random_suffix}-work", PARTITIONS)
    return settings


class Floor:
    """On which members work: it notes when two of them ever work on the same partition."""

    def __init__(self, weights: Mapping[int, int] | None = None) -> None:
        self.weights = dict(weights or {})
        self.twice: list[tuple[str, str, int]] = []
        self._lock = threading.Lock()
        self._working: dict[str, set[int]] = {}

    def works(self, name: str, partitions: Set[int]) -> None:
        """From now on, `name` works on these."""
        with self._lock:
            self._working[name] = set(partitions)
            self.twice += [
                (name, other, part)
                for other, parts in self._working.items()
                if other != name
                for part in parts & partitions
            ]

    def of(self, name: str) -> set[int]:
        """What `name` works on."""
        return self._working.get(name, set())

    def load(self, *names: str) -> list[int]:
        """The weights of what they work on."""
        return sorted(sum(self.weights.get(part, 0) for part in self.of(name)) for name in names)

    def all_taken(self, *names: str) -> bool:
        """Whether these members work on all partitions."""
        return set().union(*map(self.of, names)) == set(range(PARTITIONS))


class Member:
    """Polls in a thread, as a worker does, and is slow to give up."""

    def __init__(self, name: str, floor: Floor, settings: KafkaSettings) -> None:
        self.name = name
        self._floor = floor
        topic = f"{settings.topic_prefix}work"
        self.given_up: list[Set[int]] = []
        self.group = KafkaGroup(topic, "workers", settings, lambda: floor.weights, self._give_up)
        self._stop = threading.Event()
        self.paused = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def __enter__(self) -> Member:
        self.group.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.group.close()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            if not self.paused.is_set():
                self.group.poll(0.1)
                self._floor.works(self.name, self.group.held)

    def _give_up(self, partitions: Set[int]) -> None:
        # Longer than two members need for a round.
        time.sleep(SLOW_S)
        self.given_up.append(partitions)
        self._floor.works(self.name, self._floor.of(self.name) - partitions)


@contextlib.contextmanager
def working(floor: Floor, settings: KafkaSettings, *names: str) -> Iterator[list[Member]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Member(name, floor, settings)) for name in names]


def test_no_partition_ever_has_two_members(settings: KafkaSettings) -> None:
    floor = Floor(dict.fromkeys(range(6), 1))
    with working(floor, settings, "a") as (first,):
        wait_until(lambda: floor.all_taken("a"), 20, "one has all")
        with working(floor, settings, "b", "c"):
            wait_until(
                lambda: floor.all_taken("a", "b", "c") and floor.load("a", "b", "c") == [2, 2, 2],
                20,
                "three share the load",
            )
            kept = floor.of("a")
        wait_until(lambda: floor.all_taken("a"), 20, "one has all again")
        assert first.given_up
        assert all(not given & kept for given in first.given_up)
    assert floor.of("a") == set()
    assert floor.twice == []


def test_loads_that_grow_apart_are_evened_out_with_few_moves(settings: KafkaSettings) -> None:
    floor = Floor()
    with working(floor, settings, "a", "b") as members:
        wait_until(
            lambda: floor.all_taken("a", "b") and floor.of("a") and floor.of("b"), 20, "both have some"
        )
        floor.weights = dict.fromkeys(list(floor.of("a"))[:6], 1)
        wait_until(lambda: floor.load("a", "b") == [3, 3], 20, "the load is shared")
        moved = [part for member in members for given in member.given_up for part in given]
        assert sum(part in floor.weights for part in moved) == 3
    assert floor.twice == []


def test_a_member_without_polls_considers_everything_lost(settings: KafkaSettings) -> None:
    floor = Floor()
    with working(floor, settings, "a") as (member,):
        assert not member.group.is_ours()
        wait_until(lambda: floor.all_taken("a"), 20, "it has all")
        assert member.group.is_ours()
        member.paused.set()
        started_s = time.monotonic()
        wait_until(lambda: not member.group.is_ours(), 7, "its lease is over")
        assert 4 < time.monotonic() - started_s < 6
        member.paused.clear()
        wait_until(member.group.is_ours, 5, "it is sure again")
        assert member.given_up == []
    assert not member.group.is_ours()


def test_a_removed_member_gives_up_everything(settings: KafkaSettings) -> None:
    floor = Floor()
    name = f"{settings.topic_prefix}workers"
    with (
        KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers) as admin,
        working(floor, settings, "a") as (member,),
    ):
        wait_until(lambda: floor.all_taken("a"), 20, "it has all")
        (description,) = admin.describe_groups([name]).values()
        (membership,) = description["members"]
        admin.remove_group_members(name, [MemberToRemove(member_id=membership["member_id"])])
        wait_until(lambda: member.given_up == [set(range(PARTITIONS))], 20, "it gives everything up")
        wait_until(lambda: floor.all_taken("a") and member.group.is_ours(), 20, "it comes back")
