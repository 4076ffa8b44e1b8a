"""How a simulated camera talks RTSP. Real cameras differ in all of this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Transport: TypeAlias = Literal["tcp", "udp"]


@dataclass(frozen=True)
class Manners:
    """The manners of one camera. Methods are named as in RTSP, such as `DESCRIBE`."""

    delays_s: Mapping[str, float] = field(default_factory=dict)
    """Method → how long its answer takes."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Method → the status that refuses it, once the login is right."""
    transports: frozenset[Transport] = frozenset({"tcp"})
    """How it sends its packets."""
    transport_refusal: int = 461
    """The status that refuses any other way."""
    redirect_to: str | None = None
    """DESCRIBE is answered with this URL, after the login."""
    redirect_status: int = 302
    begins_with_keyframe: bool = True
    """Whether each viewer's stream begins with a keyframe. If not, it begins with the next picture."""
    offers_sound: bool = False
    """Announces sound before the video, and sends none."""


PLAIN = Manners()
