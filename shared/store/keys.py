"""The keys in Redis.

All keys of a camera carry its hash tag, so that they live on one node of a cluster:

    agegender:{CAMERA}:state          hash     the newest that was heard of it; `version` counts the writes
    agegender:{CAMERA}:visit:ID       string   the record of a person as JSON, and while it is open its votes
    agegender:{CAMERA}:visits         zset     ids of persons by the time they were first seen
    agegender:{CAMERA}:open           zset     ids of open persons by the time they were last heard of; ten
                                               seconds sooner for who was seen to leave
    agegender:{CAMERA}:closed         stream   closed persons, each one JSON field `visit`; bounded length
    agegender:{CAMERA}:counts:…       hash     how many persons, by minute, hour and day: see `counts.py`
    agegender:{CAMERA}:results        stream   single faces, each one JSON field `result`; bounded length
    agegender:{CAMERA}:seen           zset     ids of the last faces written, so that a repeat changes nothing
    agegender:{CAMERA}:preview        string   a small JPEG of the scene, for seconds; only where switched on

    agegender:cameras                 zset     camera ids by the time of their last write

Everything expires. Times are by the clock of the Redis server, but those of pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

CAMERAS_KEY = "agegender:cameras"
RESULT_FIELD = b"result"
VISIT_FIELD = b"visit"


@dataclass(frozen=True)
class CameraKeys:
    """The keys of one camera."""

    base: str
    """What all of them begin with."""

    @classmethod
    def of(cls, camera_id: str) -> CameraKeys:
        """The keys of `camera_id`."""
        return cls(f"agegender:{{{camera_id}}}")

    @property
    def state(self) -> str:
        """Hash: the newest that was heard of the camera."""
        return f"{self.base}:state"

    @property
    def visits(self) -> str:
        """Sorted set: ids of persons by the time they were first seen."""
        return f"{self.base}:visits"

    @property
    def open(self) -> str:
        """Sorted set: ids of open persons by the time they were last heard of, or less: see above."""
        return f"{self.base}:open"

    @property
    def closed(self) -> str:
        """Stream: closed persons."""
        return f"{self.base}:closed"

    @property
    def results(self) -> str:
        """Stream: single faces."""
        return f"{self.base}:results"

    @property
    def seen(self) -> str:
        """Sorted set: ids of the last faces written."""
        return f"{self.base}:seen"

    @property
    def preview(self) -> str:
        """String: a JPEG."""
        return f"{self.base}:preview"

    def visit(self, track_id: str) -> str:
        """String: the record of a person."""
        return f"{self.base}:visit:{track_id}"

    def counts(self, name: str) -> str:
        """Hash: counts of the stretch of time called `name`, as `counts.py` makes it."""
        return f"{self.base}:counts:{name}"
