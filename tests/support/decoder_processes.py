"""The decoder processes below a process, as Linux tells."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def children(pid: int) -> list[int]:
    """The processes that `pid` has started and that run, or have ended and are not yet waited for."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if int(fields["PPid"]) == pid:
            found.append(int(fields["Pid"]))
    return found


def hosts(pid: int | None = None) -> list[int]:
    """The processes that decoders of `pid`, or of this process, are forked from."""
    return [one for one in children(pid or os.getpid()) if b"decoder.host" in _command(one)]


def decoders(pid: int | None = None) -> dict[str, int]:
    """Camera id, its first 15 letters → the process that decodes it for `pid`, or for this process."""
    found = {}
    for host in hosts(pid):
        for one in children(host):
            try:
                found[Path(f"/proc/{one}/comm").read_text().strip()] = one
            except OSError:
                continue
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
