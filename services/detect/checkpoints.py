"""Writes a checkpoint of each camera after each batch, so that another worker can go on after a crash.

The order makes a crash harmless:

1. The faces and track updates of a batch are written.
2. The checkpoints of its cameras are written.
3. The position in `frames` is committed.

The next worker reads the checkpoints and goes on at the committed position. After a crash before step 2 it
processes the same frames again from the same checkpoints. It sends the same messages again, and the store
recognises them as repeats. After a crash before step 3 the checkpoints already contain the frames, so the
next worker sends nothing for them.
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
        key=lambda checkpoint: checkpoint.camera_id,
        split=lambda checkpoint: ("{}", checkpoint.model_dump_json().encode()),
        join=lambda _meta, value: Checkpoint.model_validate_json(value),
        value_is_json=True,
    ),
    CHECKPOINTS_RETENTION_S,
)


class CheckpointLog(Protocol):
    """Keeps checkpoints outside of the process."""

    def read(self, assignment: Assignment) -> Sequence[Checkpoint]:
        """The last checkpoints of each camera of the assignment, in the order they were written.

        Raises:
            NotNow: they cannot be read at the moment.
        """

    def write(self, messages: Sequence[Checkpoint]) -> None:
        """Returns when the checkpoints are safe.

        Raises:
            NotNow: they cannot be written at the moment. The caller tries again.
        """

    def close(self) -> None:
        """Closes the connection."""


class CheckpointingOutput(Generic[M]):
    """Writes the outputs of the stage, then its checkpoints.

    Args:
        stage: of these outputs.
        output: for the outputs.
        checkpoints: for the checkpoints.
    """

    def __init__(self, stage: DetectStage, output: Output[M], checkpoints: CheckpointLog) -> None:
        self._stage = stage
        self._output = output
        self._log = checkpoints
        self._written: Sequence[M] | None = None
        self._unwritten: Sequence[Checkpoint] = ()

    def open(self) -> None:
        """See `transport.Output`."""
        self._output.open()

    def write(self, messages: Sequence[M]) -> None:
        """See `transport.Output`. Returns when the checkpoints are safe too."""
        if messages is not self._written:  # on a retry after NotNow, only the checkpoints may be missing
            self._output.write(messages)
            self._written = messages
        self._unwritten = self._unwritten or self._stage.take_checkpoints()
        self._log.write(self._unwritten)
        self._written, self._unwritten = None, ()

    def take_over(self, assignment: Assignment) -> None:
        """Replaces the tracks in memory by those of the checkpoints of a new assignment.

        The checkpoints of this process are written already, because no batch is in progress.

        Raises:
            NotNow: the checkpoints cannot be read at the moment. The tracks in memory stay.
        """
        self._stage.restore(newest_checkpoints(self._log.read(assignment)))

    def close(self) -> None:
        """See `transport.Output`."""
        try:
            self._output.close()
        finally:
            self._log.close()
