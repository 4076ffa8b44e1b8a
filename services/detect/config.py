"""The settings of detect."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from agegender.services.detect.tracking.best_shot import Selection
from agegender.shared.images.sizes import MAX_PIXELS
from agegender.shared.process.settings import Settings
from agegender.shared.runtime.runner import BatchLimits

MAX_SEARCH_SIDE_PX = 4_096
_MAX_WORK_S = 1.0


class DetectSettings(Settings):
    """How faces are searched, tracked and selected."""

    prefix: ClassVar[str] = "DETECT_"

    longer_side_px: Annotated[int, Field(ge=160, le=MAX_SEARCH_SIDE_PX)] = 960
    """Frames are shrunk to this longer side for the search; chips are cut from the full frame. `analyze` also
    searches large pictures at twice this size."""
    min_score: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Detections with a lower score are not faces."""
    selection: Selection = "best-shot"
    """`best-shot` classifies only the faces that can improve the answer for a track, `all` every face."""
    confirm_frames: Annotated[int, Field(ge=1, le=100)] = 3
    """A track is confirmed once its face was found in this many frames. A false detection rarely is."""
    lost_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """A track ends when its face is lost for longer. A face that appears later starts another track."""
    preview: Literal["off", "blurred", "clear"] = "off"
    """Send a small picture of each camera once a second, with its faces anonymized or clear."""
    preview_px: Annotated[int, Field(ge=64, le=1_920)] = 480
    """The longer side of that picture."""
    stale_s: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 30.0
    """Frames of a live camera that are older than this are dropped."""
    still_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    """While nothing moves before a live camera, a search stands this long: 3 saves most of the work of an
    empty scene. 0 searches every frame. Needs `best-shot`, and no preview."""
    max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS
    """A frame with more pixels is refused before it is decoded."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Frames searched in parallel, each on one core. Kafka assigns cameras to workers by chance, so a few
    large workers share the load more evenly than many small ones."""
    batch_messages: Annotated[int, Field(ge=1)] = 8
    """The largest number of frames of each thread between two commits."""

    def batch(self) -> BatchLimits:
        """When a batch is complete."""
        most = self.batch_messages * self.threads
        return BatchLimits(most, max_work_s=_MAX_WORK_S, least_messages=min(most, self.threads))
