"""Any list of cameras is read, or refused with the place and without a secret."""

from __future__ import annotations

import json
import re
import string
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agegender.shared.cameras.camera import Camera, camera_of, cameras_from_sources, load_cameras
from agegender.shared.cameras.record import CAMERA_SETTINGS_CODEC, CameraSettings
from agegender.shared.errors import BadMessage, SettingsError
from agegender.shared.messages.codec import Encoded

SECRET = "s3cretpw"
MOST_SIGNS = 600
"""The longest error in characters, so that it fits a screen."""

_VALID = f"""\
cameras:
  - id: entrance
    source: rtsp://192.0.2.10/stream1
    username: viewer
    password: {SECRET}
  - id: hall
    source: rtsp://viewer:{SECRET}@192.0.2.11:8554/live
    fps: 2
  - id: desk
    source: webcam:0
  - id: archive
    source: recordings/monday.mp4
"""
_ODD = [
    "!!timestamp ",
    "!!int ",
    "!!float ",
    "!!python/name:os.system ",
    "&a ",
    "*a",
    "<<: ",
    "? ",
    "- ",
    "{",
    "[",
]
_ODD += [
    "2001-99-99",
    ".nan",
    "1e999",
    "0x_",
    "0o9",
    "60:60",
    "~",
    "\t",
    "\x00",
    "\ud800",
    "%",
    "---\n",
    "'",
    '"',
]

_text = st.text(max_size=20)
_login = st.sampled_from(
    [f"viewer:{SECRET}@", f":{SECRET}@", f"viewer:{SECRET}/x@", f"v:{SECRET}:@", "viewer@", ""]
)
_source = st.one_of(
    _text,
    st.builds(
        lambda scheme, login, host, port, path: f"{scheme}://{login}{host}{port}{path}",
        st.sampled_from(["rtsp", "RTSPS", "http", "rtsp:"]),
        _login,
        st.sampled_from(["192.0.2.1", "[::1]", "[zz]", "h", "", "a b"]),
        st.sampled_from(["", ":554", ":0", ":99999", ":x"]),
        st.sampled_from(["", "/live", "/a@b", "?x=1", "/%"]),
    ),
    st.sampled_from(["webcam:0", "webcam:", "webcam:9999", "/videos", ""]),
)
_plain = st.none() | st.booleans() | st.integers() | st.floats() | _text
_anything = st.recursive(
    _plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_fields: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(["door", "hall"]) | _text | _anything,
    "source": _source | _anything,
    "username": st.just("viewer") | _anything,
    "password": st.just(SECRET) | st.just([SECRET]) | st.just({"is": SECRET}) | st.none(),
    "password_env": st.sampled_from(["CAMERA_DOOR", "HOME"]) | _anything,
    "password_file": st.just("/run/secrets/cameras/door") | _anything,
    "fps": st.floats(0.1, 60) | _plain,
    "pasword": st.just(SECRET),
}
_camera = st.fixed_dictionaries({}, optional=_fields)
_fuzzing = settings(max_examples=150, deadline=None)


@contextmanager
def only_refused(names: Callable[[str], bool], kind: type[Exception] = SettingsError) -> Iterator[None]:
    """What is refused inside is refused with a text that `names` takes for one that says where."""
    try:
        yield
    except kind as error:
        text = str(error)
    else:
        return
    assert names(text), text
    # A password may be broken up by a mistake; what is left of it is not repeated either.
    assert SECRET[:6] not in text, text
    assert len(text) < MOST_SIGNS, text


def loaded(data: bytes) -> list[Camera]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cameras.yaml"
        path.write_bytes(data)
        return load_cameras(path)


def says_which(text: str) -> bool:
    return re.search(r"camera \d: |given twice|no valid YAML", text) is not None


def names_file(text: str) -> bool:
    return "cameras.yaml'" in text


@_fuzzing
@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"2001-99-99")
@example(b"!!int ''")
@example(b"!!float x")
@example(b"[" * 5_000)
@example(b"&a [*a]")
@example(b"cameras: &a [*a]")
@example(b"cameras: [{id: door, source: &a [*a]}]")
@example(b"? {}\n: 1")
@example(b"? []\n: 1")
@example(b"!!python/object/apply:os.system [true]")
def test_a_file_of_anything_is_refused_with_its_name(data: bytes) -> None:
    with only_refused(names_file):
        loaded(data)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The example, with parts left out, doubled or replaced."""
    text = _VALID
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.integers(0, 12)))
        new = draw(
            st.sampled_from(_ODD) | st.text(string.printable, max_size=5) | st.just(text[begin:end] * 2)
        )
        text = text[:begin] + new + text[end:]
    return text.encode("utf-8", "surrogatepass")


@_fuzzing
@given(mutated())
def test_a_list_with_mistakes_is_read_or_refused_with_its_file(data: bytes) -> None:
    with only_refused(names_file):
        loaded(data)


@_fuzzing
@given(st.lists(_camera, min_size=1, max_size=3))
@example([{"id": "door", "source": f"rtsp://viewer:{SECRET}@h", "username": "viewer"}])
@example([{"id": "door", "source": "rtsp://h", "username": "v", "password": [SECRET]}])
@example([{"id": "door", "source": "rtsp://h", "pasword": SECRET}])
def test_a_camera_of_anything_is_refused_with_its_number(fields: list[dict[str, Any]]) -> None:
    data = yaml.safe_dump({"cameras": fields}).encode("utf-8", "surrogatepass")
    with only_refused(says_which):
        assert len(loaded(data)) == len(fields)


@_fuzzing
@given(_camera)
def test_any_fields_are_a_camera_or_refused_with_its_name(fields: dict[str, Any]) -> None:
    with only_refused(lambda text: text.startswith("camera ")):
        camera = camera_of(fields)
        assert SECRET not in repr(camera) + str(camera.model_dump())
        with only_refused(lambda text: text.startswith(f"camera {camera.id}: ")):
            assert SECRET not in CameraSettings.of(camera).model_dump_json()


@_fuzzing
@given(st.lists(_source, min_size=1, max_size=3))
def test_a_source_of_anything_is_refused_with_its_number(sources: list[str]) -> None:
    with only_refused(lambda text: re.match(r"camera \d: ", text) is not None):
        cameras_from_sources(sources)


@pytest.mark.parametrize("name", sorted(_fields))
def test_the_field_that_is_wrong_is_named(name: str) -> None:
    wrong: dict[str, object] = {"id": "door", "source": "rtsp://192.0.2.1/live", name: {"is": SECRET}}
    if name.startswith("password"):
        wrong["username"] = "viewer"
    with pytest.raises(SettingsError, match=rf"\b{name}: ") as raised:
        loaded(yaml.safe_dump({"cameras": [wrong]}).encode())
    assert SECRET not in str(raised.value)
    assert "camera 1" in str(raised.value)


@_fuzzing
@given(_camera | _anything)
@example([])
@example({"id": "door", "source": f"rtsp://viewer:{SECRET}@h/live"})
def test_any_record_is_settings_or_bad_without_a_secret(value: Any) -> None:  # noqa: ANN401
    data = json.dumps(value, default=str).encode("utf-8", "surrogatepass")
    encoded = Encoded(b"door", data, (("schema", b"camera-settings/1"), ("meta", b"{}")))
    with only_refused(lambda text: text.startswith("camera-settings/1: "), BadMessage):
        assert SECRET not in CAMERA_SETTINGS_CODEC.decode(encoded).model_dump_json()
