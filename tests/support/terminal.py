"""A terminal for a program, and what a person sees on it afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

_ROWS = 40
_PARTS = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|[\r\n]|[^\x1b\r\n]+")
_LOOKS_ONLY = frozenset("mhl")  # colours, and whether there is a cursor


def run_on_terminal(command: Sequence[str], columns: int, environment: Mapping[str, str]) -> tuple[int, str]:
    """Runs a program with both outputs in one terminal. Returns its exit status and all of its output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", _ROWS, columns, 0, 0))
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env={**os.environ, **environment}
    ) as process:
        os.close(theirs)
        written = drained(ours)
    return process.returncode, written.decode("utf-8")


def drained(terminal: int) -> bytes:
    """All that is written to a terminal until its other end is closed. Closes the given descriptor."""
    written = b""
    try:
        while more := os.read(terminal, 65_536):
            written += more
    except OSError:
        pass  # Linux reports the end of a terminal as an error
    os.close(terminal)
    return written


def lines_seen(written: str) -> list[str]:
    """The lines that stand on a terminal of endless width in the end, also those that have scrolled away.

    It knows what a progress bar needs; raises ValueError where a program wants something else of it.
    """
    lines, row, column = [""], 0, 0
    for part in _PARTS.finditer(written):
        text, sequence = part.group(0), part.group(2)
        if text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif sequence is None:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + text + line[column + len(text) :]
            column += len(text)
        elif sequence == "A":
            row = max(0, row - int(part.group(1) or 1))
        elif (part.group(1), sequence) == ("2", "K"):
            lines[row] = ""
        elif sequence not in _LOOKS_ONLY:
            raise ValueError(f"a sequence that this terminal does not know: {text!r}")
    while lines and not lines[-1]:
        lines.pop()
    return [line.rstrip() for line in lines]
