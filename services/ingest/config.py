"""The settings of ingest, and the stage that they describe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, SecretStr

from agegender.services.ingest.sources.stream import ANSWER_S, KEYFRAME_S
from agegender.services.ingest.stage import IngestStage
from agegender.shared.cameras.camera import (
    SOURCE_KINDS,
    Camera,
    SourceKind,
    cameras_from_sources,
    check_allowed,
    load_cameras,
)
from agegender.shared.errors import SettingsError
from agegender.shared.process.settings import Settings


def _words(value: object) -> object:
    return [word.strip().lower() for word in value.split(",")] if isinstance(value, str) else value


class IngestSettings(Settings):
    """Which cameras are read, and how."""

    prefix: ClassVar[str] = "INGEST_"

    cameras_path: Path | None = None
    """A YAML file with the list of cameras."""
    cameras: SecretStr = SecretStr("")
    """Or: RTSP URLs, files or folders, separated by spaces. They are named cam1, cam2, …; may hold logins."""
    allowed_sources: Annotated[frozenset[SourceKind], BeforeValidator(_words), Field(min_length=1)] = (
        frozenset(SOURCE_KINDS)
    )
    """The kinds of source that a camera may have, separated by commas: rtsp, rtsps, webcam, file."""
    secrets_path: Path = Path("/run/secrets/cameras")
    """The folder of the password files of cameras from Kafka. They may name no file elsewhere."""
    fps: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Frames a second to take from each camera."""
    longer_side_px: Annotated[int, Field(ge=160, le=4_096)] = 1280
    """Larger frames are shrunk to this."""
    jpeg_quality: Annotated[int, Field(ge=30, le=100)] = 85
    no_frame_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    """A camera is opened again after this long without a frame."""
    answer_s: Annotated[float, Field(ge=1, le=300)] = ANSWER_S
    """How long a camera may take for one answer while it is opened, and for its first packets."""
    keyframe_s: Annotated[float, Field(ge=1, le=3600)] = KEYFRAME_S
    """How long the first keyframe of an open camera may take. Cameras that save bandwidth send one rarely."""
    buffer_bytes: Annotated[int, Field(ge=0)] = 8_000_000
    """The buffer of each camera while Kafka is away: 8 MB are 10 to 25 seconds at 1280 x 720."""
    stale_s: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 30.0
    """The deadline: an older frame of a live camera is not published."""
    max_backlog: Annotated[int, Field(ge=1)] = 500
    """Files wait while more messages than this are unread by detect, classify or sink."""
    hung_s: Annotated[float, Field(ge=1, le=300)] = 5.0
    """How much longer a decoder may be silent before its process is killed and replaced."""

    def stage(self) -> IngestStage:
        """The stage."""
        return IngestStage(self.longer_side_px, self.jpeg_quality)

    @property
    def has_list(self) -> bool:
        """Whether the settings list the cameras, for one worker. If not, Kafka has them, for many workers."""
        return bool(self.cameras.get_secret_value().split()) or self.cameras_path is not None

    def camera_list(self) -> Sequence[Camera]:
        """The cameras.

        Raises:
            SettingsError: neither or both of the two settings are given, one is malformed, or a kind of
                source is not allowed.
        """
        sources = self.cameras.get_secret_value().split()
        if bool(sources) == (self.cameras_path is not None):
            raise SettingsError("set one of INGEST_CAMERAS_PATH (a YAML file) and INGEST_CAMERAS (URLs)")
        cameras = load_cameras(self.cameras_path) if self.cameras_path else cameras_from_sources(sources)
        check_allowed(cameras, self.allowed_sources)
        return cameras
