"""Queries of the store and their answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from agegender.shared.messages.pipeline import Result, TrackUpdate
from agegender.shared.messages.visits import Visit
from agegender.shared.store import CameraKeys, Count
from agegender.shared.store.newest import newest_visits
from tests.support.made_messages import frame_info, track_summary, track_update, vote
from tests.support.sink import Sink, opened_sink

T0 = 1_700_000_000.0  # 2023-11-14T22:13:20Z
DAY_S = 86_400


@pytest.fixture
def sink(redis_database: str) -> Iterator[Sink]:
    with opened_sink(redis_database) as one:
        yield one


def visit(
    number: int,
    came_s: float,
    *,
    camera: str = "cam1",
    age: float = 34.0,
    male: float = 0.1,
    left: bool = True,
) -> list[Result | TrackUpdate]:
    """All messages of one visit."""
    name = f"s1-{number}"
    seen: TrackUpdate = track_update(
        track_summary(name, first_seen_s=T0 + came_s, ended=left), frame=frame_info(camera, sequence=number)
    )
    return [vote(name, camera_id=camera, age_years=age, male_probability=male), seen]


def write(sink: Sink, *visits: list[Result | TrackUpdate]) -> None:
    sink.output.write([message for one in visits for message in one])


def names(visits: Sequence[Visit]) -> list[str]:
    return [f"{p.camera_id}/{p.track_id}" for p in visits]


@pytest.fixture
def busy(sink: Sink) -> Sink:
    """Five visits to two cameras, two of them at the same time."""
    write(
        sink,
        visit(1, 0, camera="door", age=8),
        visit(2, 60, camera="door", male=0.99),
        visit(3, 60, camera="hall", male=0.5),
        visit(4, 3600, camera="hall", age=71),
        visit(5, DAY_S, camera="door", left=False),
    )
    return sink


def test_visits_come_newest_first_over_all_cameras(busy: Sink) -> None:
    page = busy.store.visits()
    assert names(page.items) == ["door/s1-5", "hall/s1-4", "hall/s1-3", "door/s1-2", "door/s1-1"]
    assert page.next is None
    assert page.items[0].closed is None, "open visits are among them"


def test_visits_of_some_cameras(busy: Sink) -> None:
    assert names(busy.store.visits(camera_ids=["hall"]).items) == ["hall/s1-4", "hall/s1-3"]
    twice = busy.store.visits(camera_ids=["hall", "nowhere", "hall"])
    assert names(twice.items) == ["hall/s1-4", "hall/s1-3"]
    assert busy.store.visits(camera_ids=[]).items == []


def test_visits_between_two_times(busy: Sink) -> None:
    store = busy.store
    assert names(store.visits(since_s=T0 + 60, until_s=T0 + 3600).items) == ["hall/s1-3", "door/s1-2"]
    assert names(store.visits(since_s=T0 + 3600).items) == ["door/s1-5", "hall/s1-4"]
    assert names(store.visits(until_s=T0 + 60).items) == ["door/s1-1"]
    assert store.visits(since_s=T0 + 60, until_s=T0 + 60).items == []


def test_visits_of_an_age_or_a_gender(busy: Sink) -> None:
    store = busy.store
    assert names(store.visits(age_bands=["0-9", "70+"]).items) == ["hall/s1-4", "door/s1-1"]
    assert names(store.visits(genders=["male"]).items) == ["door/s1-2"]
    assert names(store.visits(genders={"unknown"}, age_bands={"30-39"}).items) == ["hall/s1-3"]
    assert store.visits(age_bands=[]).items == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_the_pages_together_hold_each_visit_once(busy: Sink, limit: int) -> None:
    found: list[Visit] = []
    before = None
    while True:
        page = busy.store.visits(limit=limit, before=before)
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            break
        before = page.next
    assert found == list(busy.store.visits().items)


def test_a_visit_between_two_pages_moves_no_other(busy: Sink) -> None:
    first = busy.store.visits(limit=2)
    write(busy, visit(6, 2 * DAY_S, camera="hall"))
    second = busy.store.visits(limit=3, before=first.next)
    assert names(second.items) == ["hall/s1-3", "door/s1-2", "door/s1-1"]
    assert second.next is None


def test_a_page_may_end_among_visits_of_the_same_time(sink: Sink) -> None:
    write(sink, *(visit(number, 0) for number in range(450)))
    first = sink.store.visits(limit=215)
    second = sink.store.visits(limit=1_000, before=first.next)
    both = names([*first.items, *second.items])
    assert sorted(both, reverse=True) == both
    assert len(set(both)) == 450


def test_a_visit_while_a_page_is_read_repeats_no_other(sink: Sink) -> None:
    write(sink, *(visit(number, number) for number in range(100)))

    def read(camera_id: str, track_ids: Sequence[str]) -> list[Visit | None]:
        newcomer = int(sink.client.zcard(CameraKeys.of(camera_id).visits))
        write(sink, *(visit(newcomer + more, newcomer + more) for more in range(10)))
        return [sink.store.visit(camera_id, one) for one in track_ids]

    found = [p.track_id for _, p in newest_visits(sink.client, ["cam1"], None, None, None, read)]
    assert found == [f"s1-{number}" for number in range(99, -1, -1)]


@pytest.mark.parametrize("before", ["", "x", "é", "W10", "WzEsMl0", "bm9uc2Vuc2U"])
def test_a_malformed_cursor_is_refused(sink: Sink, before: str) -> None:
    with pytest.raises(ValueError, match="before: expected the `next` of an earlier page"):
        sink.store.visits(before=before)


def test_a_limit_below_one_is_refused(sink: Sink) -> None:
    with pytest.raises(ValueError, match="limit: expected 1 or more, got 0"):
        sink.store.visits(limit=0)
    with pytest.raises(ValueError, match="limit: expected 1 or more, got 0"):
        sink.store.closed(limit=0)


def test_a_visit_is_found_by_camera_and_id(busy: Sink) -> None:
    visit = busy.store.visit("door", "s1-2")
    assert visit is not None
    assert (visit.gender, visit.first_seen_s, visit.closed) == ("male", T0 + 60, "left")
    assert busy.store.visit("hall", "s1-2") is None


def test_counts_by_minute_hour_and_day(busy: Sink) -> None:
    store, minute = busy.store, T0 - 20
    expected = [
        Count(minute, "door", "0-9", "female", 1),
        Count(minute + 60, "door", "30-39", "male", 1),
        Count(minute + 60, "hall", "30-39", "unknown", 1),
    ]
    assert store.counts(since_s=T0, until_s=T0 + 120, by="minute") == expected
    assert store.counts(since_s=T0 + 41, until_s=T0 + 42, by="minute") == expected[1:], "a whole minute"
    assert store.counts(since_s=T0, until_s=T0 + 40, by="minute") == expected[:1]
    hour, day = T0 - 800, T0 - T0 % DAY_S
    hours = store.counts(since_s=T0, until_s=T0 + 7_200, by="hour")
    assert [(one.start_s, one.visits) for one in hours] == [*[(hour, 1)] * 3, (hour + 3600, 1)]
    days = store.counts(since_s=T0, until_s=T0 + 30 * DAY_S, by="day", camera_ids=["door"])
    assert [(one.start_s - day, one.age_band, one.visits) for one in days] == [
        (0, "0-9", 1),
        (0, "30-39", 1),
        (DAY_S, "30-39", 1),
    ]


def test_counts_go_on_over_the_end_of_a_month_and_of_a_year(sink: Sink) -> None:
    new_year = 1_704_067_200.0  # 2024-01-01T00:00:00Z
    write(sink, visit(1, new_year - T0 - 1), visit(2, new_year - T0))
    for by, length_s in (("minute", 60), ("hour", 3600), ("day", DAY_S)):
        counts = sink.store.counts(since_s=new_year - 1, until_s=new_year + 1, by=by)  # type: ignore[arg-type]
        assert [one.start_s for one in counts] == [new_year - length_s, new_year]


def test_too_many_counts_are_refused_with_advice(busy: Sink) -> None:
    with pytest.raises(ValueError, match="at most 100000 minutes over all cameras, got 115200: ask for"):
        busy.store.counts(since_s=T0 - 20, until_s=T0 - 20 + 40 * DAY_S, by="minute")
    assert len(busy.store.counts(since_s=T0, until_s=T0 + 40 * DAY_S, by="day")) == 5
    assert busy.store.counts(since_s=T0, until_s=T0 - 9e9, by="minute") == []


def test_closed_visits_come_from_now_on_and_each_once(sink: Sink) -> None:
    write(sink, visit(1, 0))
    none, cursor = sink.store.closed()
    assert none == []
    write(sink, visit(2, 1), visit(3, 2, camera="cam2"), visit(4, 3, left=False), visit(5, 4))
    visits, cursor = sink.store.closed(cursor)
    assert sorted(names(visits)) == ["cam1/s1-2", "cam1/s1-5", "cam2/s1-3"]
    assert [p.track_id for p in visits if p.camera_id == "cam1"] == ["s1-2", "s1-5"]
    assert sink.store.closed(cursor) == ([], cursor)
    write(sink, visit(6, 5))
    assert names(sink.store.closed(cursor)[0]) == ["cam1/s1-6"]


def test_closed_visits_come_in_parts_without_a_gap(sink: Sink) -> None:
    _, cursor = sink.store.closed()
    write(sink, *(visit(number, 0, camera=f"cam{number % 3}") for number in range(20)))
    found: list[str] = []
    while True:
        visits, cursor = sink.store.closed(cursor, limit=3)
        if not visits:
            break
        assert len(visits) <= 3
        found += names(visits)
    assert sorted(found) == sorted(f"cam{number % 3}/s1-{number}" for number in range(20))


def test_a_busy_camera_delays_no_other(busy: Sink) -> None:
    (visit,) = busy.store.visits(camera_ids=["hall"], limit=1).items
    for camera_id, moments in (("a", [1, 2, 5, 6]), ("b", [3, 4])):
        for ms in moments:
            visit = visit.model_copy(update={"camera_id": camera_id, "track_id": f"s1-{ms}"})
            stream = CameraKeys.of(camera_id).closed
            busy.client.xadd(stream, {"visit": visit.model_dump_json()}, id=f"{ms}-0")
    visits, _ = busy.store.closed({}, camera_ids=["a", "b"], limit=4)
    assert names(visits) == ["a/s1-1", "a/s1-2", "b/s1-3", "b/s1-4"]


def test_the_closed_visits_of_one_camera(busy: Sink) -> None:
    _, cursor = busy.store.closed(camera_ids=["hall"])
    write(busy, visit(7, 5, camera="door"), visit(8, 6, camera="hall"))
    visits, cursor = busy.store.closed(cursor, camera_ids=["hall"])
    assert names(visits) == ["hall/s1-8"]
    assert set(cursor) == {"hall"}


@pytest.mark.parametrize("known", [True, False])
def test_a_wait_for_closed_visits_ends_with_the_first(redis_database: str, known: bool) -> None:
    with opened_sink(redis_database) as sink:
        if known:
            write(sink, visit(1, 0))
        _, cursor = sink.store.closed()
        later = threading.Timer(0.3, lambda: write(sink, visit(2, 0)))
        later.start()
        visits, _ = sink.store.closed(cursor, wait_s=10)
        later.join()
        assert names(visits) == ["cam1/s1-2"]


def test_a_wait_for_closed_visits_ends_in_time(busy: Sink) -> None:
    # Longer than the half second for which the client waits for an answer.
    visits, cursor = busy.store.closed(wait_s=0.8)
    assert visits == []
    assert set(cursor) == {"door", "hall"}
