"""The pace: how often a frame of a camera is due, and how detect tells ingest what it can look at. Pure."""

from __future__ import annotations

_PREFIX = "pace_hz="


def pace_note(rate_hz: float | None) -> str:
    """The note for this many frames a second of each camera; empty for all of them."""
    return "" if rate_hz is None else f"{_PREFIX}{rate_hz:.4g}"


def noted_pace_hz(note: str) -> float | None:
    """The rate in a note; None where it tells none, as the notes of other programs do."""
    try:
        rate_hz = float(note.removeprefix(_PREFIX)) if note.startswith(_PREFIX) else 0.0
    except ValueError:
        return None
    return rate_hz if 0 < rate_hz < float("inf") else None


def due_since_s(due_s: float, taken_at_s: float, interval_s: float) -> float:
    """The time that the next interval counts from, after a frame that was due at `due_s` was taken.

    Counted from when it was due: else every late frame lowers the rate. After a long gap, from now.
    """
    return due_s if taken_at_s - due_s < interval_s else taken_at_s
