"""A buffer of frames that wait for Kafka, limited in bytes for each camera. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from agegender.services.ingest.publish.backpressure import Room
from agegender.shared.messages.pipeline import Frame


class FrameBuffer:
    """Keeps the newest frames of live cameras, and all frames of complete ones, in their order.

    The limit is in bytes, because a worker runs out of memory first. It is for each camera, so that no camera
    takes the space of another.

    Args:
        bytes_per_camera: of JPEGs. One frame is always kept, even if it is larger.
    """

    def __init__(self, bytes_per_camera: int) -> None:
        self._bytes_per_camera = bytes_per_camera
        self._frames: dict[str, deque[Frame]] = {}
        self._bytes: dict[str, int] = {}

    def put(self, frame: Frame) -> Sequence[Frame]:
        """Adds a frame. Returns the frames that it pushes out: the oldest ones of a live camera."""
        camera_id = frame.camera_id
        line = self._frames.setdefault(camera_id, deque())
        line.append(frame)
        self._bytes[camera_id] = self._bytes.get(camera_id, 0) + len(frame.jpeg)
        pushed_out = []
        while self._is_over(camera_id) and len(line) > 1 and not line[0].info.is_complete:
            pushed_out.append(self._pop_first(camera_id))
        return pushed_out

    def _is_over(self, camera_id: str) -> bool:
        return self._bytes[camera_id] > self._bytes_per_camera

    @property
    def full(self) -> frozenset[str]:
        """Complete cameras with a full buffer: no more of their frames should be put."""
        return frozenset(
            camera
            for camera, line in self._frames.items()
            if line[0].info.is_complete and self._bytes[camera] >= self._bytes_per_camera
        )

    @property
    def numbers(self) -> Mapping[str, int]:
        """Camera → the number of its waiting frames. Cameras without any are left out."""
        return {camera: len(line) for camera, line in self._frames.items()}

    @property
    def has_complete(self) -> bool:
        """Whether a frame of a complete camera is next."""
        return any(line[0].info.is_complete for line in self._frames.values())

    def has_next(self, room: Room) -> bool:
        """Whether `take` would take a frame with this room."""
        return any(_fits(line[0], room) for line in self._frames.values())

    def take(self, most: int, room: Room) -> list[Frame]:
        """Takes at most `most` frames, cameras in turn, and of complete ones as many as there is room for."""
        taken: list[Frame] = []
        takes_on = True
        while takes_on:
            takes_on = False
            for camera_id in list(self._frames):
                if len(taken) == most:
                    return taken
                frame = self._frames[camera_id][0]
                if not _fits(frame, room):
                    continue
                if frame.info.is_complete:
                    room = Room(room.cameras - 1, room.files - 1)
                taken.append(self._pop_first(camera_id))
                takes_on = True
        return taken

    def clear(self, camera_ids: Collection[str] | None = None) -> list[Frame]:
        """Removes and returns all frames of these cameras, or of all cameras."""
        chosen = [one for one in list(self._frames) if camera_ids is None or one in camera_ids]
        return [self._pop_first(camera) for camera in chosen for _ in range(len(self._frames[camera]))]

    def _pop_first(self, camera_id: str) -> Frame:
        """Removes the first frame of the camera, and makes the camera the last in turn."""
        line, held_bytes = self._frames.pop(camera_id), self._bytes.pop(camera_id)
        frame = line.popleft()
        if line:
            self._frames[camera_id], self._bytes[camera_id] = line, held_bytes - len(frame.jpeg)
        return frame


def _fits(frame: Frame, room: Room) -> bool:
    """Whether the frame is live, or there is room for one of its kind."""
    if not frame.info.is_complete:
        return True
    return (room.cameras if frame.info.file is None else room.files) > 0
