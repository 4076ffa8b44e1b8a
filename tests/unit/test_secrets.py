"""What a person reads holds no password."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from shared import secrets
from shared.secrets import mask, remember_secret


@pytest.fixture(autouse=True)
def _forgotten_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets._Known, "values", frozenset())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("cannot open rtsp://viewer:pass@10.0.0.5/live", "cannot open rtsp://***@10.0.0.5/live"),
        ("redis://:pass@store:6379/0 is away", "redis://***@store:6379/0 is away"),
        ("RTSPS://u:p@h", "RTSPS://***@h"),
        ("rtsp://u:p@ss/w:rd@host/live", "rtsp://***@host/live"),
        ("'rtsp://a:b@h' and \"redis://c:d@i\"", "'rtsp://***@h' and \"redis://***@i\""),
        ("rtsp://10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("expected redis://[user:password@]host[:port]", "expected redis://[user:password@]host[:port]"),
        ("redis://[user:pass@]host", "redis://***@]host"),
        ("write to who@example.org", "write to who@example.org"),
        ("http://h:1/metrics, then mail who@example.org", "http://h:1/metrics, then mail who@example.org"),
    ],
)
def test_the_login_of_a_url_is_hidden(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "secret",
    [
        "correct horse",
        "quo'te",
        'dou"ble',
        "both'\"kinds",
        "back\\slash",
        "p@ss/w:rd#?%",
        "pä$$wört",
        "a{b}c\t",
    ],
)
def test_a_remembered_secret_is_hidden_as_it_is_as_repr_and_as_part_of_a_url(secret: str) -> None:
    remember_secret(secret)
    for text in (f"login {secret} failed", f"KeyError: {secret!r}", f"rtsp://u:{quote(secret, safe='')}/x"):
        assert mask(text).count("***") == 1
        assert secret not in mask(text)


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    remember_secret("hunter")
    remember_secret("hunter22")
    assert mask("hunter22!") == "***!"


def test_a_secret_too_short_to_tell_apart_is_left() -> None:
    remember_secret("a")
    remember_secret("")
    assert mask("a cat") == "a cat"
