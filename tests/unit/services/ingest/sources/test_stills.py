"""A folder as a camera: its pictures by content, and each page of a TIFF."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import pytest

from agegender.services.ingest.sources.stills import StillsStream
from agegender.services.ingest.sources.stream import CameraError
from tests.support.faces import ASTRONAUT, no_face


def test_pictures_of_a_folder_are_found_by_their_content(tmp_path: Path) -> None:
    for name in ("a.jfif", "b", "c.txt"):
        shutil.copy(ASTRONAUT, tmp_path / name)
    (tmp_path / "d.txt").write_text("a text")
    os.mkfifo(tmp_path / "e.jpg")
    frames = list(StillsStream(tmp_path).frames())
    assert [Path(frame.file or "").name for frame in frames] == ["a.jfif", "b", "c.txt"]
    assert {frame.picture().shape for frame in frames} == {(512, 512, 3)}


def test_each_page_of_a_tiff_is_a_frame(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "scan.tif"), [no_face(64, 48), no_face(32, 24)])
    shapes = [frame.picture().shape for frame in StillsStream(tmp_path).frames()]
    assert shapes == [(48, 64, 3), (24, 32, 3)]


def test_a_folder_without_a_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a text")
    with pytest.raises(CameraError, match="no picture in this folder"):
        StillsStream(tmp_path)
