"""Detect's memory of persons outlives its process: after each batch it is written, and read by the next one.

The order is what makes a crash harmless. First the faces and track updates of a batch are safe, then the states
of its cameras, then the position in `frames` is committed. Whoever takes over reads the states and goes on at
the position. After a crash before the second step it looks at the same frames again from the same states, and
sends the same again, which the store knows as repeats; after one before the third step it knows the frames
from the states, and sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from agegender.services.detect.stage import DetectStage
from agegender.services.detect.tracking.checkpoint import Checkpoint, newest_checkpoints
from agegender.shared.kafka.topics import CHECKPOINTS_NAME, CHECKPOINTS_RETENTION_S, Changelog
from agegender.shared.messages.codec import Codec
from agegender.shared.messages.pipeline import Model
from agegender.shared.runtime.transport import Assignment, Output

M = TypeVar("M", bound=Model)

CHECKPOINTS: Changelog[Checkpoint] = Changelog(
    CHECKPOINTS_NAME,
    Codec(
        schema="checkpoint/1",
        key=lambda state: state.camera_id,
        split=lambda state: ("{}", state.model_dump_json().encode()),
        join=lambda _meta, value: Checkpoint.model_validate_json(value),
        value_is_json=True,
    ),
    CHECKPOINTS_RETENTION_S,
)


class States(Protocol):
    """Where states are kept."""

    def read(self, assignment: Assignment) -> Sequence[Checkpoint]:
        """The last states of each camera of that share, in the order of their writing. Raises NotNow."""

    def write(self, messages: Sequence[Checkpoint]) -> None:
        """Returns when the states are safe. Raises NotNow, and is then called again."""

    def close(self) -> None:
        """Lets go."""


class CheckpointingOutput(Generic[M]):
    """Writes what detect sends, and after it what detect knows.

    Args:
        stage: the one whose outputs are written.
        output: where they go.
        states: where what it knows goes.
    """

    def __init__(self, stage: DetectStage, output: Output[M], states: States) -> None:
        self._stage = stage
        self._output = output
        self._kept = states
        self._written: Sequence[M] | None = None
        self._states: Sequence[Checkpoint] = ()

    def open(self) -> None:
        """See `transport.Output`."""
        self._output.open()

    def write(self, messages: Sequence[M]) -> None:
        """See `transport.Output`. Returns when the states are safe too."""
        if messages is not self._written:  # or else only the states are left to be written
            self._output.write(messages)
            self._written = messages
        self._states = self._states or self._stage.take_checkpoints()
        self._kept.write(self._states)
        self._written, self._states = None, ()

    def take_over(self, assignment: Assignment) -> None:
        """Forgets what was known, and goes on from what was written by whoever had that share before.

        Whatever this process itself knows of the share is written already: no batch is in hand.

        Raises:
            NotNow: what was written cannot be read at the moment. Nothing was forgotten.
        """
        self._stage.restore(newest_checkpoints(self._kept.read(assignment)))

    def close(self) -> None:
        """See `transport.Output`."""
        try:
            self._output.close()
        finally:
            self._kept.close()
