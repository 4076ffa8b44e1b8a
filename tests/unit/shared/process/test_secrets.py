"""Masked texts hold no password."""

from __future__ import annotations

import time
from urllib.parse import quote, unquote

import pytest

from agegender.shared.process import secrets
from agegender.shared.process.secrets import (
    mask,
    mask_message,
    mask_named,
    remember_secret,
    remember_secrets_in,
    secret_name_in,
)


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
def test_a_secret_is_hidden_as_text_as_repr_and_in_a_url(secret: str) -> None:
    remember_secret(secret)
    for text in (f"login {secret} failed", f"KeyError: {secret!r}", f"rtsp://u:{quote(secret, safe='')}/x"):
        assert mask(text).count("***") == 1
        assert secret not in mask(text)


@pytest.mark.parametrize("word", ["password", "user", "camera", "8554"])
def test_a_secret_that_is_an_ordinary_word_changes_no_sentence(word: str) -> None:
    remember_secret(word)
    for text in ("401: the user or the password is wrong", "no camera answers at 192.0.2.1:8554"):
        assert mask_message(text) == text
    assert mask_message(f"cannot open rtsp://u:{word}@h/live") == "cannot open rtsp://***@h/live"
    assert mask(f"AUTH {word}") == "AUTH ***", "a value from outside is no sentence of ours"


def test_any_other_secret_is_hidden_in_a_sentence_too() -> None:
    remember_secret("hunter22")
    assert mask_message("it says hunter22!") == "it says ***!"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    remember_secret("hunter")
    remember_secret("hunter22")
    assert mask("hunter22!") == "***!"


def test_a_secret_too_short_to_tell_apart_is_left() -> None:
    remember_secret("a")
    remember_secret("")
    assert mask("a cat") == "a cat"


def test_a_secret_with_a_quote_is_hidden_completely_in_a_url() -> None:
    remember_secret('p@ss"word')
    assert mask('rtsp://viewer:p@ss"word@h/live') == "rtsp://***@h/live"


@pytest.mark.parametrize(
    ("url", "name", "shown"),
    [
        ("rtsp://h/live?user=a&password=pw", "password", "rtsp://h/live?user=a&password=***"),
        ("rtsp://h/live?PWD=a/b?c&x=1", "PWD", "rtsp://h/live?PWD=***&x=1"),
        ("rtsp://h/cam?loginuse=a&loginpas=pw", "loginpas", "rtsp://h/cam?loginuse=a&loginpas=***"),
        (
            "rtsp://h/user=admin_password=p_w_channel=1_stream=0.sdp",
            "admin_password",
            "rtsp://h/user=admin_password=***_channel=1_stream=0.sdp",
        ),
        ("rtsp://h/user=a;pass2=pw;stream=0", "pass2", "rtsp://h/user=a;pass2=***;stream=0"),
        ("rtsp://h/live?access_token=a.b-c", "access_token", "rtsp://h/live?access_token=***"),
        ("rtsp://h/live;apiKey=pw", "apiKey", "rtsp://h/live;apiKey=***"),
    ],
)
def test_a_secret_that_a_url_names_is_found_and_hidden(url: str, name: str, shown: str) -> None:
    assert secret_name_in(url) == name
    assert mask_named(url) == shown
    assert mask(f"cannot open {url} at all") == f"cannot open {shown} at all"


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://h/live?channel=1&subtype=0",
        "rtsp://h/passage/token/key",
        "rtsp://h/live?passthrough=1&keyframe=2&author=me",
        "rtsp://h/user=admin_password=_channel=1_stream=0.sdp",
    ],
)
def test_what_names_no_secret_is_shown(url: str) -> None:
    assert secret_name_in(url) is None
    assert mask(url) == mask_named(url) == url


def test_a_secret_whose_name_is_percent_encoded_is_found() -> None:
    url = "rtsp://h/live?p%61ssword=hunter22"
    assert secret_name_in(url) == "password"
    remember_secrets_in(url)
    assert "hunter22" not in mask(url)


@pytest.mark.parametrize("secret", ["hunter22", "hun_ter/22?x", "hun=ter_22", "hun%26ter22"])
def test_the_secrets_of_a_url_are_hidden_wherever_they_appear(secret: str) -> None:
    remember_secrets_in(f"rtsp://h/user=admin_password={secret}_channel=1_stream=0.sdp")
    for text in (f"{secret}!", f"{unquote(secret)}!", f"{quote(secret, safe='')}!"):
        assert mask(text) == "***!"


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "://" + "a" * 200_000, "://" + "pass_" * 4_000, "://" + "pass=" * 4_000]
)
def test_long_lines_are_masked_at_once(text: str) -> None:
    began_s = time.perf_counter()
    mask(text)
    assert time.perf_counter() - began_s < 5
