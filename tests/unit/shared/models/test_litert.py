"""Nets are opened in LiteRT without a word on stderr, and without a hold on it while others write."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os
from agegender.shared.models import weights
from agegender.shared.models.litert import open_net

def refuse(*_):
    raise RuntimeError("stderr is redirected again")

open_net(weights("yunet"), input_shape=(1, 64, 64, 3))
os.dup2 = refuse
open_net(weights("yunet"), input_shape=(1, 96, 96, 3))
"""


def test_only_the_first_net_holds_stderr_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
