"""A log line is one JSON object or one short line, and holds no secret."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from agegender.shared.process import secrets
from agegender.shared.process.logs import JsonFormatter, LogFormat, TextFormatter, set_up_logs
from agegender.shared.process.secrets import remember_secret

log = logging.getLogger("shared.oven")


@pytest.fixture(autouse=True)
def _logs_and_secrets_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(secrets._Known, "values", frozenset())
    root, kafka = logging.getLogger(), logging.getLogger("kafka")
    handlers, level, kafka_level = root.handlers[:], root.level, kafka.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    kafka.setLevel(kafka_level)


def _entry(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert isinstance(entry, dict)
    return entry


def test_a_line_is_a_json_object_with_the_fields_given(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")
    log.warning(
        "door %s", "open", extra={"camera": "cam1", "tries": 3, "share": 0.5, "ok": True, "why": None}
    )
    entry = _entry(capsys)
    time = entry.pop("time")
    assert len(time) == len("2026-01-01T00:00:00.000Z")
    assert time.endswith("Z")
    assert entry == {
        "level": "warning",
        "logger": "shared.oven",
        "event": "door open",
        "camera": "cam1",
        "tries": 3,
        "share": 0.5,
        "ok": True,
        "why": None,
    }


def test_a_number_that_is_not_finite_and_a_line_break_stay_json(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")
    log.info('two\nlines "quoted"', extra={"share": float("nan"), "most": float("inf"), "data": b"\xff"})
    entry = _entry(capsys)
    assert entry["event"] == 'two\nlines "quoted"'
    assert (entry["share"], entry["most"], entry["data"]) == ("nan", "inf", "b'\\xff'")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_password_that_is_a_word_leaves_sentences_as_they_are(
    log_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("info", log_format)
    remember_secret("password")
    log.warning("camera down", extra={"detail": "the user or the password is wrong"})
    log.warning("sent %s to %d cameras", "AUTH password", 2)
    first, second = capsys.readouterr().err.splitlines()
    assert "the user or the password is wrong" in first
    assert "sent AUTH *** to 2 cameras" in second


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("secret", ["sesame seed", "se\"sa'me", "se\\same", "s€same@/%"])
def test_a_secret_appears_in_no_part_of_a_line(
    log_format: LogFormat, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("info", log_format)
    remember_secret(secret)
    try:
        raise KeyError(secret)
    except KeyError:
        log.exception("%s failed", secret, extra={"url": f"rtsp://u:{secret}@h/x", "list": [secret]})
    printed = capsys.readouterr().err
    assert "***" in printed
    assert secret not in printed
    assert json.dumps(secret)[1:-1] not in printed
    assert repr(secret)[1:-1] not in printed


def test_an_unknown_login_in_a_url_is_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")
    log.info("open rtsp://viewer:sesame@10.0.0.5/live")
    assert _entry(capsys)["event"] == "open rtsp://***@10.0.0.5/live"


def test_a_traceback_is_one_field_of_the_object(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")
    try:
        raise ValueError("no bread")
    except ValueError:
        log.exception("failed")
    exception = _entry(capsys)["exception"]
    assert exception.startswith("Traceback")
    assert exception.endswith("ValueError: no bread")


def test_text_is_a_short_line_with_the_traceback_below(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "text")
    log.info("door open", extra={"camera": "cam1"})
    try:
        raise ValueError("no bread")
    except ValueError:
        log.exception("failed")
    first, second, *trace = capsys.readouterr().err.splitlines()
    assert first[8:] == " info     shared.oven: door open  camera=cam1"
    assert second[8:] == " error    shared.oven: failed"
    assert trace[-1] == "ValueError: no bread"


def test_less_than_the_level_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("warning", "json")
    log.info("nothing new")
    logging.getLogger("kafka.conn").error("connection refused")
    assert capsys.readouterr().err == ""


def test_a_line_goes_to_what_standard_error_is_at_the_moment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up_logs("info", "text")
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    log.info("door open")
    assert "door open" in capsys.readouterr().out


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_each_format_can_be_used_alone(formatter: logging.Formatter) -> None:
    assert "door open" in formatter.format(logging.makeLogRecord({"msg": "door open"}))
