"""The settings of a camera in Kafka: they say where the password is, never what it is."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, StringConstraints, ValidationError, model_validator

from agegender.shared.cameras.camera import Camera, first_mistake
from agegender.shared.errors import SettingsError
from agegender.shared.messages.codec import Codec
from agegender.shared.messages.pipeline import CameraId, FacePx, Mode, Model
from agegender.shared.process.secrets import secret_name_in

_ENV_PREFIX = "CAMERA_"
_HOW = f"name its environment variable, {_ENV_PREFIX}…, in password_env or its file in password_file"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("expected no control characters, such as tabs, line ends and NUL")
    return text


_Text = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_printable)]


class CameraSettings(Model):
    """One camera for all workers: a message in the topic `cameras`.

    Only RTSP cameras are allowed. A file or a webcam belongs to one machine, and a rebalance would assign it
    to a worker on another.
    """

    id: CameraId
    source: _Text
    """An RTSP URL without a login."""
    username: _Text | None = None
    password_env: _Text | None = None
    """The environment variable, on each worker, that holds the password. Its name begins with `CAMERA_`.
    Otherwise an attacker with access to the settings could send any secret of a worker to his own camera."""
    password_file: _Text | None = None
    """The file, on each worker, that holds the password. A worker searches one folder only."""
    fps: float | None = None
    mode: Mode | None = None
    smallest_face_px: FacePx | None = None

    @model_validator(mode="after")
    def _is_a_camera_without_secrets(self) -> Self:
        try:
            camera = self.camera()
        except ValidationError as error:
            raise ValueError(first_mistake(error)) from None
        if why := _unfit(camera):
            raise ValueError(why)
        return self

    @classmethod
    def of(cls, camera: Camera) -> CameraSettings:
        """The settings of a camera that a person gave.

        Raises:
            SettingsError: Kafka must not hold this camera. It has a password, belongs to one machine, or has
                control characters.
        """
        if why := _unfit(camera):
            raise SettingsError(f"camera {camera.id}: {why}")
        try:
            return cls(
                id=camera.id,
                source=camera.source,
                username=camera.username,
                password_env=camera.password_env,
                password_file=None if camera.password_file is None else str(camera.password_file),
                fps=camera.fps,
                mode=camera.mode,
                smallest_face_px=camera.smallest_face_px,
            )
        except ValidationError as error:
            raise SettingsError(f"camera {camera.id}: {first_mistake(error, cls.model_fields)}") from None

    def camera(self) -> Camera:
        """The camera to read."""
        return Camera.model_validate(self.model_dump())


def _unfit(camera: Camera) -> str | None:
    """The reason why Kafka must not hold this camera; None when it may. The text repeats no secret."""
    if camera.password is not None:
        return f"a password never enters Kafka: keep the username, and instead of the password {_HOW}"
    if camera.password_env is not None and not camera.password_env.startswith(_ENV_PREFIX):
        return f"password_env is {camera.password_env}, expected a name that begins with {_ENV_PREFIX}"
    if not camera.is_rtsp:
        return "expected rtsp:// or rtsps://: not every worker has this file or webcam"
    if name := secret_name_in(camera.source):
        return (
            f"its URL seems to hold a secret, {name}=…, and no secret enters Kafka. If the camera accepts "
            f"user and password as a login too, keep the username and {_HOW}. If not, put the camera into "
            "the file INGEST_CAMERAS_PATH of its own worker"
        )
    return None


CAMERA_SETTINGS_CODEC: Codec[CameraSettings] = Codec(
    schema="camera-settings/1",
    key=lambda camera: camera.id,
    split=lambda camera: ("{}", camera.model_dump_json(exclude_none=True).encode()),
    join=lambda _meta, value: CameraSettings.model_validate_json(value),
    value_is_json=True,
)
