"""What a simulated camera can do wrong while it keeps to its connection, or nearly so."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """One way to misbehave."""

    STALLS = "stalls"
    """Stays connected and answers requests, but sends no pictures."""
    FLOODS = "floods"
    """Sends its pictures `FLOOD_FACTOR` times too fast, and its clocks run along."""
    GARBAGE = "garbage"
    """Sends packets of the right length, filled by chance."""
    BACKWARDS = "backwards"
    """Its clocks run backwards from now on, those of the stream and of the wall."""
    HANGS_UP = "hangs-up"
    """Cuts each viewer off after `HANG_UP_UNITS` pictures."""
    OTHER_SIZE = "other-size"
    """Goes over to pictures of another size than it announced, and back, at the end of each round."""
    OTHER_CODEC = "other-codec"
    """Announces H.265 to new viewers, and sends H.264."""


FLOOD_FACTOR = 20
HANG_UP_UNITS = 10
