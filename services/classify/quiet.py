"""Keeps LiteRT's greeting off stderr."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_STDERR = 2
_GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
_MOST_BYTES = 65_536


@contextlib.contextmanager
def without_greeting() -> Iterator[None]:
    """Holds stderr back, and afterwards writes all of it but LiteRT's line about XNNPACK.

    LiteRT writes that line from C++, at a level that its Python package cannot set. The redirection applies
    to the whole process, so the block should be short.
    """
    try:
        stderr = os.dup(_STDERR)
    except OSError:  # the process has no stderr
        yield
        return
    reader, writer = os.pipe()
    # A full pipe must not stop a thread that writes to it.
    os.set_blocking(writer, False)
    os.dup2(writer, _STDERR)
    os.close(writer)
    try:
        yield
    finally:
        os.dup2(stderr, _STDERR)  # closes the last writing end of the pipe
        os.close(stderr)
        with os.fdopen(reader, "rb") as held_back:
            lines = held_back.read(_MOST_BYTES).splitlines(keepends=True)
        os.write(_STDERR, b"".join(line for line in lines if line.strip() != _GREETING))
