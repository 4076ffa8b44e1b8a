"""Points in time as people write them: `2h`, `2026-11-22`, `2026-11-22T14:30`, `1700000000`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_AGO = re.compile(r"(\d{1,6})\s*([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SECONDS = re.compile(r"\d{9,11}(\.\d+)?")

EXPECTED = (
    "a time as 30m, 2h or 7d (ago), today, yesterday, 2026-11-22, 2026-11-22T14:30 or seconds since 1970"
)


def moment_s(text: str, now_s: float) -> float:
    """The time that `text` means, in seconds since 1970 UTC.

    Dates and times of day without a zone are local ones; `today` and a bare date mean midnight.

    Raises:
        ValueError: it means none; the text says what was expected.
    """
    wanted = text.strip().lower()
    if wanted == "now":
        return now_s
    if ago := _AGO.fullmatch(wanted):
        return now_s - int(ago[1]) * _UNIT_S[ago[2]]
    if wanted in ("today", "yesterday"):
        midnight = datetime.fromtimestamp(now_s).replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight - timedelta(days=1) if wanted == "yesterday" else midnight).timestamp()
    if _SECONDS.fullmatch(wanted):
        return float(wanted)
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"expected {EXPECTED}, got {text[:40]!r}") from None
