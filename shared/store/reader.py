"""Reads the results that the sink has written."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import cast

import redis

from agegender.shared.messages.pipeline import Clock, Result, stream_began_at_s
from agegender.shared.messages.visits import Visit
from agegender.shared.store.answers import (
    PRESENT_S,
    SILENT_AFTER_S,
    CameraStatus,
    FrameNews,
    Page,
    StoredNotice,
    StoredResult,
)
from agegender.shared.store.client import redis_errors_sorted, refuse_cluster, server_time_s
from agegender.shared.store.closed import read_closed
from agegender.shared.store.counts import PERIODS, Count, Period
from agegender.shared.store.keys import CAMERAS_KEY, RESULT_FIELD, CameraKeys
from agegender.shared.store.newest import PagePosition, newest_visits
from agegender.shared.store.schema import check_schema

MOST_CELLS = 100_000
"""Minutes, hours or days, times cameras, in one answer of `ResultStore.counts`."""


class ResultStore:
    """Reads cameras, visits, counts and results.

    Every call may raise NotNow while Redis is away, SchemaMismatch if another version wrote the store, and
    SettingsError if the server belongs to a Redis Cluster.
    `camera_ids=None` stands for all cameras that were written in the last 400 days.

    Args:
        clock: gives the present; None: the clock of the Redis server, which the sink uses as well.
    """

    def __init__(self, client: redis.Redis, *, clock: Callable[[], float] | None = None) -> None:
        self._client = client
        self._clock = clock
        self._schema_is_right = False

    def cameras(self) -> Sequence[CameraStatus]:
        """The status of each camera that was written in the last `SINK_TTL_S`, by id."""
        with self._reading():
            names, present_since_s = self._cameras(None), self._now_s() - PRESENT_S
            pipeline = self._client.pipeline(transaction=False)
            for camera_id in names:
                keys = CameraKeys.of(camera_id)
                pipeline.hgetall(keys.state)
                pipeline.zcount(keys.open, f"({present_since_s!r}", "+inf")
            answers = pipeline.execute()
        found = zip(names, answers[::2], answers[1::2], strict=True)
        return [_camera_status(*one) for one in found if b"captured_at_s" in one[1] or b"notice" in one[1]]

    def now(self, camera_ids: Sequence[str] | None = None) -> Sequence[Visit]:
        """The visits of the people present now, see `PRESENT_S`, by camera and first sight."""
        with self._reading():
            names, since_s = self._cameras(camera_ids), self._now_s() - PRESENT_S
            pipeline = self._client.pipeline(transaction=False)
            for camera_id in names:
                pipeline.zrangebyscore(CameraKeys.of(camera_id).open, f"({since_s!r}", "+inf")
            found = [
                Visit.model_validate(fields)
                for camera_id, ids in zip(names, pipeline.execute(), strict=True)
                for fields in self._read_records(camera_id, [one.decode() for one in ids])
                # Exclude people that left in the meantime.
                if _is_visit(fields) and not fields.get("ended") and "closed" not in fields
            ]
        return sorted(found, key=lambda visit: (visit.camera_id, visit.first_seen_s, visit.track_id))

    def visits(
        self,
        *,
        camera_ids: Sequence[str] | None = None,
        since_s: float | None = None,
        until_s: float | None = None,
        age_bands: Collection[str] | None = None,
        genders: Collection[str] | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> Page[Visit]:
        """Visits first seen in [since_s, until_s), the newest first, open ones included.

        Args:
            since_s: seconds since 1970 UTC; None: from the oldest visit that is kept.
            until_s: the same; None: to the newest visit.
            age_bands: only these, of `AGE_BANDS` and `UNKNOWN_BAND`; None: all.
            genders: only these; None: all.
            limit: the most visits of one page, from 1.
            before: `next` of the previous page.

        Raises:
            ValueError: `limit` is below 1, or `before` is not from a page.
        """
        if limit < 1:
            raise ValueError(f"limit: expected 1 or more, got {limit}")
        start = None if before is None else PagePosition.parse(before)

        def is_wanted(visit: Visit) -> bool:
            return (age_bands is None or visit.age_band in age_bands) and (
                genders is None or visit.gender in genders
            )

        found: list[tuple[PagePosition, Visit]] = []
        with self._reading():
            for position, visit in newest_visits(
                self._client, self._cameras(camera_ids), since_s, until_s, start, self._read_visits
            ):
                if is_wanted(visit):
                    found.append((position, visit))
                if len(found) > limit:
                    break
        more = len(found) > limit
        return Page([visit for _, visit in found[:limit]], str(found[limit - 1][0]) if more else None)

    def visit(self, camera_id: str, track_id: str) -> Visit | None:
        """One visit; None if it is unknown or has expired."""
        with self._reading():
            return self._read_visits(camera_id, [track_id])[0]

    def counts(
        self, *, since_s: float, until_s: float, by: Period, camera_ids: Sequence[str] | None = None
    ) -> Sequence[Count]:
        """How many visits began in each minute, hour or day (UTC), by camera, age band and gender.

        The first period is the one that `since_s` falls into; the last one begins before `until_s`. Counts of
        0 are left out. The order is by time, camera, age and gender. Minutes are kept for 48 hours, hours for
        35 days and days for 400 days.

        Raises:
            ValueError: the answer may have more than `MOST_CELLS` periods, or a time has no date.
        """
        layout = PERIODS[by]
        start_s = layout.start_s(since_s)
        with self._reading():
            names = self._cameras(camera_ids)
            cells = max(0.0, until_s - start_s) / layout.length_s * max(1, len(names))
            if cells > MOST_CELLS:
                raise ValueError(
                    f"expected a range of at most {MOST_CELLS} {by}s over all cameras, got {cells:.0f}: "
                    "ask for a shorter time, fewer cameras or a longer period"
                )
            hashes = [(camera, name) for camera in names for name in layout.hashes(start_s, until_s)]
            pipeline = self._client.pipeline(transaction=False)
            for camera_id, name in hashes:
                pipeline.hgetall(CameraKeys.of(camera_id).counts(name))
            answers = pipeline.execute()
        found = (
            count
            for (camera_id, name), fields in zip(hashes, answers, strict=True)
            for count in layout.read(camera_id, name, fields)
        )
        return sorted((one for one in found if start_s <= one.start_s < until_s), key=lambda one: one.order)

    def closed(
        self,
        cursor: Mapping[str, str] | None = None,
        *,
        camera_ids: Sequence[str] | None = None,
        wait_s: float = 0.0,
        limit: int = 100,
    ) -> tuple[Sequence[Visit], Mapping[str, str]]:
        """Visits closed since the call that returned `cursor`, in the order in which they were closed.

        Args:
            cursor: from the previous call; None: from now on. A camera that it does not name is read from its
                oldest entry.
            wait_s: how long to wait for the first visit; 0: not at all.
            limit: the most visits of one answer, from 1.

        Returns:
            The visits, which may be none, and the cursor for the next call.
        """
        with self._reading():
            return read_closed(self._client, lambda: self._cameras(camera_ids), cursor, wait_s, limit)

    def results(self, camera_id: str, limit: int = 100) -> Sequence[StoredResult]:
        """The newest results of a camera, in the order they were written; empty if none is left."""
        with self._reading():
            entries = cast(
                "list[tuple[bytes, dict[bytes, bytes]]]",
                self._client.xrevrange(CameraKeys.of(camera_id).results, count=limit),
            )
        return [
            StoredResult(
                result=Result.model_validate_json(fields[RESULT_FIELD]),
                written_at_s=int(entry_id.split(b"-")[0]) / 1000,
            )
            for entry_id, fields in reversed(entries)
        ]

    def preview(self, camera_id: str) -> bytes | None:
        """A small JPEG of the scene, some seconds old at most; None if there is none."""
        with self._reading():
            return cast("bytes | None", self._client.get(CameraKeys.of(camera_id).preview))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Sorts the errors of Redis inside the block. The first time, it checks the layout of the store."""
        with redis_errors_sorted(self._client):
            if not self._schema_is_right:
                refuse_cluster(self._client)
                check_schema(self._client)
                self._schema_is_right = True
            yield

    def _cameras(self, camera_ids: Sequence[str] | None) -> list[str]:
        if camera_ids is not None:
            return list(dict.fromkeys(camera_ids))
        found = cast("list[bytes]", self._client.zrange(CAMERAS_KEY, 0, -1))
        return sorted(camera.decode() for camera in found)

    def _now_s(self) -> float:
        return server_time_s(self._client) if self._clock is None else self._clock()

    def _read_visits(self, camera_id: str, track_ids: Sequence[str]) -> list[Visit | None]:
        records = self._read_records(camera_id, track_ids)
        return [Visit.model_validate(fields) if _is_visit(fields) else None for fields in records]

    def _read_records(self, camera_id: str, track_ids: Sequence[str]) -> list[Mapping[str, object]]:
        """The fields of the visits and, while they are open, of their records; empty for an expired one."""
        if not track_ids:
            return []
        keys = CameraKeys.of(camera_id)
        values = self._client.mget([keys.visit(track_id) for track_id in track_ids])
        return [{} if value is None else json.loads(value) for value in cast("list[bytes | None]", values)]


