"""The results in Redis and how to read them; `docs/redis.md` shows every key."""

from __future__ import annotations

from agegender.shared.store.answers import (
    PRESENT_S,
    CameraState,
    CameraStatus,
    FrameNews,
    Page,
    StoredNotice,
    StoredResult,
)
from agegender.shared.store.client import connect, redis_errors_sorted, refuse_cluster, server_time_s
from agegender.shared.store.counts import Count, Period
from agegender.shared.store.keys import CAMERAS_KEY, SCHEMA_KEY, CameraKeys
from agegender.shared.store.reader import ResultStore
from agegender.shared.store.small_counts import GivenCount, given_out

__all__ = [
    "CAMERAS_KEY",
    "PRESENT_S",
    "SCHEMA_KEY",
    "CameraKeys",
    "CameraState",
    "CameraStatus",
    "Count",
    "FrameNews",
    "GivenCount",
    "Page",
    "Period",
    "ResultStore",
    "StoredNotice",
    "StoredResult",
    "connect",
    "given_out",
    "redis_errors_sorted",
    "refuse_cluster",
    "server_time_s",
]
