"""The settings of classify."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from agegender.shared.models import PackName
from agegender.shared.process.settings import Settings
from agegender.shared.runtime.runner import BatchLimits


class ClassifySettings(Settings):
    """The nets with their device, and the size of batches."""

    prefix: ClassVar[str] = "CLASSIFY_"

    device: Literal["cpu", "gpu"] = "cpu"
    """`cpu` runs the nets with LiteRT. `gpu` runs them with TensorFlow, and requires a GPU."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads of the nets on a CPU. More workers use more cores better than more threads do."""
    nets: PackName = "default"
    """`fast` takes less time, and is less accurate. `open` has a head fitted to CC BY 4.0 faces alone."""
    batch_messages: Annotated[int, Field(ge=1, le=1_024)] = 32
    """The largest number of chips classified together. A GPU is faster with larger batches."""
    batch_wait_s: Annotated[float, Field(ge=0, le=10)] = 0.02
    """How long the first chip of a batch waits for others."""

    def batch(self) -> BatchLimits:
        """When a batch is complete."""
        return BatchLimits(self.batch_messages, self.batch_wait_s)