def _is_visit(fields: Mapping[str, object]) -> bool:
    """False if it has expired, or holds votes but no track summary yet."""
    return "first_seen_s" in fields


def _camera_status(camera_id: str, fields: Mapping[bytes, bytes], present: int) -> CameraStatus:
    known = {name.decode(): value.decode() for name, value in fields.items()}
    return CameraStatus(camera_id, _frame_news(known), _notice(known), present)


def _frame_news(known: Mapping[str, str]) -> FrameNews | None:
    if "captured_at_s" not in known:
        return None
    return FrameNews(
        captured_at_s=float(known["captured_at_s"]),
        clock=cast("Clock", known["clock"]),
        size_wh=(int(known["width_px"]), int(known["height_px"])),
        frame_rate_hz=float(known["frame_rate_hz"]) if known.get("frame_rate_hz") else None,
        captured_rate_hz=float(known["captured_rate_hz"]) if known.get("captured_rate_hz") else None,
        written_at_s=float(known["written_at_s"]),
        delay_s=float(known["delay_s"]),
    )


def _notice(known: Mapping[str, str]) -> StoredNotice | None:
    if "notice" not in known:
        return None
    written_at_s = float(known["notice_written_at_s"])
    is_over = "stream" in known and stream_began_at_s(known["stream"]) > float(known["notice_at_s"])
    # A clock that was set back names later streams earlier. Then the clock of the server decides.
    if is_over and float(known["written_at_s"]) > written_at_s - SILENT_AFTER_S:
        return None
    return StoredNotice(
        state="failing" if known["notice"] == "failing" else "stopped",
        reason=known["notice_reason"] or None,
        detail=known["notice_detail"],
        since_s=float(known["notice_since_s"]),
        written_at_s=written_at_s,
    )
