"""What is read from FFmpeg's log while a camera is opened."""

from __future__ import annotations

import logging
import threading

import av.logging
import pytest

from agegender.services.ingest.sources.rtsp.talk import RtspTalk, listening


def heard(*lines: str) -> RtspTalk:
    with listening() as talk:
        for line in lines:
            av.logging.log(av.logging.DEBUG, "rtsp", line + "\n")
    return talk


def test_the_last_refusal_counts() -> None:
    talk = heard(
        "method DESCRIBE failed: 401 (Unauthorized)", "method SETUP failed: 453 (Not Enough Bandwidth)"
    )
    assert talk.refusal == ("SETUP", 453)
    assert heard("hello state=0").refusal is None


@pytest.mark.parametrize(
    ("challenges", "unknown"),
    [
        (['Digest realm="a", nonce="b"'], None),
        (['Digest realm="a", algorithm=MD5'], None),
        (['Digest realm="a", algorithm="MD5-sess", nonce="b"'], None),
        (['Digest realm="cam", nonce="abcd", algorithm="SHA-256", stale="FALSE"'], "Digest SHA-256"),
        (["Digest algorithm=SHA-256", "Digest algorithm=MD5"], None),
        (["Digest algorithm=MD5", "Digest algorithm=SHA-256"], "Digest SHA-256"),
        (["Digest algorithm=SHA-512-256", 'Basic realm="a"'], "Digest SHA-512-256"),
        (['Basic realm="a"'], None),
        (["Bearer", 'Basic realm="a"'], None),
        (["Negotiate"], "Negotiate"),
        ([], None),
    ],
)
def test_a_login_that_ffmpeg_does_not_know_is_named(challenges: list[str], unknown: str | None) -> None:
    reply = "\n".join(["CSeq: 3", *(f"WWW-Authenticate: {one}" for one in challenges)])
    assert heard(reply).unknown_login == unknown


def test_udp_is_worth_a_try_only_after_a_refused_setup() -> None:
    described = "SDP:\nv=0"
    assert heard(described, "method SETUP failed: 501 (Not Implemented)").has_no_tcp
    assert heard(described, "Nonmatching transport in server reply").has_no_tcp
    assert not heard(described, "method SETUP failed: 453 (Not Enough Bandwidth)").has_no_tcp
    assert not heard(described, "hello state=0", "method PLAY failed: 501 (Not Implemented)").has_no_tcp
    assert not heard("method DESCRIBE failed: 501 (Not Implemented)").has_no_tcp


def test_a_redirect_is_told_without_its_login() -> None:
    talk = heard("Status 302: Redirecting to rtsp://viewer:s3cret@192.0.2.1:8554/live")
    assert (talk.redirects, talk.redirected_to) == (1, "192.0.2.1:8554")
    assert heard("Status 302: Redirecting to rtsp://[::1").redirected_to == ""


class Kept(logging.Handler):
    """Of the root logger. Pytest's own handlers are also added to loggers that do not propagate."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_no_other_handler_gets_the_lines() -> None:
    kept, root = Kept(), logging.getLogger()
    root.addHandler(kept)
    root.setLevel(logging.NOTSET)
    try:
        heard("Status 302: Redirecting to rtsp://viewer:s3cret@192.0.2.1/live")
        av.logging.log(av.logging.ERROR, "rtsp", "after the end\n")
    finally:
        root.removeHandler(kept)
    assert kept.records == []
    assert av.logging.get_level() is None


def test_each_thread_hears_its_own_lines() -> None:
    begun, talks = threading.Barrier(4), []

    def talking(number: int) -> None:
        with listening() as talk:
            begun.wait(5)
            for _ in range(20):
                av.logging.log(av.logging.ERROR, "rtsp", f"method SETUP failed: {number} (x)\n")
            begun.wait(5)
        talks.append((number, talk.refusal))

    threads = [threading.Thread(target=talking, args=(number,)) for number in (401, 402, 403, 404)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(talks) == [(number, ("SETUP", number)) for number in (401, 402, 403, 404)]
