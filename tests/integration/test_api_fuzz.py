"""The API answers every request with data or with a clear error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.api import ApiClient, running_api
from tests.support.made_messages import frame_info, track_summary, track_update, vote
from tests.support.sink import opened_sink

AT_S = 1_700_000_000.0

_text = st.text(max_size=30)
_number = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.floats(AT_S - 1e6, AT_S + 1e6).map(lambda at_s: f"{at_s:.3f}"),
)
_time = st.one_of(
    _text, _number, st.datetimes().map(lambda at: at.isoformat()), st.just("9999-12-31T23:59:59Z")
)
_values = {
    "since": _time,
    "until": _time,
    "tz": st.one_of(st.sampled_from(["UTC", "Europe/Berlin"]), _text),
    "by": st.one_of(st.sampled_from(["minute", "hour", "day"]), _text),
    "camera": st.one_of(st.sampled_from(["cam1", "cam2"]), _text),
    "gender": st.one_of(st.sampled_from(["female", "male", "unknown"]), _text),
    "age_band": st.one_of(st.sampled_from(["30-39", "unknown"]), _text),
    "limit": _number,
    "cursor": st.one_of(
        _text, st.from_regex(r"[0-9.]{1,12}[|:,~][a-z0-9-]{1,9}[|:,~][a-z0-9-]{1,9}", fullmatch=True)
    ),
}
_queries = st.dictionaries(st.sampled_from(sorted(_values)), st.none(), max_size=4).flatmap(
    lambda names: st.fixed_dictionaries(
        {name: st.lists(_values[name], min_size=1, max_size=2) for name in names}
    )
)
_fuzzing = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def api(redis_url: str) -> Iterator[ApiClient]:
    with opened_sink(redis_url) as sink, running_api(redis_url) as api:
        for number in range(5):
            track_id = f"s1-{number}"
            seen = track_summary(track_id, first_seen_s=AT_S + number, votes_sent=1, ended=True)
            frame = frame_info("cam1", "s1", number, AT_S + number)
            sink.output.write([vote(track_id, captured_at_s=AT_S + number), track_update(seen, frame=frame)])
        yield api


@_fuzzing
@given(path=st.sampled_from(["/v1/visits", "/v1/counts", "/v1/now"]), query=_queries)
@example(path="/v1/visits", query={"since": ["1e400"], "until": ["-0"]})
@example(path="/v1/visits", query={"since": ["0001-01-01T00:00:00+23:59"]})
@example(path="/v1/counts", query={"since": ["4102444799"], "until": ["4102444800"]})
def test_no_query_breaks_the_api(api: ApiClient, path: str, query: dict[str, Any]) -> None:
    answer = api.get(path, **query)
    assert answer.status in (200, 422), answer.body
    if answer.status == 422:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["hint"]


@_fuzzing
@given(parts=st.lists(st.text(min_size=1, max_size=20), max_size=4))
@example(parts=["v1", "visits", "cam1", "\x00"])
@example(parts=["v1", "cameras", "..", "preview.jpg"])
@example(parts=["page", "../config.py"])
def test_no_path_breaks_the_api(api: ApiClient, parts: list[str]) -> None:
    for path in (
        "/" + "/".join(quote(part, safe="") for part in parts),
        "/v1/visits/" + quote("/".join(parts)),
    ):
        answer = api.get(path)
        assert answer.status in (200, 307, 404, 422), (path, answer.body)


@_fuzzing
@given(
    name=st.sampled_from(["Authorization", "Last-Event-ID", "Host", "Origin", "Range", "Accept"]), value=_text
)
def test_no_header_breaks_the_api(api: ApiClient, name: str, value: str) -> None:
    sent = "".join(one for one in value if one.isprintable()).encode().decode("latin-1")
    answer = api.get("/v1/visits", headers={name: sent.replace("\r", "").replace("\n", "")})
    assert answer.status in (200, 400, 421), answer.body
