"""Builds the stage of classify from its settings, for every entry point."""

from __future__ import annotations

from agegender.services.classify.calibration import load_calibration
from agegender.services.classify.config import ClassifySettings
from agegender.services.classify.nets import AgeGenderNets, LiteRTNets
from agegender.services.classify.stage import ClassifyStage
from agegender.services.classify.tensorflow_nets import TensorFlowNets


def build_classify_stage(settings: ClassifySettings) -> ClassifyStage:
    """The stage with its nets loaded.

    Raises:
        AgeGenderError: the runtime is not installed, `device` is `gpu` and there is no GPU, or a file of
            weights is missing or damaged.
    """
    nets: AgeGenderNets = LiteRTNets(settings.threads) if settings.device == "cpu" else TensorFlowNets("gpu")
    nets.open()
    return ClassifyStage(nets, load_calibration(nets.name), flip_augmentation=settings.flip_augmentation)
