"""What Redis holds of one camera: read, changed and written back, unless somebody else wrote it meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import redis
from redis.commands.core import Script

from agegender.services.sink.config import SinkSettings
from agegender.services.sink.merging import Change, Known, Merge, Merged, frame_of
from agegender.services.sink.visit_record import VisitRecord
from agegender.shared.errors import NotNow
from agegender.shared.messages.pipeline import Result, TrackUpdate
from agegender.shared.messages.visits import Visit
from agegender.shared.store import PRESENT_S, CameraKeys

_SCRIPT_PATH = Path(__file__).with_name("write.lua")
_TRIES = 100

Plan = dict[str, object]


class Written(NamedTuple):
    """What came of a write."""

    merged: Merged
    new: Sequence[int]
    """For each single face 1 when it was new, 0 when it was a repeat."""
    now_s: float


class CameraRepository:
    """Reads and writes cameras, one at a time.

    What is read carries the version of the camera, and the script writes only while that version stands: of
    two sinks that write at once one reads again, and neither overwrites what the other wrote.

    Args:
        clock: the time of what is written; None: the clock of the server, which all sinks share.
    """

    def __init__(
        self, client: redis.Redis, settings: SinkSettings, clock: Callable[[], float] | None
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._script: Script = client.register_script(_SCRIPT_PATH.read_text())

    def amend(
        self, camera_id: str, track_ids: Sequence[str], merge: Merge, results: Sequence[Result] = ()
    ) -> Written:
        """Reads these persons, lets `merge` say what becomes of them, and writes that, with single faces.

        Raises:
            NotNow: others wrote this camera again and again meanwhile.
        """
        faces: list[str] = []
        for result in results:
            faces += result.face.face_id, result.model_dump_json(exclude_none=True)
        keys = CameraKeys.of(camera_id)
        for _ in range(_TRIES):
            known, now_s = self._read(keys, track_ids)
            merged = merge(known)
            numbered, plan = self._plan(keys, known, merged, now_s)
            new = self._script(
                keys=[*_fixed(keys), *numbered],
                args=[json.dumps(plan, separators=(",", ":")), *faces],
            )
            if new is not None:
                return Written(merged, cast("list[int]", new), now_s)
        raise NotNow(f"Redis: other sinks keep writing the camera {camera_id}")

    def _read(self, keys: CameraKeys, track_ids: Sequence[str]) -> tuple[Known, float]:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.time()
        pipeline.hgetall(keys.state)
        if track_ids:
            pipeline.mget([keys.visit(one) for one in track_ids])
            pipeline.zmscore(keys.open, list(track_ids))
        (seconds, microseconds), state, *more = pipeline.execute()
        values, heard = more if more else ((), ())
        found = zip(track_ids, values, strict=True)
        kept = {name: json.loads(value) for name, value in found if value is not None}
        counted = {name: fields for name, fields in kept.items() if "first_seen_s" in fields}
        records = {name: VisitRecord.model_validate(fields) for name, fields in kept.items()}
        scores = zip(track_ids, heard, strict=True)
        known = Known(
            state={name.decode(): value.decode() for name, value in state.items()},
            records=records,
            visits={name: Visit.model_validate(fields) for name, fields in counted.items()},
            heard_s={
                name: score_s + _aged_s(records.get(name)) for name, score_s in scores if score_s is not None
            },
        )
        return known, seconds + microseconds / 1e6 if self._clock is None else self._clock()

    def _plan(self, keys: CameraKeys, known: Known, merged: Merged, now_s: float) -> tuple[list[str], Plan]:
        """The keys that the plan numbers, and the plan."""
        settings, moved = self._settings, merged.moved
        first = len(_fixed(keys)) + 1
        record_keys = [keys.visit(change.record.track_id) for change in merged.changes]
        count_keys = [keys.counts(cell.hash) for cell in moved]
        plan: Plan = {
            "version": known.state.get("version", ""),
            "now_s": repr(now_s),
            "ttl_s": settings.ttl_s,
            "most_visits": settings.visits_per_camera,
            "longest_closed": settings.closed_per_camera,
            "longest_results": settings.results_per_camera,
            "remembered": settings.remembered_faces,
            "visit_key": keys.visit(""),
            "state": [] if merged.newest is None else _state(merged.newest, now_s),
            "visits": [
                self._record(number, change, now_s) for number, change in enumerate(merged.changes, first)
            ],
            "counts": [
                {"key": number, "field": cell.field, "more": more, "kept_s": cell.kept_s}
                for number, (cell, more) in enumerate(moved.items(), first + len(record_keys))
            ],
            "gone": list(merged.gone),
        }
        return record_keys + count_keys, plan

    def _record(self, number: int, change: Change, now_s: float) -> Plan:
        record, visit = change.record, change.visit
        written: Plan = {"key": number, "id": record.track_id, "json": record.to_json(visit)}
        if visit is None:
            # Votes of somebody whom nobody has sighted: forgotten like a person who fell silent.
            return written | {"ttl_s": self._settings.silent_s}
        # As text: a script would shorten the digits of a number.
        written |= {"ttl_s": self._settings.ttl_s, "first_seen_s": repr(visit.first_seen_s)}
        if visit.closed is not None:
            return written | {"closed": True}
        return written | {"heard_s": repr(now_s - _aged_s(record))}


def _aged_s(record: VisitRecord | None) -> float:
    """How much older a visit is listed than it was heard of: who was seen to leave is nobody who is there."""
    return PRESENT_S if record is not None and record.ended else 0.0


def _fixed(keys: CameraKeys) -> tuple[str, ...]:
    return keys.state, keys.visits, keys.open, keys.closed, keys.results, keys.seen


def _state(newest: Result | TrackUpdate, now_s: float) -> list[str]:
    """Names and values of the fields of `state`; an empty value stands for what is not known."""
    frame = frame_of(newest)
    rate_hz = newest.info.frame_rate_hz if isinstance(newest, TrackUpdate) else None
    fields: Mapping[str, object] = {
        "from": "track_update" if isinstance(newest, TrackUpdate) else "result",
        "stream": frame.stream_id,
        "sequence": frame.sequence,
        "captured_at_s": repr(frame.captured_at_s),
        "clock": frame.clock,
        "width_px": frame.width_px,
        "height_px": frame.height_px,
        "frame_rate_hz": "" if rate_hz is None else rate_hz,
        "written_at_s": repr(now_s),
        "delay_s": round(now_s - frame.captured_at_s, 3),
    }
    return [str(word) for pair in fields.items() for word in pair]
