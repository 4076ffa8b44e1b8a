"""The messages between the services: frozen and validated. `codec` encodes them.

    Frame        a picture of a camera            ingest   → detect
    Face         one aligned face of a frame      detect   → classify
    TrackUpdate  all confirmed tracks             detect   → classify → sink
    Preview      a small picture of the scene     detect   → sink
    Result       age and gender of a face         classify → sink
    CameraNotice why a camera gives no frames     ingest   → sink

Each message carries the description of its origin. So a result alone tells the camera, the frame, the
position in the frame and all time stamps on the way. Times are seconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

CAMERA_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

CameraId = Annotated[str, StringConstraints(pattern=CAMERA_ID_PATTERN)]
"""Valid in a Kafka key, in a Redis key and in a metric label."""

Clock = Literal["camera", "arrival"]
"""The clock of the capture time: the camera's own (RTCP), or ours when the frame arrived."""

Mode = Literal["live", "complete"]
"""`live`: old frames are dropped. `complete`: no frame is dropped, the source waits."""

Gender = Literal["female", "male", "unknown"]

Unclassified = Literal["too-small", "too-blurred"]
"""Why a face was not classified."""

TrackId = Annotated[str, StringConstraints(pattern=r"^[0-9a-z-]{1,48}$")]
"""Valid in a Kafka key and in a Redis key."""

LONGEST_SIDE_PX = 65_535
"""The longest side of a frame in a message, in pixels."""

# Calendars end with the year 9999. The sum of two times must still be a date.
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Years = Annotated[float, Field(ge=0, le=130, allow_inf_nan=False)]
SidePx = Annotated[int, Field(ge=1, le=LONGEST_SIDE_PX)]
FacePx = Annotated[int, Field(ge=16, le=1_000)]
"""The height of a face, in pixels of the frame."""
Coordinate = Annotated[float, Field(allow_inf_nan=False)]
JpegBytes = Annotated[bytes, Field(min_length=1)]
BoxXyxy = tuple[Coordinate, Coordinate, Coordinate, Coordinate]
PointXy = tuple[Coordinate, Coordinate]


AGE_BANDS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")


