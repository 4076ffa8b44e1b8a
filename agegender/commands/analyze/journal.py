"""What a run has done, so that another one can go on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from agegender.shared.errors import SettingsError

Value = TypeVar("Value")

_ENDED = b'{"ended": true}\n'


class Journal:
    """A small file beside the output: what the run was told, and a line for each source that is done.

    Each line says how long the output was afterwards. A source is done when its line is complete; one that
    failed gets none, and so is tried again. What the output holds beyond the last line is taken away when the
    run goes on, so that nothing is in the output twice. The file is removed when all are done.

    Args:
        path: of the journal.
        options: what was asked for, by name, as far as it changes what is written.
        resume: whether to go on with the run that left it.

    Raises:
        SettingsError: the run that left it was interrupted and `--resume` was not given, or it had other
            options, or the file is not a journal of ours.
    """

    def __init__(self, path: Path, options: Mapping[str, str], *, resume: bool) -> None:
        self._path = path
        self._done: set[str] = set()
        self.output_bytes = 0
        """How long the output was when the last source was done."""
        if path.exists():
            if resume:
                self._go_on(options)
            else:
                self._begin_anew()
        self._file = path.open("ab")
        if self._file.tell() == 0:
            self._write({"options": dict(options)})

    def _go_on(self, options: Mapping[str, str]) -> None:
        complete_bytes = 0
        for line in _complete_lines(self._path):
            if line == _ENDED:
                break
            if complete_bytes == 0:
                self._compare(self._parsed(line, "options", dict), options)
            else:
                self._done.add(self._parsed(line, "source", str))
                self.output_bytes = self._parsed(line, "output_bytes", int)
            complete_bytes += len(line)
        os.truncate(self._path, complete_bytes)

    def _begin_anew(self) -> None:
        *_, last = [b"", *_complete_lines(self._path)]
        if last != _ENDED:
            raise SettingsError(
                f"{str(self._path)!r} is of a run that did not come to its end: "
                "go on with --resume, or remove that file to start anew"
            )
        os.truncate(self._path, 0)

    def _parsed(self, line: bytes, name: str, kind: type[Value]) -> Value:
        try:
            value = json.loads(line)[name]
        except (ValueError, KeyError, TypeError):
            value = None
        if not isinstance(value, kind):
            raise SettingsError(f"{str(self._path)!r} is no journal of an earlier run")
        return value

    def _compare(self, earlier: Mapping[str, str], now: Mapping[str, str]) -> None:
        differences = [
            f"{name} {earlier.get(name, 'unknown')}, now {now.get(name, 'unknown')}"
            for name in {**earlier, **now}
            if earlier.get(name) != now.get(name)
        ]
        if differences:
            raise SettingsError(
                f"{str(self._path)!r} is of a run with other options ({'; '.join(differences)}): "
                "go on with the same, or remove that file to start anew"
            )

    def is_done(self, key: str) -> bool:
        """Whether the earlier run has done this source."""
        return key in self._done

    def add(self, key: str, output_bytes: int) -> None:
        """Notes a source that is done, and of which everything is in the output."""
        self._write({"source": key, "output_bytes": output_bytes})

    def end(self, *, failed: bool) -> None:
        """The run has come to its end; the file stays only where there is something to try again."""
        if failed:
            self._file.write(_ENDED)
            self._file.flush()
        else:
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, entry: Mapping[str, object]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()


def _complete_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line
