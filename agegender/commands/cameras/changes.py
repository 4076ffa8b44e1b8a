"""What must change in the table of cameras so that it says what a person wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage


@dataclass(frozen=True)
class Change:
    """One camera before and after; None where it is not there."""

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
        """What is new about it, in a few words; it holds no secret, as no settings do."""
        if self.after is None:
            return ""
        if not isinstance(self.before, CameraSettings):
            return described(self.after)
        before, after = self.before.model_dump(), self.after.model_dump()
        differing = [name for name in after if after[name] != before[name]]
        return ", ".join(f"{name}: {_or_none(before[name])} → {_or_none(after[name])}" for name in differing)


def changes(
    now: Mapping[str, CameraSettings | BadMessage], wanted: Iterable[CameraSettings], *, prune: bool
) -> list[Change]:
    """The changes from what is there `now` to what is `wanted`, in the order of `wanted`; removals come last.

    Args:
        prune: whether cameras that are not wanted are removed; without it they stay.
    """
    to_be = {one.id: one for one in wanted}
    found = [Change(i, now.get(i), one) for i, one in to_be.items() if now.get(i) != one]
    if prune:
        found += [Change(i, one, None) for i, one in sorted(now.items()) if i not in to_be]
    return found


def described(camera: CameraSettings) -> str:
    """The source, and what else is set, in a few words."""
    parts = [camera.source]
    if login := login_of(camera):
        parts.append(f"login {login}")
    if camera.fps is not None:
        parts.append(f"{camera.fps:g} frames/s")
    if camera.mode is not None:
        parts.append(camera.mode)
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
