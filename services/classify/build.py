"""Builds the stage of classify from its settings, for every entry point."""

from __future__ import annotations

import logging

from agegender.services.classify.calibration import load_calibration
from agegender.services.classify.config import ClassifySettings
from agegender.services.classify.nets import litert_nets
from agegender.services.classify.stage import ClassifyStage
from agegender.services.classify.tensorflow_nets import tensorflow_nets

log = logging.getLogger(__name__)


def build_classify_stage(settings: ClassifySettings) -> ClassifyStage:
    """The stage with its nets loaded.

    Raises:
        AgeGenderError: the runtime is not installed, `device` is `gpu` and there is no GPU, or a file of
            weights is missing or damaged.
    """
    nets = (
        litert_nets(settings.nets, settings.threads)
        if settings.device == "cpu"
        else tensorflow_nets(settings.nets)
    )
    nets.open()
    log.info("nets loaded", extra={"nets": nets.name, "device": settings.device})
    return ClassifyStage(nets, load_calibration(settings.nets))
