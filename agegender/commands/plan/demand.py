"""What is asked of the system, and the messages that come of it. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from agegender.commands.plan.constants import Constants
from agegender.services.detect.config import DetectSettings
from agegender.services.detect.tracking.best_shot import Ballot
from agegender.services.ingest.config import IngestSettings
from agegender.shared.errors import SettingsError

_FAIR_QUALITY = 0.8  # of the faces that people show to a camera; better ones settle a vote sooner
_DAY_H = 24.0


@dataclass(frozen=True)
class Demand:
    """The cameras and the people before them, in the hour when most is going on.

    Attributes:
        fps: frames a second to look at, of each camera.
        faces: people before a camera at once, the mean over all cameras.
        stay_s: how long a person stays before a camera.
        busy_hours: how many hours of a day are like that hour; the rest of it is quiet.
        stream_fps: frames a second that a camera sends. All of them are decoded.
        stream_wh: their size.
        gpu: whether GPUs run the nets of classify.
        headroom: how many times the load of that hour the workers are to bear.
        replication: copies that Kafka keeps of each message.
        picture_minutes: for how long Kafka keeps pictures.
        kept_days: for how long Redis keeps persons (SINK_TTL_S).
        within_s: from a frame to the store, for 99 of 100 faces that are classified.

    Raises:
        SettingsError: a value that cannot be.
    """

    cameras: int
    fps: float = IngestSettings.model_fields["fps"].default
    faces: float = 2.0
    stay_s: float = 20.0
    busy_hours: float = 12.0
    stream_fps: float = 25.0
    stream_wh: tuple[int, int] = (1280, 720)
    gpu: bool = False
    headroom: float = 1.5
    replication: int = 3
    picture_minutes: float = 10.0
    kept_days: float = 1.0
    within_s: float = 2.0

    def __post_init__(self) -> None:
        """Names the first value that cannot be."""
        ranges = {
            "cameras": (1, 100_000),
            "fps": (0.1, 60),
            "faces": (0, 100),
            "stay_s": (0.5, 86_400),
            "busy_hours": (0, _DAY_H),
            "stream_fps": (self.fps, 120),
            "headroom": (1, 10),
            "replication": (1, 9),
            "picture_minutes": (1, 7 * 24 * 60),
            "kept_days": (0.01, 366),
            "within_s": (0.1, 3600),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                option = "--" + name.removesuffix("_s").replace("_", "-")
                raise SettingsError(f"{option}: expected {low:g} to {high:,}, got {value:g}")


@dataclass(frozen=True)
class Rates:
    """Messages a second in the busy hour, over all cameras."""

    frames: float
    arrivals: float
    """Visits that begin."""
    classified: float
    """Faces that are sent to be classified; each gives one result."""
    track_updates: float
    votes_per_visit: int
    visits_per_camera_day: float

    @property
    def stored(self) -> float:
        """Messages that the sink writes."""
        return self.classified + self.track_updates


def rates(demand: Demand) -> Rates:
    """What comes of the demand.

    By Little's law, the persons that come in a second are those present, divided by the length of a stay.
    Each is classified only a few times, by the rules of `services/detect/tracking/best_shot.py`. A track
    update is sent once a second for each camera, and when a track begins or ends.
    """
    arrivals = demand.cameras * demand.faces / demand.stay_s
    votes = votes_of(demand.stay_s, demand.fps)
    return Rates(
        frames=demand.cameras * demand.fps,
        arrivals=arrivals,
        classified=arrivals * votes,
        track_updates=demand.cameras * min(demand.fps, 1.0) + 2 * arrivals,
        votes_per_visit=votes,
        visits_per_camera_day=arrivals / demand.cameras * 3600 * demand.busy_hours,
    )


def votes_of(stay_s: float, fps: float, quality: float = _FAIR_QUALITY) -> int:
    """How many faces are classified in a stay of this length, if all have the same quality."""
    ballot, confirmed_s = Ballot(), (DetectSettings().confirm_frames - 1) / fps
    frames = int((stay_s - confirmed_s) * fps) + 1 if stay_s >= confirmed_s else 0
    for number in range(frames):
        if ballot.wants(quality, number / fps):
            ballot.add(quality, number / fps)
        if ballot.is_settled:
            break
    return ballot.votes_sent


def area_ratio(wh: tuple[int, int], constants: Constants) -> float:
    """How much larger frames of this size are than those that the constants were measured with."""
    measured_w, measured_h = constants.frame_wh
    return wh[0] * wh[1] / (measured_w * measured_h)


def sent_wh(stream_wh: tuple[int, int]) -> tuple[int, int]:
    """The size that ingest shrinks frames to, INGEST_LONGER_SIDE_PX as it comes."""
    longer_px: int = IngestSettings.model_fields["longer_side_px"].default
    scale = min(1.0, longer_px / max(stream_wh))
    return round(stream_wh[0] * scale), round(stream_wh[1] * scale)
