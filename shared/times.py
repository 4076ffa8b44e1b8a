"""Points in time as people write them: `2h`, `2026-11-22`, `2026-11-22T14:30`, `1700000000`.

The command line and the API share this parser, so a text means the same to both.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_AGO = re.compile(r"(\d{1,6})\s*([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
# Eight digits are a date such as 20261122. A shorter number is more likely a slip than a time in 1970.
_SECONDS = re.compile(r"(0|\d{9,11})(\.\d+)?")
_LONGEST_ZONE = 64

EXPECTED = (
    "a time as 30m, 2h or 7d (ago), today, yesterday, 2026-11-22, 2026-11-22T14:30 or seconds since 1970"
)
EXPECTED_ZONE = "the name of a time zone, such as Europe/Berlin or UTC"


def parse_time_s(text: str, now_s: float, zone: tzinfo | None = None) -> float:
    """The time that `text` means, in seconds since 1970 UTC.

    Args:
        text: see `EXPECTED`; `today` and a bare date mean midnight.
        now_s: the present, in seconds since 1970 UTC.
        zone: the zone of dates and times of day that name none; None: the local time of this machine.

    Raises:
        ValueError: `text` is no time; the error says what was expected.
    """
    wanted = text.strip().lower()
    if wanted == "now":
        return now_s
    if ago := _AGO.fullmatch(wanted):
        return now_s - int(ago[1]) * _UNIT_S[ago[2]]
    if wanted in ("today", "yesterday"):
        midnight = datetime.fromtimestamp(now_s, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight - timedelta(days=1) if wanted == "yesterday" else midnight).timestamp()
    if _SECONDS.fullmatch(wanted):
        return float(wanted)
    try:
        time = datetime.fromisoformat(text.strip())
        return (time if time.tzinfo else time.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"expected {EXPECTED}, got {text[:40]!r}") from None


def parse_zone(name: str) -> ZoneInfo:
    """The time zone with this IANA name.

    Raises:
        ValueError: there is none; the error says what was expected.
    """
    try:
        if len(name) > _LONGEST_ZONE:
            raise ValueError
        return ZoneInfo(name)
    # A folder of zones, such as Europe, is an OSError; an unknown name a KeyError.
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected {EXPECTED_ZONE}, got {name[:40]!r}") from None


def iso_time(time_s: float, zone: tzinfo | None = None) -> str:
    """`2026-11-22T14:30:05.250+01:00`: a time with its offset from UTC, to the millisecond.

    Args:
        time_s: seconds since 1970 UTC.
        zone: None: the local time of this machine.
    """
    return datetime.fromtimestamp(time_s, UTC).astimezone(zone).isoformat(timespec="milliseconds")
