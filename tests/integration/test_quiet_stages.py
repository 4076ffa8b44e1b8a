"""Detect and classify write nothing to stderr when all is well."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.simulator.content.scenes import ASTRONAUT
from tests.support.made_messages import frame

found = build_detect_stage(DetectSettings()).find(frame(jpeg=ASTRONAUT.read_bytes()))
(outcome,) = build_classify_stage(ClassifySettings()).classify(found.outputs)
print(outcome.outputs[0].gender)
"""


def test_a_face_is_classified_without_a_word_on_stderr() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "female\n", "")