def age_band(age_years: float) -> str:
    """The band of `AGE_BANDS` that contains this age."""
    return AGE_BANDS[min(int(age_years) // 10, len(AGE_BANDS) - 1)]


class Traceable(Protocol):
    """The part of every message that the runner needs to count it and to measure its delay."""

    @property
    def camera_id(self) -> str:
        """The camera that the message comes from."""

    @property
    def captured_at_s(self) -> float:
        """When its picture was captured."""


class Model(BaseModel):
    """Base of the messages: frozen. Unknown fields are ignored, so that versions can run side by side."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def stream_began_at_s(stream_id: str) -> float:
    """When a stream began, in seconds since 1970 UTC. Its id is that time in ms, in base 36."""
    return int(stream_id, 36) / 1000


class FrameInfo(Model):
    """The description of a frame: everything but its picture."""

    camera_id: CameraId
    stream_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{1,24}$")]
    """One unbroken connection to the camera; a reconnect begins another stream."""
    sequence: Annotated[int, Field(ge=0, lt=2**53)]
    """The number of the frame in its stream, from 0; a gap is a dropped frame. The limit keeps it exact as a
    float, and short enough for a `TrackId`, which begins with stream and sequence."""
    captured_at_s: Seconds
    clock: Clock
    published_at_s: Seconds
    width_px: SidePx
    height_px: SidePx
    media_time_s: Seconds | None = None
    """Position in a video file; None for a live camera and for a still."""
    file: str | None = None
    """The file that the frame was read from; None for a live camera."""
    mode: Mode | None = None
    """None: `complete` for a file, and `live` for a camera."""
    elapsed_s: Seconds | None = None
    """Time since the stream began, by a clock of ingest that is never set. None: not measured."""
    smallest_face_px: FacePx | None = None
    """The smallest face that the camera's settings ask for; None: as small as the search finds."""

    @property
    def frame_id(self) -> str:
        """Unique over all cameras and restarts."""
        return f"{self.camera_id}/{self.stream_id}/{self.sequence}"

    @property
    def is_complete(self) -> bool:
        """Whether the frame must be processed however old it is."""
        return self.mode == "complete" or (self.mode is None and self.file is not None)


class Frame(Model):
    """One picture of a camera."""

    info: FrameInfo
    jpeg: JpegBytes

    @property
    def camera_id(self) -> str:
        """The camera that captured it."""
        return self.info.camera_id

    @property
    def captured_at_s(self) -> float:
        """When it was captured."""
        return self.info.captured_at_s


class FaceInfo(Model):
    """The description of a face: everything but its chip."""

    frame: FrameInfo
    index: Annotated[int, Field(ge=0)]
    """Position among the faces of the frame, from the left."""
    faces_in_frame: Annotated[int, Field(ge=1)]
    box_xyxy: BoxXyxy
    """Left, top, right, bottom in pixels of the frame; may reach beyond its edges."""
    landmarks_xy: tuple[PointXy, PointXy, PointXy, PointXy, PointXy]
    """Eyes, nose, mouth corners in pixels of the frame, in the order of `LANDMARK_TEMPLATE`."""
    score: Fraction
    """The detector's confidence that this is a face."""
    quality: Fraction | None = None
    """How well the chip shows the face: 0 unusable, 1 ideal. None: not measured."""
    track_id: TrackId | None = None
    """The track of the face, unique for its camera; None when there is no tracking."""
    vote: Annotated[int, Field(ge=1)] | None = None
    """This face is the n-th vote of its track; None: the face does not vote."""
    detected_at_s: Seconds

    @property
    def face_id(self) -> str:
        """Derived from camera, frame and position, so that a repeated message is recognised."""
        return f"{self.frame.frame_id}/{self.index}"


class Face(Model):
    """One aligned face: its chip is a square JPEG with sides of `CHIP_SIDE_PX`."""

    info: FaceInfo
    chip_jpeg: JpegBytes

    @property
    def camera_id(self) -> str:
        """The camera that captured it."""
        return self.info.frame.camera_id

    @property
    def captured_at_s(self) -> float:
        """When its frame was captured."""
        return self.info.frame.captured_at_s


class TrackSummary(Model):
    """The state of one confirmed track.

    All fields but the box only ever grow. So of two summaries of a track, the content tells which is later.
    """

    track_id: TrackId
    first_seen_s: Seconds
    last_seen_s: Seconds
    frames: Annotated[int, Field(ge=1)]
    """The number of frames in which the face was found."""
    votes_sent: Annotated[int, Field(ge=0)]
    """How many of its faces were sent to be classified; as many results will follow."""
    unclassified: Unclassified | None = None
    """Why no face was good enough so far; None when one was."""
    box_xyxy: BoxXyxy
    """The last position of the face, in pixels of its frame."""
    ended: bool = False
    """The track is over: no more faces of it will follow."""


class TrackUpdateInfo(Model):
    """The content of a track update."""

    frame: FrameInfo
    """The newest processed frame."""
    frame_rate_hz: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Frames processed recently for each second of capture time; None for the first frames of a stream."""
    captured_rate_hz: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """The same of all captured frames, also of those that were dropped."""
    tracks: tuple[TrackSummary, ...] = ()
    """All tracks in view, and those that ended since the last track update."""
    detected_at_s: Seconds


class TrackUpdate(Model):
    """All confirmed tracks of a camera: sent about once a second, and at once when a track ends."""

    info: TrackUpdateInfo

    @property
    def camera_id(self) -> str:
        """The camera of the tracks or the scene."""
        return self.info.frame.camera_id

    @property
    def captured_at_s(self) -> float:
        """When the newest frame was captured."""
        return self.info.frame.captured_at_s


class Preview(Model):
    """A small picture of the scene, about once a second, if previews are switched on."""

    info: FrameInfo
    """The frame that it shows."""
    jpeg: JpegBytes

    @property
    def camera_id(self) -> str:
        """The camera of the tracks or the scene."""
        return self.info.camera_id

    @property
    def captured_at_s(self) -> float:
        """When the frame was captured."""
        return self.info.captured_at_s


class Result(Model):
    """Age and gender of one face, or why it is unclassified."""

    face: FaceInfo
    age_years: Years | None = None
    """None exactly when `unclassified` gives the reason."""
    age_interval_years: tuple[Years, Years] | None = None
    """Contains the true age in 80 of 100 cases, and always `age_years`. None for an unclassified face."""
    unclassified: Unclassified | None = None
    """Why the face is unclassified; its gender is then `unknown`."""
    gender: Gender
    """`unknown` when neither is likely enough; the calibrations in `shared/models` have the threshold."""
    gender_confidence: Fraction
    """Probability of `gender`; for `unknown`, of the likelier gender. 0.5 for an unclassified face."""
    male_probability: Fraction | None = None
    """For sums and votes, which also need it for uncertain faces. None for an unclassified face."""
    nets: str
    """The name of the pack of neural nets in their manifest, such as `default-1`."""
    classified_at_s: Seconds

    @model_validator(mode="after")
    def _is_classified_or_says_why_not(self) -> Self:
        if (self.age_years is None) != (self.unclassified is not None):
            raise ValueError("expected either age_years or the reason in unclassified")
        if self.unclassified is not None and (
            self.gender != "unknown" or self.age_interval_years is not None
        ):
            raise ValueError("an unclassified face has no age interval, and its gender is unknown")
        if self.age_years is not None and self.age_interval_years is not None:
            low_years, high_years = self.age_interval_years
            if not low_years <= self.age_years <= high_years:
                raise ValueError(
                    f"the age {self.age_years} lies outside its interval {low_years} to {high_years}"
                )
        return self

    @property
    def camera_id(self) -> str:
        """The camera that captured the face."""
        return self.face.frame.camera_id

    @property
    def captured_at_s(self) -> float:
        """When the frame of the face was captured."""
        return self.face.frame.captured_at_s


class CameraNotice(Model):
    """Why a camera gives no frames. Sent when that changes, and every few seconds while a failure lasts."""

    camera_id: CameraId
    state: Literal["failing", "stopped"]
    """`failing`: it is tried again and again. `stopped`: it is not read any more."""
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z-]{1,24}$")] | None = None
    """The failure in a word, as the metrics of ingest call it. None for a camera that was stopped."""
    detail: Annotated[str, StringConstraints(max_length=300)] = ""
    """The failure in a sentence. It holds no login."""
    since_s: Seconds
    """When the state began."""
    noticed_at_s: Seconds
    """When the notice was made. A stream that began later ends the state."""

    @property
    def captured_at_s(self) -> float:
        """When the notice was made: it has no picture."""
        return self.noticed_at_s


Stored = Result | TrackUpdate | Preview | CameraNotice
"""The messages that the sink writes."""
