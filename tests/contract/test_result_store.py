"""How the sink stores results, and how it treats a server that is away, on every kind of server."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender.services.sink.config import SinkSettings
from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.messages.pipeline import Result
from agegender.shared.process import secrets
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import CAMERAS_KEY, SCHEMA_KEY, CameraKeys, connect
from agegender.shared.store.schema import SCHEMA
from tests.support.made_messages import face_info, frame_info, result, unclassified_result
from tests.support.redis_server import RedisServer
from tests.support.sink import Sink, opened_sink

NEW, REPEATED = "agegender_results_written_total", "agegender_results_repeated_total"


@pytest.fixture
def sink(redis_database: str) -> Iterator[Sink]:
    with opened_sink(redis_database) as one:
        yield one


def of_frame(sequence: int, *, camera: str = "cam1", stream: str = "s1", faces: int = 1) -> list[Result]:
    frame = frame_info(camera, stream, sequence, captured_at_s=1_600_000_000.0 + sequence)
    return [result(face_info(frame, index, faces), age_years=20.0 + index) for index in range(faces)]


def listed(sink: Sink) -> list[str]:
    return [state.camera_id for state in sink.store.cameras()]


def stored(sink: Sink, camera: str = "cam1") -> list[Result]:
    return [one.result for one in sink.store.results(camera, limit=10_000)]


def test_what_is_written_can_be_read(redis_database: str) -> None:
    first, second = of_frame(1, faces=2), of_frame(2)
    with opened_sink(redis_database) as sink:
        sink.output.write([*first, *second])
        assert stored(sink) == [*first, *second]
        assert listed(sink) == ["cam1"]
        (newest,) = sink.store.results("cam1", limit=1)
        assert newest.result == second[0]
        assert newest.delay_s == newest.written_at_s - newest.result.captured_at_s > 0


def test_an_unclassified_face_is_kept_and_counted_without_an_age(sink: Sink) -> None:
    frame = frame_info()
    small = unclassified_result(face_info(frame, 1, 3))
    blurred = unclassified_result(face_info(frame, 2, 3), "too-blurred")
    sink.output.write([result(face_info(frame, 0, 3), age_years=5.0), small, blurred])
    assert stored(sink)[1:] == [small, blurred]
    assert sink.metrics.by_label(NEW, "age_band") == {"0-9": 1, "too-small": 1, "too-blurred": 1}


def test_a_store_without_results_is_empty(sink: Sink) -> None:
    assert sink.store.cameras() == []
    assert sink.store.results("cam1") == []
    assert sink.store.now() == []
    sink.output.write([])
    assert sink.client.dbsize() == 0


_FRAMES = st.lists(
    st.tuples(st.sampled_from(["cam1", "cam2"]), st.sampled_from(["s1", "s2"]), st.integers(0, 12)),
    min_size=1,
    max_size=6,
    unique=True,
)


@settings(max_examples=12, deadline=None)
@given(_FRAMES, st.integers(1, 3), st.integers(1, 5), st.randoms(use_true_random=False))
def test_order_and_repeats_of_results_do_not_change_the_store(
    redis_url: str, frames: list[tuple[str, str, int]], faces: int, batch: int, chance: random.Random
) -> None:
    results = [
        one
        for camera, stream, sequence in frames
        for one in of_frame(sequence, camera=camera, stream=stream, faces=faces)
    ]
    arriving = results + chance.sample(results, k=len(results) // 2)
    chance.shuffle(arriving)
    with opened_sink(redis_url) as sink:
        sink.client.flushall()
        for start in range(0, len(arriving), batch):
            sink.output.write(arriving[start : start + batch])
        cameras = {camera for camera, _, _ in frames}
        assert set(listed(sink)) == cameras
        for camera in cameras:
            expected = [one for one in results if one.camera_id == camera]
            assert sorted(map(_face_id, stored(sink, camera))) == sorted(map(_face_id, expected))
        assert sink.metrics.total(NEW) == len(results)
        assert sink.metrics.total(REPEATED) == len(arriving) - len(results)


def _face_id(result: Result) -> str:
    return result.face.face_id


def test_the_streams_and_the_remembered_faces_are_limited(redis_database: str) -> None:
    bounded = SinkSettings(results_per_camera=50, remembered_faces=1_000)
    ticks = iter(range(1_700_000_000, 1_800_000_000))
    with opened_sink(redis_database, bounded, now_s=lambda: float(next(ticks))) as sink:
        for start in range(0, 2_000, 500):
            sink.output.write([one for n in range(start, start + 500) for one in of_frame(n)])
        keys = CameraKeys.of("cam1")
        assert 50 <= sink.client.xlen(keys.results) <= 50 + 100, "whole blocks of entries are cut off"
        assert sink.client.zcard(keys.seen) == 1_000
        sink.output.write([one for n in range(1_000, 2_000) for one in of_frame(n)])
        assert sink.metrics.total(NEW) == 2_000
        assert sink.metrics.total(REPEATED, camera="cam1") == 1_000


def test_a_camera_whose_clock_is_years_behind_is_listed(sink: Sink) -> None:
    sink.output.write([result(face_info(frame_info(captured_at_s=0.0)))])
    assert listed(sink) == ["cam1"]


def test_a_result_is_counted_once_though_what_follows_it_fails(sink: Sink) -> None:
    sink.client.set(SCHEMA_KEY, SCHEMA)
    sink.client.set(CAMERAS_KEY, "of another type")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        sink.output.write(of_frame(1))
    sink.client.delete(CAMERAS_KEY)
    sink.output.write(of_frame(1))
    assert stored(sink) == of_frame(1)
    assert (sink.metrics.total(NEW), sink.metrics.total(REPEATED)) == (1, 1)


def _assert_not_now(sink: Sink, results: Sequence[Result], reason: str) -> None:
    with pytest.raises(NotNow, match=reason):
        sink.output.write(results)


def test_while_the_server_is_away_nothing_is_lost_or_doubled(own_redis: RedisServer) -> None:
    with opened_sink(own_redis.url) as sink:
        sink.output.write(of_frame(1))
        own_redis.kill()
        _assert_not_now(sink, of_frame(2), "^Redis: .*refused")
        for read in (
            sink.store.cameras,
            sink.store.now,
            sink.store.visits,
            sink.store.closed,
            lambda: sink.store.visit("cam1", "s1-1"),
            lambda: sink.store.counts(since_s=0, until_s=60, by="minute"),
            lambda: sink.store.results("cam1"),
            lambda: sink.store.preview("cam1"),
        ):
            with pytest.raises(NotNow, match=r"^Redis: \S"):
                read()
        with pytest.raises(NotNow), opened_sink(own_redis.url):
            pytest.fail("no answer came")
        own_redis.start()
        sink.output.write([*of_frame(1), *of_frame(2)])
        assert stored(sink) == [*of_frame(1), *of_frame(2)]


def test_a_frozen_server_is_awaited_no_longer_than_the_timeout(own_redis: RedisServer) -> None:
    with opened_sink(own_redis.url) as sink:
        sink.output.write(of_frame(1))
        own_redis.freeze()
        started_s = time.monotonic()
        _assert_not_now(sink, of_frame(2), "^Redis: [Tt]imeout")
        assert time.monotonic() - started_s < 3
        own_redis.thaw()
        sink.output.write(of_frame(2))
        assert stored(sink) == [*of_frame(1), *of_frame(2)]


@pytest.mark.parametrize(
    ("name", "value", "undone", "reason"),
    [
        ("maxmemory", "1", "0", "used memory > 'maxmemory'"),
        ("min-replicas-to-write", "1", "0", "NOREPLICAS"),
    ],
)
def test_a_server_that_refuses_writes_for_now_is_awaited(
    own_redis: RedisServer, name: str, value: str, undone: str, reason: str
) -> None:
    with opened_sink(own_redis.url) as sink:
        sink.output.write(of_frame(1))
        sink.client.config_set(name, value)
        _assert_not_now(sink, of_frame(2, faces=3), f"^Redis: .*{reason}")
        assert stored(sink) == of_frame(1), "all of a camera's results or none"
        sink.client.config_set(name, undone)
        sink.output.write(of_frame(2, faces=3))
        assert stored(sink) == [*of_frame(1), *of_frame(2, faces=3)]


@pytest.mark.parametrize("login", ["", ":wrong-sesame@", "nobody:wrong-sesame@"])
def test_a_wrong_password_is_reported_without_it(own_redis: RedisServer, login: str) -> None:
    with opened_sink(own_redis.url) as sink:
        sink.client.config_set("requirepass", "right-sesame")
    address = own_redis.url.removeprefix("redis://")
    with (
        pytest.raises(NotNow, match=r"^Redis: the login of REDIS_URL or .* was refused: ") as raised,
        opened_sink(f"redis://{login}{address}"),
    ):
        pytest.fail("the login was taken")
    assert "sesame" not in str(raised.value)
    with opened_sink(f"redis://:right-sesame@{address}") as sink:
        sink.output.write(of_frame(1))
        assert stored(sink) == of_frame(1)


@pytest.mark.parametrize(
    "url",
    ["", "localhost:6379", "http://localhost", "redis://:ses/ame@h:6379/0", "redis://h:sesame", "redis://[h"],
)
def test_a_malformed_url_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError, match=r"REDIS_URL: expected redis://\[user:password@\]host") as raised:
        connect(RedisSettings().at(url))
    assert "ses" not in str(raised.value)


def test_the_password_in_the_url_is_masked_in_every_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets._Known, "values", frozenset())
    connect(RedisSettings().at("redis://:se%2Fsame@localhost"))
    assert secrets.mask("AUTH se/same se%2Fsame") == "AUTH *** ***"
