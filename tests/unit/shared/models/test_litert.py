"""Nets are opened in LiteRT without a word on stderr."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from agegender.shared.models import weights
from agegender.shared.models.litert import open_net


def test_only_the_first_net_holds_stderr_back(monkeypatch: pytest.MonkeyPatch) -> None:
    open_net(weights("yunet"))

    def refuse(*_: object) -> None:
        raise AssertionError("stderr was redirected: other threads may be writing to it")

    monkeypatch.setattr(os, "dup2", refuse)
    open_net(weights("yunet"), input_shape=(1, 64, 64, 3))


def test_nets_are_opened_without_a_greeting() -> None:
    program = (
        "from agegender.shared.models import weights\n"
        "from agegender.shared.models.litert import open_net\n"
        "for side in (64, 96): open_net(weights('yunet'), input_shape=(1, side, side, 3))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
