"""What a run has done, so that an interrupted one can go on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from shared.errors import SettingsError


class Journal:
    """A small file beside the output, one line a source: what it is and how long the output was afterwards.

    A source is done when its line is complete. What the output holds beyond the last line is of a source that
    was cut off; it is taken away when the run goes on, so that nothing is in the output twice. The file is
    removed when the run has come to its end.

    Args:
        path: of the journal.
        resume: whether to go on with the run that left it.

    Raises:
        SettingsError: there is a journal and nobody said to go on, or it is none of ours.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self._path = path
        self._done: set[str] = set()
        self.output_bytes = 0
        """How long the output was when the last source was done."""
        if path.exists() and not resume:
            raise SettingsError(
                f"{str(path)!r} is of a run that did not come to its end: "
                "go on with --resume, or remove that file to start anew"
            )
        complete_bytes = 0
        if resume and path.exists():
            for line in _complete_lines(path):
                entry = _entry(path, line)
                self.output_bytes = entry[1]
                complete_bytes += len(line)
                if entry[2]:
                    self._done.add(entry[0])
            os.truncate(path, complete_bytes)
        self._file = path.open("ab")

    def is_done(self, key: str) -> bool:
        """Whether the earlier run has done this source. One that failed is to be tried again."""
        return key in self._done

    @property
    def done_count(self) -> int:
        """How many sources the earlier run has done."""
        return len(self._done)

    def add(self, key: str, output_bytes: int, *, failed: bool) -> None:
        """Notes a source of which everything is in the output."""
        line = json.dumps({"source": key, "output_bytes": output_bytes, "done": not failed})
        self._file.write(line.encode() + b"\n")
        self._file.flush()

    def close(self, *, finished: bool) -> None:
        """Closes the file; a run that has come to its end needs it no more."""
        self._file.close()
        if finished:
            self._path.unlink(missing_ok=True)


def _complete_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _entry(path: Path, line: bytes) -> tuple[str, int, bool]:
    try:
        entry = json.loads(line)
        return str(entry["source"]), int(entry["output_bytes"]), bool(entry["done"])
    except (ValueError, KeyError, TypeError):
        raise SettingsError(f"{str(path)!r} is no journal of an earlier run") from None
