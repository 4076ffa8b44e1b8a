"""The parts of a URL that names sentinels."""

from __future__ import annotations

import pytest

from agegender.shared.process.redis_url import SentinelUrl
from agegender.shared.process.settings import RedisSettings


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("redis+sentinel://one/ours", SentinelUrl((("one", 26_379),), "ours")),
        (
            "REDISS+sentinel://one:1,two,192.0.2.1:3/my-name.1/12",
            SentinelUrl((("one", 1), ("two", 26_379), ("192.0.2.1", 3)), "my-name.1", 12),
        ),
        (
            "redis+sentinel://[2001:db8::1],[::1]:5/ours/0",
            SentinelUrl((("2001:db8::1", 26_379), ("::1", 5)), "ours"),
        ),
        (
            "redis+sentinel://sink:p%40ss%2Fw@one,two/ours",
            SentinelUrl((("one", 26_379), ("two", 26_379)), "ours", 0, "sink", "p@ss/w"),
        ),
        ("redis+sentinel://:word@one/ours", SentinelUrl((("one", 26_379),), "ours", 0, None, "word")),
    ],
)
def test_the_sentinels_of_a_url_are_found(url: str, parts: SentinelUrl) -> None:
    assert SentinelUrl.parse(url) == parts
    assert "word" not in repr(parts)


@pytest.mark.parametrize(
    "url", ["redis://store/0", "unix:///s", "redis+sentinel://one", "redis+sentinel:///a"]
)
def test_other_urls_name_no_sentinels(url: str) -> None:
    assert SentinelUrl.parse(url) is None


def test_tls_to_sentinels_is_seen_in_the_url() -> None:
    assert RedisSettings().at("rediss+sentinel://one/ours").uses_tls
    assert not RedisSettings().at("redis+sentinel://one/ours").uses_tls
