"""The order, repeats and delays of messages do not change what the store holds in the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, cast

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender.shared.messages.pipeline import Result, TrackSummary, TrackUpdate
from agegender.shared.messages.visits import Visit
from agegender.shared.store import Period
from tests.support.made_messages import face_info, frame_info, result, track_summary, track_update, vote
from tests.support.sink import Sink, opened_sink

T0 = 1_700_000_000.0
Message = Result | TrackUpdate
Contents = dict[str, Any]


@dataclass(frozen=True)
class MadeVisit:
    """One visit, as a test makes it up."""

    camera_id: str
    stream_id: str
    came: int
    """In seconds after T0."""
    stayed: int
    ages: tuple[int, ...]
    """The age of each vote, in years."""
    male_probability: float
    left: bool


_MADE_VISITS = st.builds(
    MadeVisit,
    camera_id=st.sampled_from(["door", "hall", "hall.2"]),
    stream_id=st.sampled_from(["s1", "s2"]),
    came=st.integers(0, 200),
    stayed=st.integers(1, 5),
    ages=st.lists(st.integers(5, 80), max_size=4).map(tuple),
    male_probability=st.sampled_from([0.02, 0.45, 0.6, 0.98]),
    left=st.booleans(),
)


def story(visits: Sequence[MadeVisit]) -> list[Message]:
    """All messages of these visits, in the order in which they would be sent."""
    timed: list[tuple[float, Message]] = []
    scenes: dict[tuple[str, str, int], list[TrackSummary]] = {}
    for number, one in enumerate(visits):
        track_id = f"{one.stream_id}-{number}"
        for second in range(1, one.stayed + 1):
            votes = len(one.ages) * second // one.stayed
            scenes.setdefault((one.camera_id, one.stream_id, one.came + second), []).append(
                track_summary(
                    track_id,
                    first_seen_s=T0 + one.came,
                    seconds=second,
                    frames=5 * second,
                    votes_sent=votes,
                    unclassified=None if votes else "too-small",
                    ended=one.left and second == one.stayed,
                )
            )
        for place, age in enumerate(one.ages, 1):
            classified = vote(
                track_id,
                place,
                camera_id=one.camera_id,
                age_years=age,
                male_probability=one.male_probability,
                captured_at_s=T0 + one.came + place / len(one.ages),
            )
            timed.append((classified.captured_at_s, classified))
    for (camera_id, stream_id, second), tracks in scenes.items():
        frame = frame_info(camera_id, stream_id, second, T0 + second)
        timed.append((T0 + second, track_update(*tracks, frame=frame)))
        timed.append((T0 + second, result(face_info(frame, 900))))
    return [message for _, message in sorted(timed, key=lambda one: one[0])]


_STORIES = st.lists(_MADE_VISITS, max_size=8).map(story)


def batches(messages: Sequence[Message], chance: Random) -> Iterator[list[Message]]:
    """The messages in batches of any size; after some batches the sink crashes, and they come again."""
    start = 0
    while start < len(messages):
        size = chance.randint(1, 9)
        yield list(messages[start : start + size])
        if chance.random() < 0.8:
            start += size


def disturbed(messages: Sequence[Message], chance: Random) -> list[Message]:
    """The messages in any order, some of them twice."""
    found = [*messages, *chance.sample(messages, k=len(messages) // 3)]
    chance.shuffle(found)
    return found


def contents(client: redis.Redis) -> Contents:
    """All that the store holds, but times of writing and the order of streams."""
    return {key.decode(): _content(client, key.decode()) for key in client.scan_iter(count=1_000)}


def _content(client: redis.Redis, key: str) -> Any:  # noqa: ANN401  (depends on the type of the key)
    match client.type(key):
        case b"hash" if key.endswith(":state"):
            return {k: v for k, v in client.hgetall(key).items() if k not in _OF_WRITING}
        case b"hash":
            return client.hgetall(key)
        case b"zset" if key.endswith(":visits"):
            return client.zrange(key, 0, -1, withscores=True)
        case b"zset":
            return sorted(client.zrange(key, 0, -1))
        case b"stream":
            entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(key))
            return sorted(value for _, fields in entries for value in fields.values())
        case _:
            return client.get(key)


_OF_WRITING = {b"version", b"written_at_s", b"delay_s"}


def write_in_order(url: str, messages: Sequence[Message]) -> Contents:
    """What the store holds after an undisturbed run."""
    with opened_sink(url) as sink:
        sink.client.flushall()
        sink.output.write(messages)
        found = contents(sink.client)
        sink.client.flushall()
    return found


def visits(sink: Sink) -> dict[tuple[str, str], Visit]:
    page = sink.store.visits(limit=10_000)
    return {(visit.camera_id, visit.track_id): visit for visit in page.items}


def assert_counts_equal_visits(sink: Sink, found: Sequence[Visit]) -> None:
    periods: tuple[tuple[Period, int], ...] = (("minute", 60), ("hour", 3600), ("day", 86_400))
    for by, length_s in periods:
        counts = sink.store.counts(since_s=T0, until_s=T0 + 1_000, by=by)
        expected = Counter(
            (p.first_seen_s // length_s * length_s, p.camera_id, p.age_band, p.gender) for p in found
        )
        assert {(c.start_s, c.camera_id, c.age_band, c.gender): c.visits for c in counts} == expected


@settings(max_examples=12, deadline=None)
@given(_STORIES, st.randoms(use_true_random=False))
def test_order_and_repeats_of_messages_do_not_change_the_store(
    redis_url: str, messages: list[Message], chance: Random
) -> None:
    expected = write_in_order(redis_url, messages)
    with opened_sink(redis_url) as sink:
        for batch in batches(disturbed(messages, chance), chance):
            sink.output.write(batch)
        assert contents(sink.client) == expected


@settings(max_examples=6, deadline=None)
@given(_STORIES, st.randoms(use_true_random=False))
def test_counts_always_equal_visits_and_closed_ones_never_change(
    redis_url: str, messages: list[Message], chance: Random
) -> None:
    with opened_sink(redis_url) as sink:
        sink.client.flushall()
        closed: dict[tuple[str, str], Visit] = {}
        for batch in batches(disturbed(messages, chance), chance):
            sink.output.write(batch)
            found = visits(sink)
            assert_counts_equal_visits(sink, list(found.values()))
            assert {name: found[name] for name in closed} == closed
            closed = {name: visit for name, visit in found.items() if visit.closed is not None}
            for camera_id in {camera_id for camera_id, _ in closed}:
                mine = [visit for visit in closed.values() if visit.camera_id == camera_id]
                assert sorted(sink.closed(camera_id), key=_id) == sorted(mine, key=_id)


def _id(visit: Visit) -> str:
    return visit.track_id


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_sinks_at_once_leave_the_same_store(redis_url: str, seed: int) -> None:
    chance = Random(seed)  # noqa: S311  (a test)
    visits = [
        MadeVisit(
            "door", "s1", chance.randint(0, 5), chance.randint(2, 6), (20, 30 + n, 40), 0.9, left=n % 3 > 0
        )
        for n in range(20)
    ]
    messages = story(visits)
    expected = write_in_order(redis_url, messages)
    shares = [disturbed(messages[half::2] + messages[::5], chance) for half in (0, 1)]
    errors: list[BaseException] = []
    ready = threading.Barrier(2, timeout=10)

    def work(share: Sequence[Message], own: Random) -> None:
        try:
            with opened_sink(redis_url) as sink:
                ready.wait()
                for batch in batches(share, own):
                    sink.output.write(batch)
        except BaseException as error:  # noqa: BLE001  (raised again below)
            errors.append(error)

    chances = [Random(chance.random()) for _ in shares]  # noqa: S311  (a test)
    threads = [threading.Thread(target=work, args=one) for one in zip(shares, chances, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with redis.Redis.from_url(redis_url) as client:
        assert contents(client) == expected
