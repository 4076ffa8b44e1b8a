"""The settings of a camera in Kafka: all of them except its secrets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agegender.shared.cameras.camera import Camera
from agegender.shared.cameras.record import CAMERA_SETTINGS_CODEC, CameraSettings
from agegender.shared.errors import BadMessage, SettingsError
from agegender.shared.messages.codec import Encoded

SECRET = "s3cretpw"


def camera(**fields: object) -> Camera:
    return Camera.model_validate({"id": "door", "source": "rtsp://192.0.2.7/live", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"fps": 2.5},
        {"mode": "complete"},
        {"smallest_face_px": 64},
        {"username": "viewer"},
        {"username": "viewer", "password_env": "CAMERA_DOOR"},
        {"username": "viewer", "password_file": "/run/secrets/door"},
        {"source": "rtsps://[2001:db8::1]:322/live?channel=1&subtype=0", "fps": 60},
    ],
)
def test_a_camera_comes_back_as_it_was(fields: dict[str, object]) -> None:
    settings = CameraSettings.of(camera(**fields))
    encoded = CAMERA_SETTINGS_CODEC.encode(settings)
    assert encoded.key == b"door"
    assert dict(encoded.headers)["schema"] == b"camera-settings/1"
    again = CAMERA_SETTINGS_CODEC.decode(encoded)
    assert again == settings
    assert again.camera() == camera(**fields)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"source": f"rtsp://viewer:{SECRET}@192.0.2.7/live"}, "a password never enters Kafka"),
        ({"username": "viewer", "password": SECRET}, "a password never enters Kafka"),
        ({"source": f"rtsp://h/live?user=admin&password={SECRET}"}, "seems to hold a secret, password=…"),
        ({"source": f"rtsp://h/user=admin;PWD={SECRET};stream=0"}, "seems to hold a secret, PWD=…"),
        ({"source": f"rtsp://h/live?access_token={SECRET}"}, "seems to hold a secret, access_token=…"),
        (
            {"source": f"rtsp://h/user=admin_password={SECRET}_channel=1_stream=0.sdp"},
            "seems to hold a secret, admin_password=…",
        ),
        (
            {"source": f"rtsp://h/cam?loginuse=a&loginpas={SECRET}"},
            "put the camera into the file INGEST_CAMERAS_PATH",
        ),
        ({"username": "u", "password_env": "REDIS_PASSWORD"}, "a name that begins with CAMERA_"),
        ({"source": "webcam:0"}, "expected rtsp://"),
        ({"source": "/videos/door.mp4"}, "expected rtsp://"),
    ],
)
def test_a_camera_with_a_secret_or_of_one_machine_is_refused(fields: dict[str, object], why: str) -> None:
    with pytest.raises(SettingsError, match=r"^camera door: ") as raised:
        CameraSettings.of(camera(**fields))
    assert why in str(raised.value)
    assert SECRET not in str(raised.value)
    assert "password_env" in str(raised.value) or "rtsp" in str(raised.value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b'{"id":"door"}',
        b'{"id":"a/b","source":"rtsp://h"}',
        b'{"id":"door","source":"rtsp://viewer:s3cretpw@h/live"}',
        b'{"id":"door","source":"rtsp://h","password_env":"X"}',
        b'{"id":"door","source":"rtsp://h","username":"u","password_env":"X","password_file":"/x"}',
        b'{"id":"door","source":"/etc/passwd"}',
        b'{"id":"door","source":"rtsp://h","fps":0}',
        b'{"id":"door","source":"rtsp://h","mode":"lively"}',
        b'{"id":"door","source":"rtsp://h/user=a_password=s3cretpw_channel=1"}',
        b'{"id":"door","source":"rtsp://h/\\u0000"}',
        b'{"id":"door","source":"rtsp://h","username":"u\\n"}',
        b'{"id":"door","source":"rtsp://h","username":"u","password_env":"CAMERA_\\u0000"}',
        b'{"id":"door","source":"rtsp://h","username":"u","password_file":"/run\\u0000/x"}',
        b'{"id":"door","source":"rtsp://h","username":"u","password_file":"' + b"a/" * 1_001 + b'"}',
    ],
)
def test_an_invalid_record_is_bad_and_repeats_no_secret(value: bytes) -> None:
    encoded = Encoded(b"door", value, (("schema", b"camera-settings/1"), ("meta", b"{}")))
    with pytest.raises(BadMessage) as raised:
        CAMERA_SETTINGS_CODEC.decode(encoded)
    assert SECRET not in str(raised.value)


def test_fields_that_a_newer_version_added_are_ignored() -> None:
    value = b'{"id":"door","source":"rtsp://h/x","floor":3}'
    encoded = Encoded(b"door", value, (("schema", b"camera-settings/1"), ("meta", b"{}")))
    assert CAMERA_SETTINGS_CODEC.decode(encoded).source == "rtsp://h/x"


def test_the_settings_themselves_take_no_password() -> None:
    with pytest.raises(ValidationError) as raised:
        CameraSettings(id="door", source=f"rtsp://viewer:{SECRET}@h/live")
    assert "a password never enters Kafka" in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"username": "u", "password_file": "/run/\0"}, "password_file: expected no control characters"),
        ({"username": "u\x85"}, "username: expected no control characters"),
        ({"source": "rtsp://h/" + "a" * 2_000}, "source: String should have at most 2000 characters"),
    ],
)
def test_control_characters_are_refused_with_their_field(fields: dict[str, object], why: str) -> None:
    with pytest.raises(SettingsError, match=rf"^camera door: {why}"):
        CameraSettings.of(camera(**fields))
