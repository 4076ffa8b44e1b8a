"""The changes that turn the table of cameras in Kafka into the wanted one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage


@dataclass(frozen=True)
class CameraChange:
    """One camera before and after a change; None where it does not exist."""

    camera_id: str
    before: CameraSettings | BadMessage | None
    after: CameraSettings | None

    @property
    def kind(self) -> str:
        """`added`, `changed` or `removed`."""
        if self.after is None:
            return "removed"
        return "added" if self.before is None else "changed"

    @property
    def details(self) -> str:
        """What changes, in a few words. Settings of cameras hold no secret."""
        if self.after is None:
            return ""
        if not isinstance(self.before, CameraSettings):
            return described(self.after)
        before, after = self.before.model_dump(), self.after.model_dump()
        differing = [name for name in after if after[name] != before[name]]
        return ", ".join(f"{name}: {_or_none(before[name])} → {_or_none(after[name])}" for name in differing)


def changes(
    now: Mapping[str, CameraSettings | BadMessage], wanted: Iterable[CameraSettings], *, prune: bool
) -> list[CameraChange]:
    """The changes from `now` to `wanted`, in the order of `wanted`; removals come last.

    Args:
        prune: whether cameras that are not in `wanted` are removed.
    """
    to_be = {one.id: one for one in wanted}
    found = [CameraChange(i, now.get(i), one) for i, one in to_be.items() if now.get(i) != one]
    if prune:
        found += [CameraChange(i, one, None) for i, one in sorted(now.items()) if i not in to_be]
    return found


def described(camera: CameraSettings) -> str:
    """The source and the other settings, in a few words."""
    parts = [camera.source]
    if login := login_of(camera):
        parts.append(f"login {login}")
    if camera.fps is not None:
        parts.append(f"{camera.fps:g} frames/s")
    if camera.mode is not None:
        parts.append(camera.mode)
    if camera.smallest_face_px is not None:
        parts.append(f"faces from {camera.smallest_face_px} px")
    return ", ".join(parts)


def login_of(camera: CameraSettings) -> str:
    """The user and where the password is; empty where there is no login."""
    if camera.username is None:
        return ""
    if camera.password_env is not None:
        return f"{camera.username}, password in ${camera.password_env}"
    if camera.password_file is not None:
        return f"{camera.username}, password in {camera.password_file}"
    return camera.username


def _or_none(value: object) -> str:
    return "none" if value is None else str(value)
