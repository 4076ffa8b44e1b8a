"""The keys in Redis.

All keys of a camera carry its hash tag, so that they lie on one node of a cluster:

    agegender:{CAMERA}:state          hash     the latest news of the camera; `version` counts the writes
    agegender:{CAMERA}:visit:ID       string   one visit as JSON; while it is open, its votes as well
    agegender:{CAMERA}:visits         zset     track ids by the time of the first sight
    agegender:{CAMERA}:open           zset     track ids of open visits by the time of the latest message;
                                               ten seconds earlier once the camera saw the person leave
    agegender:{CAMERA}:closed         stream   closed visits, as JSON in the field `visit`; bounded length
    agegender:{CAMERA}:counts:…       hash     how many visits, by minute, hour and day: see `counts.py`
    agegender:{CAMERA}:results        stream   results, as JSON in the field `result`; bounded length
    agegender:{CAMERA}:seen           zset     ids of the latest faces, so that a repeat changes nothing
    agegender:{CAMERA}:preview        string   a small JPEG of the scene, for seconds; only if switched on

    agegender:cameras                 zset     camera ids by the time of their last write
    agegender:schema                  string   the number of this layout, see `schema.py`

Everything expires. Times are by the clock of the Redis server, those of frames by the camera's.
"""

from __future__ import annotations

from dataclasses import dataclass

CAMERAS_KEY = "agegender:cameras"
SCHEMA_KEY = "agegender:schema"
RESULT_FIELD = b"result"
VISIT_FIELD = b"visit"


@dataclass(frozen=True)
class CameraKeys:
    """The keys of one camera."""

    base: str
    """The common prefix."""

    @classmethod
    def of(cls, camera_id: str) -> CameraKeys:
        """The keys of `camera_id`."""
        return cls(f"agegender:{{{camera_id}}}")

    @property
    def state(self) -> str:
        """Hash: the latest news of the camera."""
        return f"{self.base}:state"

    @property
    def visits(self) -> str:
        """Sorted set: track ids by the time of the first sight."""
        return f"{self.base}:visits"

    @property
    def open(self) -> str:
        """Sorted set: track ids of open visits by the time of the latest message, see above."""
        return f"{self.base}:open"

    @property
    def closed(self) -> str:
        """Stream: closed visits."""
        return f"{self.base}:closed"

    @property
    def results(self) -> str:
        """Stream: results."""
        return f"{self.base}:results"

    @property
    def seen(self) -> str:
        """Sorted set: ids of the latest faces."""
        return f"{self.base}:seen"

    @property
    def preview(self) -> str:
        """String: a JPEG."""
        return f"{self.base}:preview"

    def visit(self, track_id: str) -> str:
        """String: one visit."""
        return f"{self.base}:visit:{track_id}"

    def counts(self, name: str) -> str:
        """Hash: the counts in `name`, a name made by `counts.py`."""
        return f"{self.base}:counts:{name}"
