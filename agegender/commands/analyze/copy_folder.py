"""The folder of annotated copies, in which nothing but copies is ever replaced."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from agegender.commands.analyze.inputs import Input
from agegender.commands.analyze.writing import CannotWrite
from agegender.shared.errors import SettingsError

NAMES = ".agegender.copies"


class CopyFolder:
    """Says where copies go. Safe to use from several threads.

    The names of all copies stand in a small file of the folder, a JSON string a line, each before its copy is
    written: so a later run knows which files are copies, and replaces these only.

    Args:
        path: the folder; made where there is none.
        sources: of the run; none of them is replaced, not even one that is a copy of an earlier run.

    Raises:
        SettingsError: the folder cannot be written to; it is better to know before hours of work.
    """

    def __init__(self, path: Path, sources: Iterable[Input]) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=path, prefix=".agegender-"):
                pass
            self._copies = _names(path / NAMES)
        except OSError as error:
            raise SettingsError(f"--annotate: cannot write to {str(path)!r}: {error.strerror}") from None
        self._originals = {_identity(source.path) for source in sources if source.camera is None} - {None}
        self._lock = threading.Lock()

    def path_for(self, source: Input) -> Path:
        """Where the copy of a source goes.

        Raises:
            CannotWrite: a file is there that is no copy, or that is to be analyzed itself.
        """
        path, name = self.path / source.copy, source.copy.as_posix()
        with self._lock:
            if _identity(path) in self._originals:
                raise CannotWrite(f"the copy would replace the original {str(path)!r}: choose another folder")
            if name in self._copies:
                return path
            if os.path.lexists(path):
                raise CannotWrite(
                    f"{str(path)!r} is there already and no copy of an earlier run: "
                    "move it, or choose another folder"
                )
            self._note(name)
        return path

    def _note(self, name: str) -> None:
        path = self.path / NAMES
        try:
            with path.open("a", encoding="ascii") as file:
                # First the end of the line before, which a kill may have cut off.
                file.write("\n" + json.dumps(name))
        except OSError as error:
            raise CannotWrite(f"cannot write {str(path)!r}: {error.strerror}") from None
        self._copies.add(name)


def _names(path: Path) -> set[str]:
    names = set()
    if path.exists():
        for line in path.read_bytes().splitlines():
            # Of a line that was cut off, the copy was not begun.
            with contextlib.suppress(ValueError):
                names.add(str(json.loads(line)))
    return names


def _identity(path: Path) -> tuple[int, int] | None:
    """The same for all names of a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
