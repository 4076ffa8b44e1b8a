"""Copies of what can be read once only: standard input and FIFOs."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Callable, Iterator
from pathlib import Path

from agegender.services.ingest.sources.stream import shown_path
from agegender.shared.errors import SettingsError

_STDIN = 0
_CHUNK_BYTES = 1_048_576
_LOOK_EVERY_MS = 200  # how late a wait for data notices that it should stop
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})")


class SpoolStopped(Exception):
    """The user asked for an end while data was read or awaited."""


class Spool:
    """Copies pipes into files, so that videos of any length can be read, and read again.

    Args:
        folder: takes the copies.
        stopped: asked over and over whether to end.
    """

    def __init__(self, folder: Path, stopped: Callable[[], bool]) -> None:
        self._folder = folder
        self._stopped = stopped
        self._stdin: Path | None = None
        self._count = 0

    def stdin(self) -> Path:
        """Standard input as a file, the same at each call.

        Raises:
            SpoolStopped: the user asked for an end.
            SettingsError: it cannot be read or copied.
        """
        if self._stdin is None:
            self._stdin = self._copied("standard input", lambda: os.dup(_STDIN))
        return self._stdin

    def pipe(self, path: Path) -> Path:
        """A FIFO as a file; raises as `stdin`."""
        name = os.fspath(path)
        if name == "/dev/stdin":
            return self.stdin()
        if given := _DESCRIPTOR.fullmatch(name):
            # Opened anew, an empty pipe that nothing writes to any more would be waited for without end.
            return self._copied(shown_path(path), lambda: os.dup(int(given[1])))
        return self._copied(shown_path(path), lambda: os.open(path, os.O_RDONLY | os.O_NONBLOCK))

    def _copied(self, shown: str, open_it: Callable[[], int]) -> Path:
        self._count += 1
        path = self._folder / f"spooled-{self._count}"
        try:
            descriptor = open_it()
            try:
                with path.open("wb") as copy:
                    for chunk in self._chunks(descriptor):
                        copy.write(chunk)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SettingsError(f"{shown}: cannot be copied to read it: {error.strerror}") from None
        return path

    def _chunks(self, descriptor: int) -> Iterator[bytes]:
        waiting = select.poll() if hasattr(select, "poll") else None  # not on Windows
        if waiting is not None:
            waiting.register(descriptor, select.POLLIN)
        while True:
            if self._stopped():
                raise SpoolStopped
            if waiting is not None and not waiting.poll(_LOOK_EVERY_MS):
                continue
            try:
                chunk = os.read(descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                continue
            if not chunk:
                return
            yield chunk
