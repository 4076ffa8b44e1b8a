"""Starts programs that measure only their own peak memory."""

from __future__ import annotations

import os
from collections.abc import Sequence


def with_own_peak(command: Sequence[str | os.PathLike[str]]) -> list[str | os.PathLike[str]]:
    """The command, to be started so that its peak of memory (`ru_maxrss`) says nothing of ours.

    Linux counts the memory of the parent as part of a program's peak, and a process that has
    run many tests is large. So a small one starts it; its exit status is that of the program.
    """
    return ["sh", "-c", '"$@"; exit $?', "sh", *command]
