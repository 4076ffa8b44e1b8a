"""The sink keeps one record for each visit, and counts that equal the visits."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from agegender.services.sink.camera_repository import CameraRepository
from agegender.services.sink.config import SinkSettings
from agegender.services.sink.merging import CameraSnapshot, MergedCamera, merge
from agegender.shared.errors import NotNow
from agegender.shared.messages.pipeline import Result, TrackUpdate
from agegender.shared.messages.visits import Visit
from agegender.shared.store import CAMERAS_KEY, SCHEMA_KEY, CameraKeys, CameraStatus, FrameNews
from agegender.shared.store.counts import LONGEST_KEPT_S
from tests.support.made_messages import (
    JPEG,
    camera_notice,
    face_info,
    frame_info,
    preview,
    result,
    stopped_notice,
    stream_at,
    track_summary,
    track_update,
    vote,
)
from tests.support.redis_server import RedisServer
from tests.support.sink import Sink, opened_sink
from tests.support.waiting import wait_until

T0 = 1_700_000_000.0  # 2023-11-14T22:13:20Z


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = T0

    def __call__(self) -> float:
        return self.now_s

    def run(self, sink: Sink, seconds: float) -> None:
        """Advances by this many seconds, in which the sink is idle."""
        for _ in range(math.ceil(seconds / 5)):
            self.now_s += 5
            sink.output.write(())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sink(redis_database: str, clock: Clock) -> Iterator[Sink]:
    with opened_sink(redis_database, now_s=clock) as one:
        yield one


def visits(sink: Sink) -> list[Visit]:
    return list(sink.store.visits(limit=10_000).items)


def only(sink: Sink) -> Visit:
    (visit,) = visits(sink)
    return visit


def counted(sink: Sink, by: str = "day") -> dict[tuple[str, str], int]:
    counts = sink.store.counts(since_s=T0 - 3600, until_s=T0 + 3600, by=by)  # type: ignore[arg-type]
    return {(one.age_band, one.gender): one.visits for one in counts}


def test_a_visit_counts_as_unknown_until_a_face_is_classified(sink: Sink) -> None:
    sink.output.write([track_update(track_summary(votes_sent=1))])
    assert only(sink).unclassified == "not-yet"
    for by in ("minute", "hour", "day"):
        assert counted(sink, by) == {("unknown", "unknown"): 1}
    sink.output.write([vote(age_years=34.0, male_probability=0.1)])
    for by in ("minute", "hour", "day"):
        assert counted(sink, by) == {("30-39", "female"): 1}
    assert (only(sink).age_years, only(sink).unclassified) == (34.0, None)
    sink.output.write([vote(number=2, age_years=50.0, male_probability=0.99)])
    assert counted(sink) == {("40-49", "male"): 1}
    assert only(sink).faces_classified == 2


def test_a_vote_alone_makes_no_visit(sink: Sink) -> None:
    sink.output.write([vote()])
    assert (visits(sink), sink.store.now(), counted(sink)) == ([], [], {})
    assert sink.store.visit("cam1", "s1-1") is None
    assert [state.present for state in sink.store.cameras()] == [0]
    sink.output.write([track_update(track_summary())])
    assert only(sink).age_years == 34.0


def test_a_visit_closes_when_it_has_ended_and_all_votes_are_in(sink: Sink) -> None:
    sink.output.write([track_update(track_summary(votes_sent=2, ended=True)), vote(number=1)])
    assert only(sink).closed is None
    assert sink.closed() == []
    sink.output.write([vote(number=2)])
    assert only(sink).closed == "left"
    assert sink.closed() == [only(sink)]
    assert sink.store.visit("cam1", "s1-1") == only(sink)
    assert b"votes" not in (sink.client.get(CameraKeys.of("cam1").visit("s1-1")) or b"")
    assert sink.store.now() == []


def test_an_unclassified_visit_is_counted_and_closed(sink: Sink) -> None:
    sink.output.write([track_update(track_summary(votes_sent=0, unclassified="too-small", ended=True))])
    assert (only(sink).unclassified, only(sink).closed) == ("too-small", "left")
    assert counted(sink) == {("unknown", "unknown"): 1}


def test_a_message_after_the_end_counts_as_late_only(sink: Sink) -> None:
    sink.output.write([track_update(track_summary(ended=True)), vote()])
    before = (only(sink), counted(sink), sink.closed())
    sink.output.write(
        [
            vote(number=2, age_years=80.0),
            track_update(track_summary(first_seen_s=T0 - 900, seconds=2_000, frames=99, votes_sent=7)),
        ]
    )
    assert (only(sink), counted(sink), sink.closed()) == before
    assert sink.metrics.total("agegender_results_late_total", camera="cam1") == 1
    sink.output.write([vote(number=2, age_years=80.0)])
    assert sink.metrics.total("agegender_results_late_total") == 1, "a repeat is no late result"


def test_a_silent_visit_times_out(sink: Sink, clock: Clock) -> None:
    sink.output.write(
        [track_update(track_summary("s1-1")), track_update(track_summary("s1-2"), frame=frame_info("cam2"))]
    )
    clock.run(sink, 115)
    sink.output.write([track_update(track_summary("s1-2"), frame=frame_info("cam2"))])
    clock.run(sink, 10)
    by_camera = {visit.camera_id: visit.closed for visit in visits(sink)}
    assert by_camera == {"cam1": "timed-out", "cam2": None}
    assert sink.closed() == [sink.store.visit("cam1", "s1-1")]
    assert sink.metrics.by_label("agegender_visits_closed_total", "reason") == {"timed-out": 1}


def test_visits_time_out_though_the_sink_is_never_idle(sink: Sink, clock: Clock) -> None:
    sink.output.write([track_update(track_summary())])
    for number in range(30):
        clock.now_s += 5
        sink.output.write([result(face_info(frame_info("cam2", sequence=number)))])
    assert only(sink).closed == "timed-out"


def test_no_visit_times_out_because_the_sink_was_away(sink: Sink, clock: Clock) -> None:
    sink.output.write([track_update(track_summary())])
    clock.run(sink, 100)
    clock.now_s += 600
    clock.run(sink, 100)
    assert only(sink).closed is None
    clock.run(sink, 30)
    assert only(sink).closed == "timed-out"


def test_two_sinks_that_sweep_close_a_visit_once(redis_database: str, clock: Clock) -> None:
    with opened_sink(redis_database, now_s=clock) as one, opened_sink(redis_database, now_s=clock) as other:
        one.output.write([track_update(track_summary("s1-1"), track_summary("s1-2"))])
        for _ in range(26):
            clock.now_s += 5
            one.output.write(())
            other.output.write(())
        assert [visit.closed for visit in one.closed()] == ["timed-out", "timed-out"]


def test_votes_without_a_track_summary_expire(redis_database: str) -> None:
    with opened_sink(redis_database, SinkSettings(silence_timeout_s=10)) as sink:
        sink.output.write([vote()])
        key = CameraKeys.of("cam1").visit("s1-1")
        assert 0 < int(sink.client.pttl(key)) <= 10_000


def test_a_present_visit_had_a_message_in_the_last_ten_seconds(sink: Sink, clock: Clock) -> None:
    sink.output.write(
        [track_update(track_summary("s1-2", first_seen_s=T0), track_summary("s1-1", first_seen_s=T0 + 1))]
    )
    sink.output.write([track_update(track_summary("s1-1"), frame=frame_info("aisle"))])
    assert [(one.camera_id, one.track_id) for one in sink.store.now()] == [
        ("aisle", "s1-1"),
        ("cam1", "s1-2"),
        ("cam1", "s1-1"),
    ]
    assert [one.track_id for one in sink.store.now(["cam1"])] == ["s1-2", "s1-1"]
    assert [(state.camera_id, state.present) for state in sink.store.cameras()] == [("aisle", 1), ("cam1", 2)]
    clock.now_s += 9.5
    assert len(sink.store.now()) == 3
    sink.output.write([track_update(track_summary("s1-3", votes_sent=0, ended=True))])
    sink.client.zadd(CameraKeys.of("cam1").open, {"s1-3": clock.now_s})
    assert len(sink.store.now()) == 3, "a visit that ended in the meantime is not present"
    sink.client.zrem(CameraKeys.of("cam1").open, "s1-3")
    clock.now_s += 0.5
    assert sink.store.now() == []
    assert {state.present for state in sink.store.cameras()} == {0}


def test_an_ended_visit_is_not_present_while_it_waits_for_votes(sink: Sink, clock: Clock) -> None:
    def there() -> tuple[list[str], list[int]]:
        now = [one.track_id for one in sink.store.now()]
        return now, [state.present for state in sink.store.cameras()]

    sink.output.write(
        [track_update(track_summary("s1-1", votes_sent=3), track_summary("s1-2", votes_sent=1)), vote("s1-1")]
    )
    assert there() == (["s1-1", "s1-2"], [2])
    sink.output.write(
        [track_update(track_summary("s1-1", votes_sent=3, ended=True), track_summary("s1-2", votes_sent=1))]
    )
    assert there() == (["s1-2"], [1])
    clock.now_s += 4
    sink.output.write([vote("s1-1", 2), vote("s1-2")])
    assert there() == (["s1-2"], [1]), "a late vote brings no visit back"
    assert {one.track_id: one.closed for one in visits(sink)} == {"s1-1": None, "s1-2": None}
    sink.output.write([vote("s1-1", 3)])
    assert [(one.track_id, one.faces_classified) for one in sink.closed()] == [("s1-1", 3)]


def test_an_ended_visit_waits_for_votes_until_it_times_out(redis_database: str, clock: Clock) -> None:
    with opened_sink(redis_database, SinkSettings(silence_timeout_s=20), now_s=clock) as sink:
        clock.run(sink, 25)
        sink.output.write([track_update(track_summary(votes_sent=2, ended=True))])
        clock.run(sink, 15)
        sink.output.write([vote()])
        clock.run(sink, 15)
        assert only(sink).closed is None
        clock.run(sink, 10)
        assert (only(sink).closed, only(sink).faces_classified) == ("timed-out", 1)


def test_the_state_of_a_camera_is_from_its_newest_track_update(sink: Sink, clock: Clock) -> None:
    clock.now_s = T0 + 8.25
    newest = frame_info(sequence=8, captured_at_s=T0 + 8)
    sink.output.write([track_update(frame=newest), track_update(frame=frame_info(sequence=7)), vote()])
    frame = FrameNews(T0 + 8, "arrival", (640, 360), 5.0, 5.0, T0 + 8.25, 0.25)
    expected = CameraStatus("cam1", frame, None, 0)
    assert sink.store.cameras() == [expected]
    clock.now_s += 60
    sink.output.write([track_update(frame=frame_info(sequence=3)), track_update(frame=newest)])
    assert sink.store.cameras() == [expected], "neither an older one nor a repeat"
    sink.output.write([track_update(frame=frame_info(stream_id="s2", captured_at_s=T0 + 67))])
    newest_news = sink.store.cameras()[0].frame
    assert newest_news is not None
    assert newest_news.captured_at_s == T0 + 67, "a later connection counts from 0 again"


def test_a_camera_of_single_pictures_has_a_state_without_a_rate(sink: Sink) -> None:
    sink.output.write([result()])
    (state,) = sink.store.cameras()
    assert state.frame is not None
    assert (state.camera_id, state.frame.frame_rate_hz, state.frame.size_wh) == ("cam1", None, (640, 360))


def state_of(sink: Sink, clock: Clock) -> str:
    (camera,) = sink.store.cameras()
    return camera.state(clock.now_s)


def test_a_camera_that_never_gave_a_frame_is_failing(sink: Sink, clock: Clock) -> None:
    sink.output.write([camera_notice(noticed_at_s=clock.now_s, since_s=clock.now_s - 5)])
    (camera,) = sink.store.cameras()
    assert (camera.state(clock.now_s), camera.since_s(clock.now_s)) == ("failing", clock.now_s - 5)
    assert camera.frame is None
    assert camera.notice is not None
    assert (camera.notice.reason, camera.notice.detail[:3]) == ("login", "401")
    clock.now_s += 31
    assert state_of(sink, clock) == "silent", "ingest does not say so any more"


def test_a_later_stream_ends_a_failure_and_an_earlier_one_does_not(sink: Sink, clock: Clock) -> None:
    began_s = clock.now_s

    def update(began_s: float, sequence: int) -> TrackUpdate:
        return track_update(frame=frame_info("cam1", stream_at(began_s), sequence, clock.now_s))

    sink.output.write([update(began_s - 60, 1)])
    assert state_of(sink, clock) == "live"
    sink.output.write([camera_notice(noticed_at_s=began_s)])
    assert state_of(sink, clock) == "failing", "a second after its last frame"
    sink.output.write([update(began_s - 60, 2)])
    assert state_of(sink, clock) == "failing", "a frame that was on its way"
    sink.output.write([update(began_s + 1, 0)])
    assert state_of(sink, clock) == "live"
    sink.output.write([camera_notice(noticed_at_s=began_s - 1)])
    assert state_of(sink, clock) == "live", "an earlier notice comes late"


def test_a_failure_is_shown_after_a_clock_was_set_back(sink: Sink, clock: Clock) -> None:
    ahead_s = clock.now_s + 3_600
    sink.output.write([track_update(frame=frame_info("cam1", stream_at(ahead_s)))])
    sink.output.write([camera_notice(noticed_at_s=ahead_s - 5)])
    clock.now_s += 40
    sink.output.write([camera_notice(noticed_at_s=clock.now_s)])
    assert state_of(sink, clock) == "failing"


def test_a_camera_that_was_stopped_is_not_silent(sink: Sink, clock: Clock) -> None:
    sink.output.write([track_update(frame=frame_info("cam1", stream_at(clock.now_s - 60)))])
    sink.output.write([stopped_notice(noticed_at_s=clock.now_s)])
    assert state_of(sink, clock) == "live", "its last frames are still on their way"
    clock.now_s += 3_600
    assert state_of(sink, clock) == "stopped"
    sink.output.write([track_update(frame=frame_info("cam1", stream_at(clock.now_s)))])
    clock.now_s += 60
    assert state_of(sink, clock) == "silent", "it was read again since"


def test_a_preview_is_kept_for_seconds(sink: Sink) -> None:
    assert sink.store.preview("cam1") is None
    older = b"\xff\xd8 older \xff\xd9"
    sink.output.write([preview(frame_info(sequence=n), jpeg=older) for n in range(2)])
    assert sink.store.preview("cam1") == older
    sink.output.write([preview(frame_info(sequence=2))])
    sink.output.write([preview(frame_info(sequence=1), jpeg=older)])
    assert sink.store.preview("cam1") == JPEG
    assert 0 < int(sink.client.pttl(CameraKeys.of("cam1").preview)) <= 10_000


def crowd(number: int, *, ended: bool = True) -> list[TrackUpdate]:
    return [
        track_update(
            track_summary(f"s1-{n}", first_seen_s=T0 + n, votes_sent=0, unclassified="too-small", ended=ended)
        )
        for n in range(number)
    ]


def test_closed_visits_are_limited_and_counts_are_not(redis_database: str, clock: Clock) -> None:
    bounded = SinkSettings(visits_per_camera=100, closed_per_camera=100)
    with opened_sink(redis_database, bounded, now_s=clock) as sink:
        stays = track_summary("s2-1", first_seen_s=T0 - 60)
        sink.output.write([track_update(stays)])
        for some in range(0, 350, 50):
            sink.output.write(crowd(350)[some : some + 50])
        kept = {visit.track_id for visit in visits(sink)}
        assert kept == {"s2-1", *(f"s1-{n}" for n in range(251, 350))}, "an open visit is not dropped"
        assert len(list(sink.client.scan_iter("*:visit:*"))) == 100
        assert 100 <= len(sink.closed()) <= 200, "whole blocks of entries are cut off"
        assert sum(counted(sink).values()) == 351


def test_above_the_limit_of_open_visits_the_most_silent_close(redis_database: str, clock: Clock) -> None:
    with opened_sink(
        redis_database, SinkSettings(open_per_camera=10, silence_timeout_s=30), now_s=clock
    ) as sink:
        clock.run(sink, 35)
        for one in crowd(15, ended=False):
            clock.now_s += 0.1
            sink.output.write([one])
        clock.run(sink, 5)
        left = sorted(int(one.track_id.split("-")[1]) for one in visits(sink) if one.closed is None)
        assert left == list(range(5, 15))


def test_everything_expires(redis_database: str) -> None:
    with opened_sink(redis_database, SinkSettings(ttl_s=1)) as sink:
        sink.output.write(
            [track_update(track_summary(ended=True), track_summary("s1-2")), preview(), vote(), vote("s1-3")]
        )
        sink.output.write([result(face_info(frame_info("cam2")))])
        keys = {key.decode(): int(sink.client.pttl(key)) for key in sink.client.scan_iter()}
        of = CameraKeys.of("cam1")
        assert {*_all_but_counts(of), of.visit("s1-2"), of.visit("s1-3"), CAMERAS_KEY} <= set(keys)
        assert all(ttl_ms > 0 for ttl_ms in keys.values()), keys
        lasting = {name for name, ttl_ms in keys.items() if ttl_ms > 1_000}
        assert lasting == {
            of.counts("minute:2023-11-14T22"),
            of.counts("hour:2023-11-14"),
            of.counts("day:2023-11"),
            of.preview,
            of.visit("s1-3"),
            CAMERAS_KEY,
            SCHEMA_KEY,
        }
        wait_until(lambda: not sink.store.cameras() and not visits(sink), 5, "cameras and persons are gone")
        assert counted(sink) == {("30-39", "female"): 1, ("unknown", "unknown"): 1}


def _all_but_counts(of: CameraKeys) -> set[str]:
    return {of.state, of.visits, of.open, of.closed, of.results, of.seen, of.preview}


def test_expired_visits_leave_the_list(redis_database: str, clock: Clock) -> None:
    with opened_sink(redis_database, now_s=clock) as sink:
        sink.output.write(crowd(30))
        keys = CameraKeys.of("cam1")
        for number in range(25):
            sink.client.delete(keys.visit(f"s1-{number}"))
        assert len(visits(sink)) == 5
        for _ in range(3):
            sink.output.write([track_update()])
        assert sink.client.zcard(keys.visits) == 5


def test_an_open_visit_without_a_record_leaves_the_list(sink: Sink, clock: Clock) -> None:
    sink.output.write([track_update(track_summary())])
    keys = CameraKeys.of("cam1")
    sink.client.delete(keys.visit("s1-1"))
    clock.run(sink, 125)
    assert not sink.client.exists(keys.open)


def test_the_keys_of_a_camera_lie_on_one_node_of_a_cluster(sink: Sink) -> None:
    for camera in ("cam1", "cam2"):
        frame = frame_info(camera)
        there = track_update(track_summary(), track_summary("s1-2", ended=True), frame=frame)
        sink.output.write([there, preview(frame), vote("s1-2", camera_id=camera)])
    found = {key.decode() for key in sink.client.scan_iter()} - {CAMERAS_KEY, SCHEMA_KEY}
    assert len(found) == 2 * (7 + 2 + 3)
    slots = {camera: {key_slot(k.encode()) for k in found if camera in k} for camera in ("cam1", "cam2")}
    assert all(len(one) == 1 for one in slots.values())
    assert slots["cam1"] != slots["cam2"]


def test_all_of_a_batch_is_written_or_nothing(own_redis: RedisServer) -> None:
    with opened_sink(own_redis.url) as sink:
        sink.output.write([track_update(track_summary())])
        before = {key: sink.client.dump(key) for key in sink.client.scan_iter()}
        sink.client.config_set("maxmemory", "1")
        left = track_update(track_summary(ended=True), track_summary("s1-2"), frame=frame_info(sequence=1))
        batch: list[Result | TrackUpdate] = [vote(), left]
        with pytest.raises(NotNow, match="maxmemory"):
            sink.output.write(batch)
        assert {key: sink.client.dump(key) for key in sink.client.scan_iter()} == before
        sink.client.config_set("maxmemory", "0")
        sink.output.write(batch)
        assert counted(sink) == {("30-39", "female"): 1, ("unknown", "unknown"): 1}


def test_a_sink_merges_again_when_another_one_wrote_first(sink: Sink) -> None:
    repository = CameraRepository(sink.client, SinkSettings(), None)
    seen: list[CameraSnapshot] = []

    def decide(known: CameraSnapshot) -> MergedCamera:
        if not seen:
            sink.output.write([track_update(track_summary(votes_sent=2)), vote()])
        seen.append(known)
        return merge([vote(number=2)], known)

    repository.update("cam1", ["s1-1"], decide)
    assert [list(known.visits) for known in seen] == [[], ["s1-1"]]
    assert only(sink).faces_classified == 2


def test_a_sink_that_always_comes_second_gives_up_for_now(sink: Sink) -> None:
    repository = CameraRepository(sink.client, SinkSettings(), None)

    def decide(known: CameraSnapshot) -> MergedCamera:
        sink.client.hincrby(CameraKeys.of("cam1").state, "version", 1)
        return merge([vote()], known)

    with pytest.raises(NotNow, match="Redis: other sinks keep writing the camera cam1"):
        repository.update("cam1", ["s1-1"], decide)
    assert sink.store.cameras() == []


def test_times_keep_all_their_digits(sink: Sink) -> None:
    came_s = T0 + 0.1234567
    sink.output.write([track_update(track_summary(first_seen_s=came_s))])
    assert sink.store.visits(since_s=came_s, until_s=math.nextafter(came_s, math.inf)).items == [only(sink)]
    assert only(sink).first_seen_s == came_s


def test_cameras_are_listed_by_the_time_of_their_last_write(sink: Sink, clock: Clock) -> None:
    for now_s in (T0, T0 + 100, T0 + 50):
        clock.now_s = now_s
        sink.output.write([track_update()])
    assert sink.client.zscore(CAMERAS_KEY, "cam1") == T0 + 100, "a sink with a slow clock changes nothing"
    clock.now_s = T0 + 101 + LONGEST_KEPT_S
    sink.output.write([track_update(frame=frame_info("cam2"))])
    assert sink.client.zrange(CAMERAS_KEY, 0, -1) == [b"cam2"]


def test_visits_are_counted_in_the_metrics_once(sink: Sink) -> None:
    batch: list[Result | TrackUpdate] = [
        track_update(track_summary(ended=True), track_summary("s1-2")),
        vote(),
    ]
    for _ in range(2):
        sink.output.write(batch)
    assert sink.metrics.total("agegender_visits_counted_total", camera="cam1") == 2
    labels = {"gender": "female", "age_band": "30-39", "reason": "left"}
    assert sink.metrics.total("agegender_visits_closed_total", **labels) == 1
    assert sink.metrics.total("agegender_visits_closed_total") == 1


def test_a_camera_is_not_silent_after_a_clock_was_set_back(sink: Sink, clock: Clock) -> None:
    """Its next stream is named by an earlier time. Frames flow, so the state goes on."""
    sink.output.write([track_update(frame=frame_info(stream_id="0mwsk", sequence=900))])
    for second in range(1, 20):
        clock.now_s += 1.0
        sink.output.write([track_update(frame=frame_info(stream_id="0mwsj", sequence=5 * second))])
    (state,) = sink.store.cameras()
    assert state.frame is not None
    assert state.frame.written_at_s == clock.now_s
