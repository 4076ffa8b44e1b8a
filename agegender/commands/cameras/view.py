"""Cameras, changes and findings as a person and as a program want to see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from agegender.commands.cameras.changes import CameraChange, login_of
from agegender.commands.terminal import Name
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage
from agegender.shared.process.secrets import mask_message

if TYPE_CHECKING:
    from agegender.commands.cameras.probing import ProbedCamera

_SIGNS = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}
_LOGINS = {
    "none": "none asked for",
    "accepted": "accepted",
    "refused": "refused",
    "missing": "asked for, none given",
    "unknown": "",
}


def cameras_table(cameras: Mapping[str, CameraSettings | BadMessage]) -> Table:
    """One row a camera; a bad record says why it is bad."""
    table = Table(box=None, pad_edge=False)
    for name in ("camera", "source", "login", "frames/s", "mode", "faces from"):
        table.add_column(name)
    for camera_id, camera in cameras.items():
        if isinstance(camera, BadMessage):
            bad = Text(f"bad record: {mask_message(str(camera))}", style="red")
            table.add_row(Name(camera_id), bad, "", "", "", "")
        else:
            fps = "" if camera.fps is None else f"{camera.fps:g}"
            face = "" if camera.smallest_face_px is None else f"{camera.smallest_face_px} px"
            login = Name(login_of(camera))
            table.add_row(Name(camera_id), Name(camera.source), login, fps, camera.mode or "live", face)
    return table


def camera_record(camera_id: str, camera: CameraSettings | BadMessage) -> dict[str, object]:
    """One camera as a flat record; of a bad record only the id and the error."""
    if isinstance(camera, BadMessage):
        return {"id": camera_id, "error": mask_message(str(camera))}
    return camera.model_dump()


def change_line(change: CameraChange) -> Text:
    """`+ door rtsp://…`, in colour."""
    sign, style = _SIGNS[change.kind]
    return Text(f"{sign} {change.camera_id}  {change.details}".rstrip(), style=style)


def probed_record(found: ProbedCamera) -> dict[str, object]:
    """What was found as a flat record."""
    return {**asdict(found), "ok": found.ok}


def probed_lines(found: ProbedCamera) -> Sequence[Text]:
    """What was found in a few lines: the camera, what it sends, what is wrong."""
    style = "green" if found.ok and not found.warnings else "yellow" if found.ok else "red"
    state = "works" if found.ok else "gives no frames"
    lines = [Text.assemble((f"{found.camera_id}  {state}", style), f"  {found.source}")]
    if found.problem is not None:
        lines.append(Text(f"    {mask_message(found.problem)}", style="red"))
    facts = {
        "login": _LOGINS[found.login],
        "picture": _joined(found.codec, _size(found)),
        "rate": _joined(
            _unit(found.fps, "{:.1f} frames/s"),
            _unit(found.keyframe_s, "a keyframe every {:.1f} s"),
            _unit(found.keyframe_over_s, "once no keyframe for {:.1f} s"),
            _unit(found.bytes_per_s and found.bytes_per_s / 1000, "{:.0f} kB/s"),
        ),
        "transport": (found.transport or "").upper(),
        "clock": _clock(found),
        "first picture": _unit(found.first_frame_s, "after {:.1f} s"),
    }
    lines += [Text(f"    {name}: {text}") for name, text in facts.items() if text]
    lines += [Text(f"    {warning}", style="yellow") for warning in found.warnings]
    return lines


def _clock(found: ProbedCamera) -> str:
    if found.clock == "camera":
        return f"the camera's own, {abs(found.clock_skew_s or 0):.2f} s from ours"
    if found.clock == "arrival":
        return (
            "none to be believed, the time of arrival is taken"
            if found.clock_skew_s
            else "the time of arrival"
        )
    return ""


def _size(found: ProbedCamera) -> str:
    return "" if found.width_px is None else f"{found.width_px} x {found.height_px} px"


def _unit(value: float | None, text: str) -> str:
    return "" if value is None else text.format(value)


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)
