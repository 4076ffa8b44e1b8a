"""What one machine was measured to do: the numbers that a plan is made of.

`make bench CONSTANTS=FILE` measures the machine at hand and writes such a file; `constants.json` beside this
file holds those of the machine that it names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agegender.shared.errors import SettingsError

SHIPPED = Path(__file__).parent / "constants.json"

Ms = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Bytes = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Mb = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=16, le=65_535)]


class _Measured(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(_Measured):
    """Where and how it was measured."""

    cores: Annotated[int, Field(ge=1)]
    processor: str
    python: str
    measured_on: str
    """The day, as in 2026-01-31."""
    command: str
    """What measures it again."""


class IngestCosts(_Measured):
    """CPU time of one core, of a worker and the processes that decode for it together."""

    decode_ms: Ms
    """Each frame of a stream, looked at or not: receiving and decoding it."""
    pick_ms: Ms
    """Each frame looked at: its pixels, handed from the process that decodes to the worker."""
    encode_ms: Ms
    """Each frame looked at: shrinking and JPEG."""


class DetectCosts(_Measured):
    """CPU time of one core, at the settings as they come."""

    frame_ms: Ms
    """Each frame without a face: decoding and searching it."""
    face_ms: Ms
    """Each face in it more: following, measuring and cutting it."""


class ClassifyCosts(_Measured):
    """CPU time of one core for each face classified, at the settings as they come."""

    face_ms: Ms
    """All of it, with the nets on the CPU."""
    host_ms: Ms
    """What is left to the CPU when a GPU runs the nets: decoding the chip and cutting what the nets want."""


class GpuCosts(_Measured):
    """The nets on a GPU."""

    is_measured: bool
    """False: the numbers are a careful guess, not measured."""
    batch_faces: Annotated[int, Field(ge=1)]
    batch_ms: Ms
    """How long so many faces together keep the GPU, all views of them."""


class MessageCosts(_Measured):
    """One message of a kind on its way over Kafka."""

    size_bytes: Bytes
    """Key, value and headers."""
    write_ms: Ms
    """CPU time of the writer, with encoding."""
    read_ms: Ms
    """CPU time of the reader, with decoding."""


class KafkaCosts(_Measured):
    """Messages and batches."""

    frame: MessageCosts
    face: MessageCosts
    track_update: MessageCosts
    """A frame without a person."""
    result: MessageCosts
    track_summary_bytes: Bytes
    """Each person in a track update more."""
    state_bytes: Bytes
    """What detect notes of a camera after each batch, without a person there."""
    state_track_bytes: Bytes
    """Each person more."""
    batch_wait_ms: Ms
    """How long a worker waits for the broker at the end of each batch, by the wall clock: until its outputs
    are safe and its position is committed."""


class StoreCosts(_Measured):
    """The sink and its Redis, where each message of a batch is of another camera, as with many cameras."""

    message_ms: Ms
    """How long the sink needs for each message, its waits for Redis included. Wall clock."""
    sink_ms: Ms
    """CPU time of the sink for each message."""
    redis_ms: Ms
    """CPU time of Redis for each message. It has one thread."""
    camera_bytes: Bytes
    """What a camera takes in Redis before anybody has come."""
    visit_bytes: Bytes
    """Each person kept."""


class MemoryCosts(_Measured):
    """Resident memory of a worker, what its processes share counted once."""

    ingest_mb: Mb
    """Without any camera."""
    ingest_camera_mb: Mb
    """Each camera more, the process that decodes it included."""
    detect_mb: Mb
    classify_mb: Mb
    sink_mb: Mb


class Constants(_Measured):
    """All of them."""

    machine: Machine
    frame_wh: tuple[Pixels, Pixels]
    """Size of the frames that all was measured with. Decoding, encoding and bytes grow with the area."""
    ingest: IngestCosts
    detect: DetectCosts
    classify: ClassifyCosts
    gpu: GpuCosts
    kafka: KafkaCosts
    store: StoreCosts
    memory: MemoryCosts

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Constants:
        """Reads a file of constants.

        Raises:
            SettingsError: it cannot be read, or is no such file.
        """
        try:
            return cls.model_validate_json(path.read_text())
        except OSError as error:
            raise SettingsError(f"cannot read the constants in {str(path)!r}: {error.strerror}") from None
        except (ValidationError, UnicodeDecodeError) as error:
            first = str(error).splitlines()[:3]
            raise SettingsError(
                f"{str(path)!r} holds no constants: {' '.join(first)}; make bench CONSTANTS=FILE writes them"
            ) from None
