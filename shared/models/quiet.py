"""Keeps LiteRT's greeting off stderr."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

_STDERR = 2
_GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
_MOST_BYTES = 65_536

_redirecting = threading.Lock()
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    # A child that is forked within the block would have the pipe as its stderr.
    os.register_at_fork(
        before=_redirecting.acquire,
        after_in_parent=_redirecting.release,
        after_in_child=_redirecting.release,
    )


@contextlib.contextmanager
def without_greeting() -> Iterator[None]:
    """Holds stderr back, and afterwards writes all of it but LiteRT's line about XNNPACK.

    LiteRT writes that line from C++, at a level that its Python package cannot set. The redirection applies
    to the whole process. So the block should be short, and other threads and forks wait for its end.
    """
    with _redirecting:
        try:
            stderr = os.dup(_STDERR)
        except OSError:  # the process has no stderr
            yield
            return
        reader, writer = os.pipe()
        # A full pipe must not stop a thread that writes to it. The end of the pipe may never come, because a
        # program that was started meanwhile has it as its stderr.
        os.set_blocking(writer, False)
        os.set_blocking(reader, False)
        os.dup2(writer, _STDERR)
        os.close(writer)
        try:
            yield
        finally:
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            lines = _held_back(reader).splitlines(keepends=True)
            os.write(_STDERR, b"".join(line for line in lines if line.strip() != _GREETING))


def _held_back(reader: int) -> bytes:
    try:
        return os.read(reader, _MOST_BYTES)
    except BlockingIOError:  # nothing was written
        return b""
    finally:
        os.close(reader)
