"""What must change so that the cameras are those that a person wants."""

from __future__ import annotations

from agegender.commands.cameras.changes import changes, described
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage


def settings(camera_id: str, **fields: object) -> CameraSettings:
    return CameraSettings.model_validate({"id": camera_id, "source": f"rtsp://h/{camera_id}", **fields})


DOOR, HALL, YARD = settings("door"), settings("hall"), settings("yard")


def kinds(now: list[CameraSettings], wanted: list[CameraSettings], *, prune: bool) -> list[tuple[str, str]]:
    found = changes({one.id: one for one in now}, wanted, prune=prune)
    return [(one.kind, one.camera_id) for one in found]


def test_cameras_are_added_changed_and_where_asked_for_removed() -> None:
    now, wanted = [DOOR, HALL, YARD], [settings("new"), DOOR, settings("hall", fps=2)]
    assert kinds(now, wanted, prune=False) == [("added", "new"), ("changed", "hall")]
    assert kinds(now, wanted, prune=True) == [("added", "new"), ("changed", "hall"), ("removed", "yard")]


def test_nothing_changes_where_all_is_as_wanted() -> None:
    assert kinds([DOOR], [DOOR], prune=True) == []
    assert kinds([], [], prune=True) == []


def test_a_change_says_what_is_new() -> None:
    (change,) = changes(
        {"door": DOOR}, [settings("door", fps=2.5, username="u", mode="complete")], prune=False
    )
    assert change.details == "username: none → u, fps: none → 2.5, mode: none → complete"


def test_a_bad_record_is_replaced_and_removed_like_any_other() -> None:
    now = {"door": BadMessage("broken"), "old": BadMessage("broken")}
    assert [(one.kind, one.camera_id) for one in changes(now, [DOOR], prune=True)] == [
        ("changed", "door"),
        ("removed", "old"),
    ]
    assert changes(now, [DOOR], prune=True)[0].details == "rtsp://h/door"


def test_a_camera_is_described_with_where_its_password_is() -> None:
    by_env = settings("door", username="u", password_env="CAMERA_PW", fps=2)
    assert described(by_env) == "rtsp://h/door, login u, password in $CAMERA_PW, 2 frames/s"
    by_file = settings("door", username="u", password_file="/run/pw")
    assert described(by_file) == "rtsp://h/door, login u, password in /run/pw"
    assert described(settings("door", username="u")) == "rtsp://h/door, login u"
