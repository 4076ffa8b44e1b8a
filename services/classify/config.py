"""The settings of classify, and the stage that they describe."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from agegender.services.classify.calibration import load_calibration
from agegender.services.classify.flip_augmentation import Views
from agegender.services.classify.nets import AgeGenderNets, LiteRTNets
from agegender.services.classify.stage import ClassifyStage
from agegender.services.classify.tensorflow_nets import TensorFlowNets
from agegender.shared.process.settings import Settings
from agegender.shared.runtime.runner import BatchLimits


class ClassifySettings(Settings):
    """Where the nets run and how chips are batched."""

    prefix: ClassVar[str] = "CLASSIFY_"

    device: Literal["cpu", "gpu"] = "cpu"
    """cpu: LiteRT. gpu: TensorFlow, which refuses to start without a GPU."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads of the nets on a CPU; more workers use more cores better than more threads do."""
    views: Views = 2
    """2: each face and its mirror image, nearer to the truth. 1: the face alone, in half the time."""
    batch_messages: Annotated[int, Field(ge=1, le=1_024)] = 32
    """Most chips classified together. On a GPU, larger batches are faster."""
    batch_wait_s: Annotated[float, Field(ge=0, le=10)] = 0.02
    """How long the first chip of a batch waits for others."""

    def stage(self) -> ClassifyStage:
        """The stage; loads the nets.

        Raises:
            AgeGenderError: the runtime is not installed, a GPU was asked for and none is there, or a file of
                weights is missing or damaged.
        """
        nets: AgeGenderNets = LiteRTNets(self.threads) if self.device == "cpu" else TensorFlowNets("gpu")
        nets.open()
        return ClassifyStage(nets, load_calibration(nets.name), self.views)

    def batch(self) -> BatchLimits:
        """When a batch is large enough."""
        return BatchLimits(self.batch_messages, self.batch_wait_s)
