"""The answers of the API over a store that the sink has filled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from agegender.shared.store import GivenCount, given_out
from tests.support.api import ApiClient, running_api
from tests.support.made_messages import (
    JPEG,
    camera_notice,
    frame_info,
    preview,
    stopped_notice,
    track_summary,
    track_update,
    vote,
)
from tests.support.sink import Sink, opened_sink

NOON_S = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


class World(NamedTuple):
    api: ApiClient
    sink: Sink


@pytest.fixture(scope="module")
def api(redis_url: str) -> Iterator[ApiClient]:
    with running_api(redis_url) as api:
        yield api


@pytest.fixture
def world(api: ApiClient, redis_database: str) -> Iterator[World]:
    """An empty store, the sink that writes to it and the API that reads from it."""
    with opened_sink(redis_database) as sink:
        yield World(api, sink)


def _write_visit(
    sink: Sink,
    number: int,
    *,
    camera_id: str = "cam1",
    at_s: float = NOON_S,
    age_years: float = 34.0,
    male_probability: float = 0.02,
    ended: bool = True,
) -> None:
    """A visit of ten seconds with one vote."""
    track_id = f"s1-{number}"
    seen = track_summary(track_id, first_seen_s=at_s, seconds=10.0, votes_sent=1, ended=ended)
    classified = vote(
        track_id,
        camera_id=camera_id,
        age_years=age_years,
        male_probability=male_probability,
        captured_at_s=at_s,
    )
    sink.output.write([classified, track_update(seen, frame=frame_info(camera_id, "s1", number, at_s))])


def test_an_empty_store_is_no_error(world: World) -> None:
    assert world.api.get("/v1/cameras").json["cameras"] == []
    assert world.api.get("/v1/now").json["visits"] == []
    assert world.api.get("/v1/visits").json == {"visits": [], "next": None}
    assert world.api.get("/v1/counts").json["counts"] == []


def test_a_visit_has_age_interval_and_gender(world: World) -> None:
    _write_visit(world.sink, 1)
    stored = world.sink.store.visit("cam1", "s1-1")
    assert stored is not None
    answer = world.api.get("/v1/visits/cam1/s1-1")
    assert answer.status == 200
    expected = {**stored.model_dump(mode="json"), "dwell_s": 10.0, "age_band": "30-39"}
    expected["is_unsure"] = False
    del expected["male_probability"]
    assert answer.json == expected
    assert (answer.json["gender"], answer.json["age_years"]) == ("female", 34.0)


def test_an_unknown_visit_is_not_found(world: World) -> None:
    answer = world.api.get("/v1/visits/cam1/s1-99")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "'s1-99'" in answer.json["detail"]


def test_cameras_have_a_state_and_the_number_of_people_present(world: World) -> None:
    now_s = time.time()
    _write_visit(world.sink, 1, at_s=now_s - 10.5, ended=False)
    _write_visit(world.sink, 2, at_s=now_s - 10.5)
    (camera,) = world.api.get("/v1/cameras").json["cameras"]
    assert camera["camera_id"] == "cam1"
    assert camera["state"] == "live"
    assert camera["present"] == 1
    assert camera["frame_rate_hz"] == 5.0
    assert (camera["width_px"], camera["height_px"]) == (640, 360)
    assert not camera["has_preview"]
    (visit,) = world.api.get("/v1/now").json["visits"]
    assert (visit["track_id"], visit["closed"]) == ("s1-1", None)
    assert world.api.get("/v1/now", camera="cam2").json["visits"] == []


def test_a_camera_tells_that_it_is_overloaded(world: World) -> None:
    _write_visit(world.sink, 1)
    world.sink.client.hset("agegender:{cam1}:state", "frame_rate_hz", "1.4")
    (camera,) = world.api.get("/v1/cameras").json["cameras"]
    assert (camera["frame_rate_hz"], camera["captured_rate_hz"], camera["is_overloaded"]) == (1.4, 5.0, True)


def test_a_camera_without_messages_is_silent(world: World) -> None:
    _write_visit(world.sink, 1)
    world.sink.client.hset("agegender:{cam1}:state", "written_at_s", repr(time.time() - 11))
    (camera,) = world.api.get("/v1/cameras").json["cameras"]
    assert camera["state"] == "silent"


def test_a_failing_camera_says_why_before_its_first_frame(world: World) -> None:
    now_s = time.time()
    world.sink.output.write([camera_notice("gate", noticed_at_s=now_s, since_s=now_s - 60)])
    (camera,) = world.api.get("/v1/cameras").json["cameras"]
    assert (camera["camera_id"], camera["state"], camera["reason"]) == ("gate", "failing", "login")
    assert "401" in camera["detail"]
    assert camera["since_s"] == pytest.approx(now_s - 60)
    assert camera["captured_at_s"] is camera["width_px"] is camera["delay_s"] is None
    world.sink.output.write([stopped_notice("gate", noticed_at_s=now_s + 1)])
    (camera,) = world.api.get("/v1/cameras").json["cameras"]
    assert (camera["state"], camera["reason"], camera["detail"]) == ("stopped", None, "not read any more")


def test_visits_are_filtered_and_come_newest_first(world: World) -> None:
    for number in range(6):
        _write_visit(
            world.sink,
            number,
            camera_id="door" if number % 2 else "shop",
            at_s=NOON_S + 60 * number,
            age_years=25.0 if number < 3 else 55.0,
            male_probability=0.02 if number % 3 else 0.98,
        )

    def ids(**query: Any) -> list[str]:  # noqa: ANN401
        return [one["track_id"] for one in world.api.get("/v1/visits", **query).json["visits"]]

    assert ids() == [f"s1-{number}" for number in (5, 4, 3, 2, 1, 0)]
    assert ids(camera="door") == ["s1-5", "s1-3", "s1-1"]
    assert ids(camera=["door", "shop"], limit=2) == ["s1-5", "s1-4"]
    assert ids(age_band="20-29") == ["s1-2", "s1-1", "s1-0"]
    assert ids(age_band=["20-29", "50-59"], gender="male") == ["s1-3", "s1-0"]
    assert ids(since=NOON_S + 60, until=NOON_S + 180) == ["s1-2", "s1-1"]
    assert ids(since="2026-11-22T12:01:00Z", until="2026-11-22T13:03:00+01:00") == ["s1-2", "s1-1"]
    assert ids(since="2026-11-22T12:04:00", tz="UTC") == ["s1-5", "s1-4"]


def test_pages_together_hold_each_visit_once(world: World) -> None:
    for number in range(7):
        _write_visit(world.sink, number, at_s=NOON_S + number)
    found: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    pages = 0
    while True:
        answer = world.api.get("/v1/visits", **query).json
        found += [one["track_id"] for one in answer["visits"]]
        pages += 1
        if answer["next"] is None:
            break
        query["cursor"] = answer["next"]
    assert found == [f"s1-{number}" for number in (6, 5, 4, 3, 2, 1, 0)]
    assert pages == 3


@pytest.mark.parametrize(("by", "starts"), [("minute", [0, 60]), ("hour", [0]), ("day", [-12 * 3600])])
def test_counts_are_those_of_the_store(world: World, by: str, starts: list[int]) -> None:
    _write_visit(world.sink, 1, at_s=NOON_S + 5)
    _write_visit(world.sink, 2, at_s=NOON_S + 30, male_probability=0.98)
    _write_visit(world.sink, 3, at_s=NOON_S + 65, camera_id="cam2", age_years=70.0)
    answer = world.api.get("/v1/counts", by=by, since=NOON_S, until=NOON_S + 120)
    counts = answer.json["counts"]
    assert sorted({one["start_s"] for one in counts}) == [NOON_S + start for start in starts]
    stored = world.sink.store.counts(since_s=NOON_S, until_s=NOON_S + 120, by=by)  # type: ignore[arg-type]
    assert [GivenCount(**one) for one in counts] == given_out(stored, 1, by, NOON_S)  # type: ignore[arg-type]
    assert sum(one["visits"] for one in counts) == 3
    of_one = world.api.get("/v1/counts", by=by, since=NOON_S, until=NOON_S + 120, camera="cam2").json[
        "counts"
    ]
    assert [(one["camera_id"], one["age_band"], one["visits"]) for one in of_one] == [("cam2", "70+", 1)]


def test_with_a_least_count_only_large_counts_are_published(world: World, redis_url: str) -> None:
    over_s = time.time() // 86_400 * 86_400 - 3 * 86_400
    for number in range(3):
        _write_visit(world.sink, number, at_s=over_s + number, age_years=20.0 + 10 * number)
    _write_visit(world.sink, 3, at_s=over_s + 3_600)
    _write_visit(world.sink, 4, at_s=time.time() - 5)
    with running_api(redis_url, least_count=3, counts_by="hour") as api:
        counts = api.get("/v1/counts", since=over_s, until=over_s + 7_200).json["counts"]
        told = [(one["age_band"], one["gender"], one["visits"], one["fewer_than"]) for one in counts]
        assert told == [(None, "female", 3, None), (None, None, None, 3)]
        assert api.get("/v1/counts").json["counts"] == [], "visits that began just now"
        assert [one["present"] for one in api.get("/v1/cameras").json["cameras"]] == [None]
        for path in (
            *("/v1/now", "/v1/visits", "/v1/visits/cam1/s1-1", "/v1/events"),
            *("/v1/cameras/cam1/preview.jpg", "/v1/counts?by=minute", "/v1/counts?by=day"),
        ):
            answer = api.get(path)
            assert (answer.status, "API_LEAST_COUNT is 3" in answer.json["detail"]) == (403, True), path
            assert "/v1/counts?by=hour" in answer.json["hint"]


def test_counts_without_a_range_end_now(world: World) -> None:
    _write_visit(world.sink, 1, at_s=time.time() - 5)
    for by in ("minute", "hour", "day"):
        assert [one["visits"] for one in world.api.get("/v1/counts", by=by).json["counts"]] == [1]


def test_a_preview_is_the_picture_that_detect_sent(world: World) -> None:
    frame = frame_info("cam1", "s1", 1, time.time())
    world.sink.output.write([track_update(frame=frame), preview(frame)])
    answer = world.api.get("/v1/cameras/cam1/preview.jpg")
    assert (answer.status, answer.body) == (200, JPEG)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    assert world.api.get("/v1/cameras").json["cameras"][0]["has_preview"]


def test_without_previews_the_answer_says_how_to_enable_them(world: World) -> None:
    _write_visit(world.sink, 1)
    answer = world.api.get("/v1/cameras/cam1/preview.jpg")
    assert answer.status == 404
    assert "DETECT_PREVIEW" in answer.json["hint"]


@pytest.mark.parametrize(
    ("path", "query", "named"),
    [
        ("/v1/visits", {"limit": 1001}, "limit"),
        ("/v1/visits", {"limit": 0}, "limit"),
        ("/v1/visits", {"cursor": "nonsense"}, "nonsense"),
        ("/v1/visits", {"gender": "woman"}, "gender"),
        ("/v1/visits", {"age_band": "20-25"}, "age_band"),
        ("/v1/visits", {"camera": "a b"}, "camera"),
        ("/v1/visits", {"camera": ["c"] * 101}, "camera"),
        ("/v1/visits", {"since": "soon"}, "2026-11-22T14:30"),
        ("/v1/visits", {"since": "2026-11-22T12:00:00 01:00"}, "%2B"),
        ("/v1/visits", {"since": -1}, "since"),
        ("/v1/visits", {"since": "9" * 300}, "since"),
        ("/v1/visits", {"since": "nan"}, "2026-11-22T14:30"),
        ("/v1/visits", {"since": 1700000020, "until": 1700000010}, "before"),
        ("/v1/visits", {"tz": "Berlin"}, "Europe/Berlin"),
        ("/v1/visits", {"sinse": 20}, "no such parameter"),
        ("/v1/counts", {"by": "week"}, "by"),
        ("/v1/counts", {"by": "minute", "since": 0, "until": 9e8}, "48 h"),
        ("/v1/cameras", {"camera": "a"}, "no such parameter"),
        ("/v1/visits/cam1/No_Id", {}, "track_id"),
    ],
)
def test_an_error_names_the_wrong_parameter(
    world: World, path: str, query: dict[str, Any], named: str
) -> None:
    answer = world.api.get(path, **query)
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert (problem["status"], problem["title"]) == (422, "Unprocessable Entity")
    assert named in problem["detail"]
    assert problem["hint"]
    assert len(answer.body) < 2_000, "what came is repeated in short"


def test_a_range_of_too_many_cells_is_refused(world: World) -> None:
    cameras = [f"cam{number}" for number in range(50)]
    answer = world.api.get("/v1/counts", by="minute", since=NOON_S, until=NOON_S + 47 * 3600, camera=cameras)
    assert answer.status == 422
    assert "fewer cameras" in answer.json["detail"]


def test_an_unknown_address_is_not_found(world: World) -> None:
    for path in ("/v2", "/v1", "/page/../config.py", "/page/..%2fconfig.py", "/page/config.py", "/docs"):
        answer = world.api.get(path)
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json"), path


def test_the_description_names_every_route_with_examples(world: World) -> None:
    described = world.api.get("/openapi.json").json
    assert set(described["paths"]) == {
        "/live",
        "/metrics",
        "/ready",
        "/v1/cameras",
        "/v1/cameras/{camera_id}/preview.jpg",
        "/v1/counts",
        "/v1/events",
        "/v1/now",
        "/v1/visits",
        "/v1/visits/{camera_id}/{track_id}",
    }
    for path, methods in described["paths"].items():
        assert set(methods) == {"get"}, path
        assert methods["get"]["summary"], path
    visit = described["components"]["schemas"]["VisitAnswer"]["properties"]
    assert visit["age_years"]["examples"] == [34.1]
    limit = next(
        one for one in described["paths"]["/v1/visits"]["get"]["parameters"] if one["name"] == "limit"
    )
    assert limit["schema"]["maximum"] == 1_000
