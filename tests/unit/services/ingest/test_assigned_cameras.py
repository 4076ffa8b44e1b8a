"""A bad record in the topic `cameras` excludes its own camera and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.services.ingest.assigned_cameras import AssignedCameras
from agegender.services.ingest.config import IngestSettings
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings

DOOR = {"id": "door", "source": "rtsp://127.0.0.1:1/door"}
_HEADERS = (("schema", b"camera-settings/1"), ("meta", b"{}"))


class Worker:
    """A worker that holds the one partition there is, and has read these records of it."""

    def __init__(self, secrets: Path) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self._followed = AssignedCameras(IngestSettings(secrets_path=secrets), KafkaSettings(), self.metrics)
        self._offset = 0

    def reads(self, fields: Mapping[str, Any]) -> None:
        self.receives(str(fields.get("id")).encode(), json.dumps(fields).encode())

    def receives(self, key: bytes, value: bytes) -> None:
        place = {"topic": "cameras", "partition": 0, "offset": self._offset}
        self._offset += 1
        record = SimpleNamespace(key=key, value=value, headers=_HEADERS, **place)
        self._followed._table._take({"cameras/0": [record]})
        self._followed._take({0})

    @property
    def held(self) -> set[str]:
        return {camera_id for camera_id in ("door", "odd", "new") if self._followed.is_ours(camera_id)}

    def close(self) -> None:
        self._followed._take(set())
        self._followed._cameras.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of secrets, with a password and with links that go in circles."""
    path = tmp_path_factory.mktemp("secrets")
    (path / "right").write_text("s3cretpw")
    (path / "here").symlink_to(path / "there")
    (path / "there").symlink_to(path / "here")
    (path / "away").symlink_to("/etc/hostname")
    return path


@pytest.fixture
def worker(folder: Path) -> Iterator[Worker]:
    one = Worker(folder)
    one.reads(DOOR)
    yield one
    one.close()


@pytest.mark.parametrize(
    ("name", "is_held"),
    [
        ("right", True),
        ("none yet", True),
        ("", False),
        ("away", False),
        ("../x", False),
        ("a\0b", False),
        ("x" * 300, True),
        ("x/" * 2_000, False),
    ],
    ids=lambda value: str(value)[:9],
)
def test_a_foreign_password_file_excludes_only_its_own_camera(
    worker: Worker, folder: Path, name: str, is_held: bool
) -> None:
    path = f"{folder}/{name}" if name else ""
    worker.reads({"id": "odd", "source": "rtsp://h", "username": "u", "password_file": path})
    assert worker.held == ({"door", "odd"} if is_held else {"door"})
    assert worker.metrics.total("agegender_messages_bad_total") == (0 if is_held else 1)


@pytest.mark.parametrize("name", ["here", "here/x"])
def test_links_that_go_in_circles_end_nothing(worker: Worker, folder: Path, name: str) -> None:
    worker.reads({"id": "odd", "source": "rtsp://h", "username": "u", "password_file": f"{folder}/{name}"})
    worker.reads({"id": "new", "source": "rtsp://h"})
    assert worker.held >= {"door", "new"}


_paths = st.text(max_size=30) | st.lists(
    st.sampled_from(["/", "here", "there", "right", "away", "..", ".", "~", "\0", "x" * 300, "proc/self/fd"]),
    max_size=6,
).map("/".join)
_texts = st.none() | st.text(max_size=12)
_odd_fields = st.fixed_dictionaries(
    {"id": st.just("odd"), "source": st.sampled_from(["rtsp://h", "rtsp://u@h:1/x", "webcam:0"]) | st.text()},
    optional={
        "username": st.just("u") | _texts,
        "password_env": st.just("CAMERA_X") | st.text(max_size=5).map("CAMERA_".__add__) | _texts,
        "password_file": _paths | _paths | st.integers(),
        "fps": st.floats() | st.integers(),
        "mode": st.sampled_from(["live", "complete", "x"]),
    },
)
_path_only = _paths.map(
    lambda path: {"id": "odd", "source": "rtsp://h", "username": "u", "password_file": path}
)


@given(fields=_odd_fields | _path_only, is_in_folder=st.booleans())
def test_a_record_of_anything_is_a_camera_or_left_out(
    folder: Path, fields: dict[str, Any], is_in_folder: bool
) -> None:
    if is_in_folder and "password_file" in fields:
        fields["password_file"] = f"{folder}/{fields['password_file']}"
    worker = Worker(folder)
    try:
        worker.reads(DOOR)
        worker.reads(fields)
        assert "door" in worker.held
    finally:
        worker.close()


@given(key=st.just(b"odd") | st.binary(max_size=5), value=st.binary(min_size=1, max_size=40))
def test_bytes_of_any_kind_are_left_out(folder: Path, key: bytes, value: bytes) -> None:
    worker = Worker(folder)
    try:
        worker.reads(DOOR)
        worker.receives(key, value)
        assert worker.held == {"door"}
    finally:
        worker.close()
