"""What travels between the services. Frozen, validated, without a word about how it travels.

    Frame     a picture of a camera           ingest   → detect
    Face      one aligned face of a frame     detect   → classify
    Track update  who is before a camera          detect   → classify → sink
    Preview   what a camera sees, small       detect   → sink
    Result    age and gender of that face     classify → sink

Each carries the description of what it came from, so that a result alone tells the camera, the frame, the
place in the frame and every time stamp on the way. Times are seconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

CAMERA_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

CameraId = Annotated[str, StringConstraints(pattern=CAMERA_ID_PATTERN)]
"""Safe in a Kafka key, in a Redis key and in a metric label."""

Clock = Literal["camera", "arrival"]
"""Whose clock took the capture time: the camera's own (RTCP), or ours when the frame arrived."""

Mode = Literal["live", "complete"]
"""What matters more: to be in the present, so that old frames are dropped, or to miss no frame, so that the
source waits."""

Gender = Literal["female", "male", "unknown"]

Unclassified = Literal["too-small", "too-blurred"]
"""Why a face was not classified."""

TrackId = Annotated[str, StringConstraints(pattern=r"^[0-9a-z-]{1,48}$")]
"""Safe in a Kafka key and in a Redis key."""

LONGEST_SIDE_PX = 65_535
"""The longest side that a frame can have in a message."""

# A calendar ends with the year 9999, and whoever sums two of these must still be able to look at one.
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Years = Annotated[float, Field(ge=0, le=130, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, le=LONGEST_SIDE_PX)]
Coordinate = Annotated[float, Field(allow_inf_nan=False)]
Picture = Annotated[bytes, Field(min_length=1)]
BoxXyxy = tuple[Coordinate, Coordinate, Coordinate, Coordinate]
PointXy = tuple[Coordinate, Coordinate]


AGE_BANDS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")


