"""Where the simulator keeps what it downloads and what it renders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def cache_folder(cache: Path | None = None) -> Path:
    """`cache` itself, or the user's cache folder: `$XDG_CACHE_HOME/agegender`, else `~/.cache/agegender`.

    The folder exists afterwards. `OSError` if it cannot be made.
    """
    if cache is None:
        base = os.environ.get("XDG_CACHE_HOME")
        cache = (Path(base) if base else Path.home() / ".cache") / "agegender"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Gives a path to write to; the file appears at `path` whole, and only if the block succeeds.

    Two processes that make the same file at once do not disturb each other: the later one wins. The given
    path has the name of `path`, because some writers choose the format by the suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
        draft = Path(folder) / path.name
        yield draft
        draft.replace(path)
