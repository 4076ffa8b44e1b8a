"""Access to the API: names, tokens, methods and sizes."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from agegender.services.api.config import ApiSettings
from agegender.services.api.server import ApiServer
from agegender.shared.errors import SettingsError
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.service import process_registry
from tests.support.api import ApiClient, running_api

TOKEN = "correct-horse-battery"
ROUTES = (
    "/v1/cameras",
    "/v1/now",
    "/v1/visits",
    "/v1/visits/cam1/s1-1",
    "/v1/counts",
    "/v1/events",
    "/v1/cameras/cam1/preview.jpg",
    "/metrics",
    "/nowhere",
)
OPEN = ("/", "/page/app.js", "/page/style.css", "/live", "/ready", "/openapi.json")


@pytest.fixture(scope="module")
def api(redis_url: str) -> Iterator[ApiClient]:
    """An API without a token."""
    with running_api(redis_url) as api:
        yield api


@pytest.fixture(scope="module")
def locked(redis_url: str) -> Iterator[ApiClient]:
    """An API with a token."""
    with running_api(redis_url, token=TOKEN) as api:
        yield api


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xfc",
    ],
)
def test_without_the_token_no_data_is_sent(locked: ApiClient, path: str, authorization: str | None) -> None:
    stranger = ApiClient(locked.port)
    answer = stranger.get(path, headers={} if authorization is None else {"Authorization": authorization})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Authorization: Bearer" in answer.json["detail"]
    assert TOKEN not in answer.body.decode()


@pytest.mark.parametrize("path", OPEN)
def test_the_empty_page_and_the_health_need_no_token(locked: ApiClient, path: str) -> None:
    assert ApiClient(locked.port).get(path).status in (200, 503)


def test_with_the_token_all_data_is_sent(locked: ApiClient) -> None:
    assert locked.get("/v1/visits").status == 200
    assert locked.get("/metrics").status == 200
    assert locked.get("/v1/now", headers={"Authorization": f"bearer {TOKEN}"}).status == 200
    with locked.events() as events:
        assert next(events).kind == "state"


def test_a_token_in_the_url_does_not_count(locked: ApiClient) -> None:
    assert ApiClient(locked.port).get("/v1/now", token=TOKEN).status == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/v1/visits", "/v1/visits/cam1/s1-1", "/live", "/nowhere"])
def test_the_api_only_reads(api: ApiClient, method: str, path: str) -> None:
    answer = api.get(path, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    if method != "HEAD":
        assert "Expected GET" in answer.json["detail"]


@pytest.mark.parametrize(
    "path", ["/", "/page/app.js", "/v1/visits", "/v1/visits?limit=0", "/nowhere", "/live"]
)
def test_every_answer_has_the_security_headers(api: ApiClient, path: str) -> None:
    headers = api.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_the_page_has_no_foreign_and_no_inline_code(api: ApiClient) -> None:
    page = api.get("/").body.decode()
    assert "https:" not in page
    assert "http:" not in page
    assert "<style" not in page
    assert " style=" not in page
    assert " onclick=" not in page
    for name in (
        "app.js",
        "api.js",
        "cards.js",
        "charts.js",
        "dom.js",
        "format.js",
        "ranges.js",
        "style.css",
    ):
        part = api.get(f"/page/{name}").body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in part, name


def test_a_request_with_a_body_is_refused_unread(api: ApiClient) -> None:
    answer = api.get("/v1/visits", headers={"Content-Length": str(10**9)})
    assert answer.status == 413
    assert "without a body" in answer.json["detail"]


def test_a_query_that_is_too_long_is_refused(api: ApiClient) -> None:
    assert api.get("/v1/visits", camera=["c" * 64] * 150).status == 414


def test_a_head_without_an_end_is_refused(api: ApiClient) -> None:
    received = b""
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        # The server may let go before it has read everything, which resets the connection.
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET / HTTP/1.1\r\n")
            for number in range(1_000):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"x" * 4_000))
            pytest.fail("4 MB of head were taken")
        with contextlib.suppress(ConnectionError):
            received = connection.recv(65_536)
    assert received == b"" or received.startswith(b"HTTP/1.1 400")
    assert api.get("/live").status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""])
def test_without_a_token_only_names_of_this_machine_work(api: ApiClient, host: str) -> None:
    answer = api.get("/v1/visits", headers={"Host": host})
    assert answer.status == 421
    assert "API_TOKEN" in answer.json["hint"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:8080", "[::1]"])
def test_names_of_this_machine_work(api: ApiClient, host: str) -> None:
    assert api.get("/v1/visits", headers={"Host": host}).status == 200


def test_with_a_token_any_name_works(locked: ApiClient) -> None:
    assert locked.get("/v1/visits", headers={"Host": "shop.example"}).status == 200


def test_other_pages_may_read_only_if_they_are_listed(redis_url: str) -> None:
    origin = "https://wall.example"
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    with running_api(redis_url, token=TOKEN, allow_origins=origin) as api:
        answer = api.get("/v1/now", headers={"Origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin
        answer = api.get("/v1/now", method="OPTIONS", headers=preflight)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
        answer = api.get("/v1/now", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers


def test_requests_are_counted_by_route_and_never_by_path(api: ApiClient) -> None:
    api.get("/v1/visits/secret-camera/secret-visit")
    api.get("/nowhere/secret-place")
    api.get("/v1/visits", method="DELETE")
    text = api.get("/metrics").body.decode()
    assert 'agegender_http_requests_total{route="/v1/visits/{camera_id}/{track_id}",status="404"}' in text
    assert 'agegender_http_requests_total{route="none",status="404"}' in text
    assert 'agegender_http_requests_total{route="none",status="405"}' in text
    assert "secret" not in text
    assert "agegender_http_request_seconds_bucket" in text
    assert 'agegender_ready_bool{service="api"}' in text


def test_nothing_of_a_request_is_logged(locked: ApiClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        locked.get("/v1/visits/secret-camera/s1-1", secret="word")
        ApiClient(locked.port, "another-secret-token").get("/v1/now")
    told = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "/v1/visits/{camera_id}/{track_id}" in told
    for secret in (TOKEN, "another-secret-token", "secret-camera", "word"):
        assert secret not in told


def _server(settings: ApiSettings) -> ApiServer:
    metrics = Metrics(process_registry())
    return ApiServer(redis.Redis(), settings, metrics, Health("api", metrics))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104
def test_nothing_is_opened_to_the_network_without_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match="API_TOKEN"):
        _server(ApiSettings(host=host, port=0))


def test_open_access_without_a_token_is_a_caution() -> None:
    (caution,) = ApiSettings(host="0.0.0.0", without_token=True).cautions()  # noqa: S104
    assert "can read all visits" in caution
    assert ApiSettings(without_token=True).cautions() == ()
    assert ApiSettings(host="0.0.0.0", token=SecretStr(TOKEN)).cautions() == ()  # noqa: S104


def test_a_port_in_use_is_named(api: ApiClient) -> None:
    with pytest.raises(SettingsError, match=f"127.0.0.1:{api.port}.*API_PORT"):
        _server(ApiSettings(port=api.port))


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(SettingsError, match="API_HOST=no such host"):
        _server(ApiSettings(host="no such host", without_token=True))


def test_a_token_in_a_file_works_and_a_short_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    settings = ApiSettings.load({"API_TOKEN_FILE": str(tmp_path / "token")})
    assert settings.token is not None
    assert settings.token.get_secret_value() == TOKEN
    with pytest.raises(SettingsError, match="API_TOKEN") as raised:
        ApiSettings.load({"API_TOKEN": "short-secret"})
    assert "short-secret" not in str(raised.value)