def age_band(age_years: float) -> str:
    """The band of `AGE_BANDS` that an age falls into, in whole years."""
    return AGE_BANDS[min(int(age_years) // 10, len(AGE_BANDS) - 1)]


class Traceable(Protocol):
    """What the runner needs to know of any message, to count it and to tell its age."""

    @property
    def camera_id(self) -> str:
        """The camera that the message goes back to."""

    @property
    def captured_at_s(self) -> float:
        """When its picture was taken."""


class Model(BaseModel):
    """Frozen; fields that a newer version added are ignored, so that versions can run side by side."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FrameInfo(Model):
    """Everything about a frame but its picture."""

    camera_id: CameraId
    stream_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{1,24}$")]
    """One unbroken connection to the camera; a reconnect starts another."""
    sequence: Annotated[int, Field(ge=0, lt=2**53)]
    """Counts the captured frames of the stream from 0; a gap is a dropped frame. Stays exact as a float, and
    short enough for a `TrackId`, which begins with stream and sequence."""
    captured_at_s: Seconds
    clock: Clock
    published_at_s: Seconds
    width_px: Pixels
    height_px: Pixels
    media_time_s: Seconds | None = None
    """Position in a video file; None for a live camera and for a still."""
    file: str | None = None
    """The file that the frame was read from; None for a live camera."""
    mode: Mode | None = None
    """None: `complete` for a file, and `live` for a camera."""

    @property
    def frame_id(self) -> str:
        """Unique over all cameras and restarts."""
        return f"{self.camera_id}/{self.stream_id}/{self.sequence}"

    @property
    def is_complete(self) -> bool:
        """Whether the frame must be looked at however old it is."""
        return self.mode == "complete" or (self.mode is None and self.file is not None)


class Frame(Model):
    """One picture of a camera."""

    info: FrameInfo
    jpeg: Picture

    @property
    def camera_id(self) -> str:
        """The camera that took it."""
        return self.info.camera_id

    @property
    def captured_at_s(self) -> float:
        """When it was taken."""
        return self.info.captured_at_s


class FaceInfo(Model):
    """Everything about a face but its picture."""

    frame: FrameInfo
    index: Annotated[int, Field(ge=0)]
    """Position among the faces of the frame, from the left."""
    faces_in_frame: Annotated[int, Field(ge=1)]
    box_xyxy: BoxXyxy
    """Left, top, right, bottom in pixels of the frame; may reach beyond its edges."""
    landmarks_xy: tuple[PointXy, PointXy, PointXy, PointXy, PointXy]
    """Eyes, nose, mouth corners in pixels of the frame, in the order of `faces.LANDMARK_TEMPLATE`."""
    score: Fraction
    """The detector's confidence that this is a face."""
    quality: Fraction | None = None
    """How well the picture shows the face: 0 unusable, 1 ideal. None: nobody measured it."""
    track_id: TrackId | None = None
    """Whose face it is, unique for its camera; None where that is not known."""
    vote: Annotated[int, Field(ge=1)] | None = None
    """The n-th face of its track that has a say in the person's age and gender; None: it has none."""
    detected_at_s: Seconds

    @property
    def face_id(self) -> str:
        """Derived from camera, frame and position, so that a repeated message is known as a repeat."""
        return f"{self.frame.frame_id}/{self.index}"


class Face(Model):
    """One face, aligned: a square JPEG of `faces.CHIP_SIDE_PX` pixels."""

    info: FaceInfo
    chip_jpeg: Picture

    @property
    def camera_id(self) -> str:
        """The camera that saw it."""
        return self.info.frame.camera_id

    @property
    def captured_at_s(self) -> float:
        """When it was seen."""
        return self.info.frame.captured_at_s


class TrackSummary(Model):
    """One person before a camera, as far as the tracker has followed the face by now.

    Every field but the box grows or stays as the track goes on, so that of two track summaries of a track the
    later one is known by its content.
    """

    track_id: TrackId
    first_seen_s: Seconds
    last_seen_s: Seconds
    frames: Annotated[int, Field(ge=1)]
    """In how many frames the face was found."""
    votes: Annotated[int, Field(ge=0)]
    """How many faces of it were sent to be classified: as many results will come."""
    unclassified: Unclassified | None = None
    """Why no face was good enough so far; None where one was."""
    box_xyxy: BoxXyxy
    """Where the face was last found, in pixels of its frame."""
    ended: bool = False
    """The person is gone: no more faces of this track will come."""


class TrackUpdateInfo(Model):
    """Everything about a track update but its picture."""

    frame: FrameInfo
    """The newest frame that was looked at."""
    frame_rate_hz: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Frames looked at in a second of capture time, of late; None for the first frames of a stream."""
    tracks: tuple[TrackSummary, ...] = ()
    """Everyone who is there, and everyone who went since the track update before this one."""
    detected_at_s: Seconds


class TrackUpdate(Model):
    """Who is before a camera: sent about once a second, and at once when somebody is gone."""

    info: TrackUpdateInfo

    @property
    def camera_id(self) -> str:
        """The camera that looks."""
        return self.info.frame.camera_id

    @property
    def captured_at_s(self) -> float:
        """When the newest frame was taken."""
        return self.info.frame.captured_at_s


class Preview(Model):
    """A small picture of the scene, about once a second where that was switched on."""

    info: FrameInfo
    """The frame that it was made of."""
    jpeg: Picture

    @property
    def camera_id(self) -> str:
        """The camera that looks."""
        return self.info.camera_id

    @property
    def captured_at_s(self) -> float:
        """When the frame was taken."""
        return self.info.captured_at_s


class Result(Model):
    """Age and gender of one face, or why they were not classified."""

    face: FaceInfo
    age_years: Years | None = None
    """None exactly where `unclassified` says why."""
    age_interval_years: tuple[Years, Years] | None = None
    """Holds the true age in 80 of 100 cases, and always `age_years`. None where the face was not classified."""
    unclassified: Unclassified | None = None
    """Why the face was not classified; its gender is then `unknown`."""
    gender: Gender
    """`unknown` where neither is likely enough; `shared/models/calibration.json` says where one is."""
    gender_confidence: Fraction
    """Probability of `gender`; for `unknown`, of the likelier of the two: 0.5 where nothing was classified."""
    male_probability: Fraction | None = None
    """For sums and votes, which need it of uncertain faces as well. None where the face was not classified."""
    nets: str
    """The nets that classified, by the name in their manifest."""
    classified_at_s: Seconds

    @model_validator(mode="after")
    def _is_classified_or_says_why_not(self) -> Self:
        if (self.age_years is None) != (self.unclassified is not None):
            raise ValueError("expected either age_years or the reason in unclassified")
        if self.unclassified is not None and (
            self.gender != "unknown" or self.age_interval_years is not None
        ):
            raise ValueError("a face that was not classified has no age interval, and its gender is unknown")
        if self.age_years is not None and self.age_interval_years is not None:
            low_years, high_years = self.age_interval_years
            if not low_years <= self.age_years <= high_years:
                raise ValueError(
                    f"the age {self.age_years} lies outside its interval {low_years} to {high_years}"
                )
        return self

    @property
    def camera_id(self) -> str:
        """The camera that saw the face."""
        return self.face.frame.camera_id

    @property
    def captured_at_s(self) -> float:
        """When the face was seen."""
        return self.face.frame.captured_at_s


Stored = Result | TrackUpdate | Preview
"""What the sink writes."""
