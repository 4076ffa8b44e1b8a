"""What a test does when something real that it needs cannot be had on this machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


class ServerUnavailableError(RuntimeError):
    """A server that the test needs cannot be started here. The text says what is missing."""


def skip_or_fail(error: ServerUnavailableError) -> NoReturn:
    """Skip the test on a person's machine; fail it where CI is set, so that no run passes by leaving out."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must provide this server: {error}", pytrace=False)
    pytest.skip(str(error))
