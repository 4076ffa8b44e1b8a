"""Cameras from a file and from URLs with logins, and the errors for malformed ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from agegender.services.ingest.config import IngestSettings
from agegender.shared.cameras.camera import Camera, cameras_from_sources, load_cameras, split_login
from agegender.shared.errors import SettingsError
from agegender.shared.process.secrets import mask

SECRET = "s3cret@:/%#word"
SECRET_IN_URL = "s3cret%40%3A%2F%25%23word"

GOOD = """\
cameras:
  - id: door
    source: rtsp://viewer:s3cret%40%3A%2F%25%23word@192.0.2.7:8554/live?channel=1
    fps: 2.5
  - id: hall
    source: rtsps://192.0.2.8/hall
    username: viewer
    password_env: HALL_PASSWORD
  - id: desk
    source: webcam:0
  - id: archive
    source: /videos/Straße am Morgen.mp4
"""


def camera(source: str, **fields: object) -> Camera:
    return Camera.model_validate({"id": "door", "source": source, **fields})


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "cameras.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_of_cameras_is_read_without_logins_in_the_urls(tmp_path: Path) -> None:
    door, hall, desk, archive = load_cameras(written(tmp_path, GOOD))
    assert (door.id, door.source) == ("door", "rtsp://192.0.2.7:8554/live?channel=1")
    assert (door.fps, door.is_rtsp, door.is_live, door.webcam_index) == (2.5, True, True, None)
    assert door.url_with_login() == f"rtsp://viewer:{SECRET_IN_URL}@192.0.2.7:8554/live?channel=1"
    assert (hall.source, hall.username, hall.fps) == ("rtsps://192.0.2.8/hall", "viewer", None)
    assert (desk.webcam_index, desk.is_rtsp, desk.is_live) == (0, False, True)
    assert (archive.source, archive.is_live) == ("/videos/Straße am Morgen.mp4", False)


@pytest.mark.parametrize(
    ("source", "mode", "is_complete"),
    [
        ("rtsp://192.0.2.7/live", None, False),
        ("webcam:0", None, False),
        ("monday.mp4", None, True),
        ("rtsp://192.0.2.7/live", "complete", True),
        ("monday.mp4", "live", False),
    ],
)
def test_files_are_complete_and_cameras_live_unless_told(
    source: str, mode: str | None, is_complete: bool
) -> None:
    assert camera(source, mode=mode).is_complete is is_complete


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "expected a list of cameras under the key `cameras`"),
        ("cameras: []", "expected a list of cameras"),
        ("cameras: {id: a, source: b}", "expected a list of cameras"),
        ("- id: a\n  source: b", "expected a list of cameras"),
        ("cameras:\n- a.mp4", "camera 1: Input should be a valid dictionary"),
        ("cameras:\n- {id: a, source: x}\n- {source: x}", "camera 2: id: Field required"),
        ("cameras:\n- {id: a}", "camera 1: source: Field required"),
        ("cameras:\n- {id: a, source: ''}", "camera 1: source:"),
        ("cameras:\n- {id: a/b, source: x}", "camera 1: id:"),
        ("cameras:\n- {id: a, sorce: x}", "camera 1: sorce: unknown: did you mean source?"),
        ("cameras:\n- {id: a, source: x, colour: red}", "camera 1: colour: unknown: expected id, source, "),
        ("cameras:\n- {id: a, source: x, fsp: 3}", "camera 1: fsp: unknown: did you mean fps?"),
        ("cameras:\n- {id: a, source: x, fps: 0}", "camera 1: fps:"),
        (
            "cameras:\n- {id: a, source: x, smallest_face_px: 8}",
            "camera 1: smallest_face_px: Input should be greater than or equal to 16",
        ),
        ("cameras:\n- {id: a, source: x, mode: all}", "camera 1: mode: Input should be 'live' or 'complete'"),
        ("cameras:\n- {id: a, source: x}\n- {id: a, source: y}", "camera id 'a' is given twice"),
        ("cameras:\n- id: [", "not valid YAML near line 2"),
        (b"cameras:\n- {id: a, source: \xff\xfe}", "not UTF-8 text"),
        (
            "cameras:\n- {id: a, source: 'webcam:abc'}",
            "camera 1: expected the number of a webcam, as in webcam:0",
        ),
        ("cameras:\n- {id: a, source: 'webcam:-1'}", "expected the number of a webcam"),
        ("cameras:\n- {id: a, source: 'http://h/x'}", "expected rtsp:// or rtsps://, a webcam or the path"),
        ("cameras:\n- {id: a, source: 'rtsp://h:0/x'}", "camera 1: expected rtsp://host:port/path"),
        ("cameras:\n- {id: a, source: 'rtsp://h', password: abcd}", "a password needs a username"),
        ("cameras:\n- {id: a, source: x, username: u}", "only an rtsp:// source takes a username"),
    ],
)
def test_a_malformed_file_is_refused_with_place_and_reason(
    tmp_path: Path, text: str | bytes, named: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as error:
        load_cameras(path)
    assert named in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*none\.yaml.*No such file"):
        load_cameras(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "fields",
    [
        "fsp: 3",
        "fps: 1000",
        "password_env: X",
        "password: otherword",
        "username: other",
        "id: bad id",
        "source: 'rtsp://viewer:s3cret@:/%#word@host:99999/x'",
        "source: 'http://viewer:s3cret@:/%#word@host/x'",
    ],
)
def test_no_refusal_repeats_the_password(tmp_path: Path, fields: str) -> None:
    entry = f"id: door\n  source: 'rtsp://viewer:{SECRET_IN_URL}@host/x'\n  {fields}\n"
    if fields.startswith(("id", "source")):
        entry = "\n  ".join(
            line for line in (entry.split("\n  ")) if not line.startswith(fields.split(":")[0])
        )
        entry += f"  {fields}\n"
    path = written(tmp_path, f"cameras:\n- {entry}")
    with pytest.raises(SettingsError) as error:
        load_cameras(path)
    assert "s3cret" not in str(error.value)
    assert "otherword" not in str(error.value)


def test_a_login_in_the_url_and_in_a_field_is_refused() -> None:
    with pytest.raises(SettingsError) as error:
        cameras_from_sources(["rtsp://u:abcd@h/x", "rtsp://h:port:wrong/x"])
    assert str(error.value).startswith("camera 2: ")
    with pytest.raises(ValidationError, match="password and username given in the URL and as a field"):
        camera("rtsp://viewer:abcdef@h/x", username="viewer", password="abcdef")


def test_not_even_a_direct_validation_error_repeats_the_input() -> None:
    with pytest.raises(ValidationError) as error:
        camera("rtsp://v:s3cret@h:0")
    assert "s3cret" not in str(error.value)


def test_no_text_about_a_camera_holds_the_password() -> None:
    for shown in (
        camera(f"rtsp://viewer:{SECRET_IN_URL}@host/x"),
        camera("rtsp://host/x", username="viewer", password=SECRET),
    ):
        for text in (repr(shown), str(shown), str(shown.model_dump()), shown.model_dump_json()):
            assert "s3cret" not in text
        assert SECRET_IN_URL in shown.url_with_login()
    assert mask(f"{SECRET} or {SECRET_IN_URL}") == "*** or ***"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("rtsp://h", ("rtsp://h", None, None)),
        ("RTSP://h:8554/a", ("rtsp://h:8554/a", None, None)),
        ("rtsp://u:p@h/a", ("rtsp://h/a", "u", "p")),
        ("rtsp://u@h/a", ("rtsp://h/a", "u", None)),
        ("rtsp://u:@h/a", ("rtsp://h/a", "u", "")),
        ("rtsp://:p@h/a", ("rtsp://h/a", "", "p")),
        ("rtsp://u:p%40%3A%2F%25%23@h:1/a", ("rtsp://h:1/a", "u", "p@:/%#")),
        ("rtsp://u:p@:/%#@h:1/a", ("rtsp://h:1/a", "u", "p@:/%#")),
        ("rtsp://u:a?b@h/a", ("rtsp://h/a", "u", "a?b")),
        ("rtsp://u:a/b@h/a", ("rtsp://h/a", "u", "a/b")),
        ("rtsp://u:12?b@h/a", ("rtsp://h/a", "u", "12?b")),
        ("rtsp://u:a@b@h/a", ("rtsp://h/a", "u", "a@b")),
        ("rtsp://gr%C3%BC%C3%9Fe:p%20q@h/a", ("rtsp://h/a", "grüße", "p q")),
        ("rtsp://[2001:db8::7]:8554/a", ("rtsp://[2001:db8::7]:8554/a", None, None)),
        ("rtsp://[fe80::7%25eth0]:8554/a", ("rtsp://[fe80::7%eth0]:8554/a", None, None)),
        ("rtsp://u:p@[fe80::7%eth0.2]/a", ("rtsp://[fe80::7%eth0.2]/a", "u", "p")),
        ("rtsp://u:p@[2001:db8::7]/a", ("rtsp://[2001:db8::7]/a", "u", "p")),
        ("rtsp://h/a@b", ("rtsp://h/a@b", None, None)),
        ("rtsp://192.0.2.7:554/a@b?x=1@2", ("rtsp://192.0.2.7:554/a@b?x=1@2", None, None)),
        ("rtsp://[2001:db8::7]:554/a@b", ("rtsp://[2001:db8::7]:554/a@b", None, None)),
        ("rtsp://u:p@h:554/a@b", ("rtsp://h:554/a@b", "u", "p")),
        ("rtsp://h?x=1", ("rtsp://h?x=1", None, None)),
        ("rtsps://u:p@h:65535/a", ("rtsps://h:65535/a", "u", "p")),
        ("a folder/with@sign", ("a folder/with@sign", None, None)),
        ("webcam:12", ("webcam:12", None, None)),
    ],
)
def test_a_login_is_taken_out_of_a_url(source: str, expected: tuple[str, str | None, str | None]) -> None:
    assert split_login(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://",
        "rtsp:///path",
        "rtsp://u:s3cret@/path",
        "rtsp://u:s3cret@h:65536/a",
        "rtsp://u:s3cret@h:0/a",
        "rtsp://u:s3cret@h:12x/a",
        "rtsp://u:s3cret@h h/a",
        "http://u:s3cret@h/a",
        "webcam:",
        "webcam:s3cret",
    ],
)
def test_a_malformed_source_is_refused_without_being_repeated(source: str) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        split_login(source)
    assert "s3cret" not in str(error.value)
    with pytest.raises(SettingsError, match="camera 1: expected") as refused:
        cameras_from_sources([source])
    assert "s3cret" not in str(refused.value)


def test_a_password_comes_from_the_environment_or_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", SECRET)
    from_environment = camera("rtsp://h/x", username="viewer", password_env="DOOR_PASSWORD")
    assert from_environment.url_with_login() == f"rtsp://viewer:{SECRET_IN_URL}@h/x"
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    from_file = camera("rtsp://h/x", username="viewer", password_file=str(path))
    assert from_file.url_with_login() == f"rtsp://viewer:{SECRET_IN_URL}@h/x"


def test_a_missing_password_is_named_when_the_camera_is_opened(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="camera door: environment variable NO_SUCH_ONE is not set"):
        camera("rtsp://h/x", username="u", password_env="NO_SUCH_ONE").url_with_login()
    with pytest.raises(SettingsError, match=r"camera door: cannot read .*No such file"):
        camera("rtsp://h/x", username="u", password_file=str(tmp_path / "none")).url_with_login()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8 text"):
        camera("rtsp://h/x", username="u", password_file=str(tmp_path / "binary")).url_with_login()


def test_cameras_of_a_command_line_are_numbered() -> None:
    cameras = cameras_from_sources(["a.mp4", "webcam:1"])
    assert [(one.id, one.source) for one in cameras] == [("cam1", "a.mp4"), ("cam2", "webcam:1")]


@pytest.mark.parametrize(
    "source",
    ["rtsp://viewer:12/s3cret@h/a", "rtsp://v@example.org:12/s3cret@h/a"],
)
def test_a_password_like_port_and_path_is_refused_with_a_remedy(source: str) -> None:
    with pytest.raises(SettingsError, match=r"percent-encode user and password .* password_env") as error:
        cameras_from_sources([source])
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("rtsp://h/a", "rtsp"),
        ("RTSPS://h/a", "rtsps"),
        ("webcam:0", "webcam"),
        ("a.mp4", "file"),
        ("folder", "file"),
    ],
)
def test_a_source_is_of_a_kind_that_may_be_forbidden(source: str, kind: str) -> None:
    assert IngestSettings.load({"INGEST_CAMERAS": source}).camera_list()[0].kind == kind
    only_this = IngestSettings.load({"INGEST_CAMERAS": source, "INGEST_ALLOWED_SOURCES": kind.upper()})
    assert only_this.camera_list()
    others = ", ".join({"rtsp", "rtsps", "webcam", "file"} - {kind})
    settings = IngestSettings.load({"INGEST_CAMERAS": source, "INGEST_ALLOWED_SOURCES": others})
    with pytest.raises(SettingsError, match=rf"INGEST_ALLOWED_SOURCES=.* does not allow .* cam1 \({kind}\)"):
        settings.camera_list()


def test_a_kind_of_source_that_there_is_not_is_named() -> None:
    with pytest.raises(SettingsError, match=r"INGEST_ALLOWED_SOURCES: .*'rtsp', 'rtsps', 'webcam' or 'file'"):
        IngestSettings.load({"INGEST_ALLOWED_SOURCES": "rtsp,http"})


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://192.0.2.7/live?user=a&password=hunter22",
        "rtsp://192.0.2.7/user=admin_password=hunter22_channel=1_stream=0.sdp",
    ],
)
def test_a_secret_in_path_or_query_is_hidden_wherever_it_appears(source: str, tmp_path: Path) -> None:
    (in_file,) = load_cameras(written(tmp_path, f"cameras: [{{id: door, source: '{source}'}}]"))
    (given,) = cameras_from_sources([source])
    assert in_file.url_with_login() == given.url_with_login() == source
    assert mask("the camera says hunter22") == "the camera says ***"
    assert "hunter22" not in mask(source)


def test_a_password_file_that_is_no_path_is_named() -> None:
    with pytest.raises(SettingsError, match=r"camera door: cannot read '/run/\\x00': .*null"):
        camera("rtsp://h/x", username="u", password_file="/run/\0").url_with_login()
