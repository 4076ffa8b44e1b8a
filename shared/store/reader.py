"""Reads what the sink wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import cast

import redis

from agegender.shared.messages.pipeline import Clock, Result
from agegender.shared.messages.visits import Visit
from agegender.shared.store.answers import PRESENT_S, CameraState, Page, StoredResult
from agegender.shared.store.client import redis_errors_sorted, server_time_s
from agegender.shared.store.closed import read_closed
from agegender.shared.store.counts import STEPS, Count, Period
from agegender.shared.store.keys import CAMERAS_KEY, RESULT_FIELD, CameraKeys
from agegender.shared.store.newest import Place, newest_visits

MOST_CELLS = 100_000
"""Minutes, hours or days, times cameras, in one answer of `ResultStore.counts`."""


class ResultStore:
    """Reads cameras, persons, counts and single faces. Every call may raise NotNow while Redis is away.

    Where `camera_ids` is None, all cameras are meant that were written in the last 400 days.

    Args:
        clock: the time by which people are there now; None: the clock of the Redis server, as in the sink.
    """

    def __init__(self, client: redis.Redis, *, clock: Callable[[], float] | None = None) -> None:
        self._client = client
        self._clock = clock

    def cameras(self) -> Sequence[CameraState]:
        """The state of each camera of which anything is left but counts, by id."""
        with redis_errors_sorted():
            names, present_since_s = self._cameras(None), self._now_s() - PRESENT_S
            pipeline = self._client.pipeline(transaction=False)
            for camera_id in names:
                keys = CameraKeys.of(camera_id)
                pipeline.hgetall(keys.state)
                pipeline.zcount(keys.open, f"({present_since_s!r}", "+inf")
            answers = pipeline.execute()
        found = zip(names, answers[::2], answers[1::2], strict=True)
        return [_camera_state(*one) for one in found if b"captured_at_s" in one[1]]

    def now(self, camera_ids: Sequence[str] | None = None) -> Sequence[Visit]:
        """The open persons heard of in the last `PRESENT_S`, by camera and by the time they came.

        Who was seen to leave is not among them, though votes may still be awaited.
        """
        with redis_errors_sorted():
            names, since_s = self._cameras(camera_ids), self._now_s() - PRESENT_S
            pipeline = self._client.pipeline(transaction=False)
            for camera_id in names:
                pipeline.zrangebyscore(CameraKeys.of(camera_id).open, f"({since_s!r}", "+inf")
            found = [
                Visit.model_validate(fields)
                for camera_id, ids in zip(names, pipeline.execute(), strict=True)
                for fields in self._read_records(camera_id, [one.decode() for one in ids])
                # One who left since then is nobody who is there.
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
        """Persons first seen in [since_s, until_s), the newest first, open ones included.

        Args:
            since_s: seconds since 1970 UTC; None: from the oldest that is kept.
            until_s: the same; None: to the newest.
            age_bands: only these of `messages.AGE_BANDS` and `persons.UNKNOWN_BAND`; None: all.
            genders: only these; None: all.
            limit: the most persons of one page, from 1.
            before: `next` of the page before this one.

        Raises:
            ValueError: `limit` is under 1, or `before` is not from a page.
        """
        if limit < 1:
            raise ValueError(f"limit: expected 1 or more, got {limit}")
        start = None if before is None else Place.parse(before)

        def is_wanted(visit: Visit) -> bool:
            return (age_bands is None or visit.age_band in age_bands) and (
                genders is None or visit.gender in genders
            )

        found: list[tuple[Place, Visit]] = []
        with redis_errors_sorted():
            for place, visit in newest_visits(
                self._client, self._cameras(camera_ids), since_s, until_s, start, self._read_visits
            ):
                if is_wanted(visit):
                    found.append((place, visit))
                if len(found) > limit:
                    break
        more = len(found) > limit
        return Page([visit for _, visit in found[:limit]], str(found[limit - 1][0]) if more else None)

    def visit(self, camera_id: str, track_id: str) -> Visit | None:
        """One person; None where there is none, or none is left."""
        with redis_errors_sorted():
            return self._read_visits(camera_id, [track_id])[0]

    def counts(
        self, *, since_s: float, until_s: float, by: Period, camera_ids: Sequence[str] | None = None
    ) -> Sequence[Count]:
        """How many persons came in each minute, hour or day (UTC), by camera, age band and gender.

        The first stretch is the one that `since_s` falls into; the last one begins before `until_s`. Only
        numbers above 0, by time, camera, age and gender. Minutes are kept for 48 hours, hours for 35 days and
        days for 400 days.

        Raises:
            ValueError: the answer may have more than `MOST_CELLS` stretches, or the times have no date.
        """
        step = STEPS[by]
        start_s = step.start_s(since_s)
        with redis_errors_sorted():
            names = self._cameras(camera_ids)
            cells = max(0.0, until_s - start_s) / step.length_s * max(1, len(names))
            if cells > MOST_CELLS:
                raise ValueError(
                    f"expected a range of at most {MOST_CELLS} {by}s over all cameras, got {cells:.0f}: "
                    "ask for a shorter time, fewer cameras or longer steps"
                )
            hashes = [(camera, name) for camera in names for name in step.hashes(start_s, until_s)]
            pipeline = self._client.pipeline(transaction=False)
            for camera_id, name in hashes:
                pipeline.hgetall(CameraKeys.of(camera_id).counts(name))
            answers = pipeline.execute()
        found = (
            count
            for (camera_id, name), fields in zip(hashes, answers, strict=True)
            for count in step.read(camera_id, name, fields)
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
        """Persons closed since the call that gave `cursor`, in the order in which they were closed.

        Args:
            cursor: what the call before gave; None: from now on. A camera it does not name is read from its
                oldest entry.
            wait_s: how long to wait for the first person; 0: not at all.
            limit: the most persons of one answer, from 1.

        Returns:
            The persons, none when the wait was in vain, and the cursor for the next call.
        """
        with redis_errors_sorted():
            return read_closed(self._client, lambda: self._cameras(camera_ids), cursor, wait_s, limit)

    def results(self, camera_id: str, limit: int = 100) -> Sequence[StoredResult]:
        """The newest single faces of a camera, in the order they were written; empty when none is left."""
        with redis_errors_sorted():
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
        """A small JPEG of the scene, some seconds old at most; None where none is kept."""
        with redis_errors_sorted():
            return cast("bytes | None", self._client.get(CameraKeys.of(camera_id).preview))

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
        """The fields of their records, with what is kept while they are open; none where one has expired."""
        if not track_ids:
            return []
        keys = CameraKeys.of(camera_id)
        values = self._client.mget([keys.visit(track_id) for track_id in track_ids])
        return [{} if value is None else json.loads(value) for value in cast("list[bytes | None]", values)]


def _is_visit(fields: Mapping[str, object]) -> bool:
    """False where the record has expired, or holds votes of somebody of whom no track summary came yet."""
    return "first_seen_s" in fields


def _camera_state(camera_id: str, fields: Mapping[bytes, bytes], present: int) -> CameraState:
    def number(name: bytes) -> float | None:
        return float(fields[name]) if fields.get(name) else None

    return CameraState(
        camera_id=camera_id,
        captured_at_s=float(fields[b"captured_at_s"]),
        clock=cast("Clock", fields[b"clock"].decode()),
        size_wh=(int(fields[b"width_px"]), int(fields[b"height_px"])),
        frame_rate_hz=number(b"frame_rate_hz"),
        written_at_s=float(fields[b"written_at_s"]),
        delay_s=float(fields[b"delay_s"]),
        present=present,
    )
