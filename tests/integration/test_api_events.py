"""Events of the API, during outages of Redis and at the end of the service."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import ApiClient, SentEvent, running_api
from tests.support.made_messages import frame_info, track_summary, track_update, vote
from tests.support.redis_server import RedisServer
from tests.support.services import Service
from tests.support.sink import Sink, opened_sink
from tests.support.waiting import wait_until

TOKEN = "correct-horse-battery"


def _leave(sink: Sink, number: int, camera_id: str = "cam1") -> None:
    """A visit begins, is classified and ends."""
    at_s = time.time() - 3
    track_id = f"s1-{number}"
    classified = vote(track_id, camera_id=camera_id, captured_at_s=at_s)
    seen = track_summary(track_id, first_seen_s=at_s, votes_sent=1, ended=True)
    sink.output.write([classified, track_update(seen, frame=frame_info(camera_id, "s1", number, at_s))])


def _next(events: Iterator[SentEvent], kind: str) -> SentEvent:
    return next(one for one in events if one.kind == kind)


def _visits(events: Iterator[SentEvent], number: int) -> list[SentEvent]:
    found = (one for one in events if one.kind == "visit")
    return [next(found) for _ in range(number)]


def test_a_visit_that_closes_later_is_sent(redis_database: str) -> None:
    with opened_sink(redis_database) as sink, contextlib.ExitStack() as stack:
        _leave(sink, 1)
        api = stack.enter_context(running_api(redis_database))
        wait_until(lambda: api.get("/ready").status == 200, 10, "the API is ready")
        with api.events() as events:
            _next(events, "state")
            _leave(sink, 2)
            visit = _next(events, "visit")
            assert visit.data == api.get("/v1/visits/cam1/s1-2").json
            assert visit.data["closed"] == "left"


def test_the_state_comes_at_once_and_again_and_again(redis_database: str) -> None:
    with opened_sink(redis_database) as sink, running_api(redis_database) as api:
        at_s = time.time()
        here = track_summary("s1-1", first_seen_s=at_s - 2, votes_sent=0)
        sink.output.write([track_update(here, frame=frame_info("cam1", "s1", 1, at_s))])
        with api.events() as events:
            first, second = _next(events, "state"), _next(events, "state")
        assert second.data["at_s"] > first.data["at_s"]
        assert second.data["cameras"] == api.get("/v1/cameras").json["cameras"]
        assert second.data["visits"] == api.get("/v1/now").json["visits"]
        assert len(second.data["visits"]) == 1


def test_a_client_of_one_camera_gets_no_other(redis_database: str) -> None:
    with opened_sink(redis_database) as sink, running_api(redis_database) as api:
        wait_until(lambda: api.get("/ready").status == 200, 10, "the API is ready")
        with api.events(camera=["door", "shop"]) as events:
            _next(events, "state")
            for number, camera in enumerate(("street", "door", "street", "shop")):
                _leave(sink, number, camera)
            assert {one.data["camera_id"] for one in _visits(events, 2)} == {"door", "shop"}
            state = _next(events, "state")
            assert [one["camera_id"] for one in state.data["cameras"]] == ["door", "shop"]


def test_a_reconnected_client_gets_each_missed_visit_once(redis_database: str) -> None:
    with opened_sink(redis_database) as sink, running_api(redis_database) as api:
        wait_until(lambda: api.get("/ready").status == 200, 10, "the API is ready")
        with api.events() as events:
            _next(events, "state")
            _leave(sink, 1)
            last = _next(events, "visit")
        for number in (2, 3):
            _leave(sink, number)
        _wait_for_gauge(api, 0)
        with api.events(last_event_id=last.event_id) as events:
            missed = _visits(events, 2)
            assert [one.data["track_id"] for one in missed] == ["s1-2", "s1-3"]
            _leave(sink, 4)
            assert _next(events, "visit").data["track_id"] == "s1-4"


@pytest.mark.parametrize("event_id", ["", "nonsense", "0-1", "-", "a-" + "9" * 60, "\xb2-\xb2"])
def test_a_foreign_event_id_is_ignored(redis_database: str, event_id: str) -> None:
    with running_api(redis_database) as api, api.events(last_event_id=event_id) as events:
        assert _next(events, "state").data["visits"] == []


def _wait_for_gauge(api: ApiClient, readers: int) -> None:
    line = f"agegender_http_event_clients {readers:.1f}"
    wait_until(lambda: line in api.get("/metrics").body.decode(), 10, f"there are {readers} readers")


def test_clients_are_limited_and_a_place_becomes_free_again(redis_database: str) -> None:
    with running_api(redis_database, event_clients=2) as api:
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                next(stack.enter_context(api.events()))
            _wait_for_gauge(api, 2)
            answer = api.get("/v1/events")
            assert (answer.status, answer.headers["retry-after"]) == (503, "10")
            assert "API_EVENT_CLIENTS" in answer.json["hint"]
        _wait_for_gauge(api, 0)
        with api.events() as events:
            next(events)


def test_clients_of_events_hold_no_thread(redis_database: str) -> None:
    with running_api(redis_database, threads=1, event_clients=30) as api, contextlib.ExitStack() as stack:
        # The first reader and the first request start what all others share.
        next(stack.enter_context(api.events()))
        assert api.get("/v1/now").status == 200
        before = threading.active_count()
        for _ in range(29):
            next(stack.enter_context(api.events()))
        assert threading.active_count() <= before
        assert api.get("/v1/now").status == 200


def test_while_redis_is_away_the_api_says_so_and_recovers(own_redis: RedisServer) -> None:
    with opened_sink(own_redis.url) as sink, running_api(own_redis.url) as api:
        wait_until(lambda: api.get("/ready").status == 200, 10, "the API is ready")
        _leave(sink, 1)
        with api.events() as events:
            _next(events, "state")
            own_redis.stop()
            problem = _next(events, "problem")
            assert "Redis is away" in problem.data["detail"]
            for path in ("/v1/cameras", "/v1/now", "/v1/visits", "/v1/counts", "/v1/visits/cam1/s1-1"):
                answer = api.get(path)
                assert (answer.status, answer.headers["retry-after"]) == (503, "2"), path
                assert answer.json["title"] == "Service Unavailable"
            assert api.get("/ready").status == 503
            assert api.get("/live").status == 200
            assert api.get("/").status == 200
            with api.events() as late:
                assert _next(late, "problem").data == problem.data

            own_redis.start()
            _next(events, "state")
            wait_until(lambda: api.get("/ready").status == 200, 10, "the API is ready again")
            _leave(sink, 2)
            while (visit := _next(events, "visit")).data["track_id"] != "s1-2":
                pass
            assert api.get("/v1/visits/cam1/s1-1").status == 200
            assert visit.data["closed"] == "left"


def test_a_frozen_redis_blocks_neither_health_nor_events(own_redis: RedisServer) -> None:
    with running_api(own_redis.url, threads=1) as api, api.events() as events:
        _next(events, "state")
        own_redis.freeze()
        try:
            waiting = [threading.Thread(target=api.get, args=("/v1/now",)) for _ in range(4)]
            for thread in waiting:
                thread.start()
            started_s = time.monotonic()
            assert api.get("/live").status == 200
            assert api.get("/page/app.js").status == 200
            assert time.monotonic() - started_s < 5
            _next(events, "problem")
        finally:
            own_redis.thaw()
        for thread in waiting:
            thread.join()


@pytest.fixture
def service(own_redis: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """The API as its own process."""
    settings = {"API_PORT": "0", "API_TOKEN": TOKEN, "REDIS_URL": own_redis.url}
    service = Service("api", settings, tmp_path)
    yield service
    service.close()


def test_the_service_ends_at_once_despite_clients_of_events(service: Service) -> None:
    service.start().wait_until_ready()
    api = ApiClient(service.port, TOKEN)
    with api.events() as events:
        _next(events, "state")
        service.signal(signal.SIGTERM)
        assert [one for one in events if one.kind not in ("state", "visit")] == [], "the stream ends"
    assert service.wait(5) == 0
    assert [event["event"] for event in service.log_events()][-1] == "stopped"
    assert TOKEN not in service.log_text()
    assert "Traceback" not in service.log_text()


def test_the_service_starts_without_redis_and_waits_for_it(service: Service, own_redis: RedisServer) -> None:
    own_redis.stop()
    service.start()
    wait_until(lambda: service.port and service.live, 20, "the service lives")
    ready, why = service.readiness()
    assert not ready
    assert "api" in why
    own_redis.start()
    service.wait_until_ready(20)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"API_HOST": "0.0.0.0"}, "API_WITHOUT_TOKEN"),  # noqa: S104
        ({"API_TOKENS": "x"}, "did you mean API_TOKEN"),
    ],
)
def test_wrong_settings_are_named_and_nothing_is_started(settings: dict[str, str], told: str) -> None:
    outer = {name: value for name, value in os.environ.items() if not name.startswith("API_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.api"],
        env={**outer, **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
