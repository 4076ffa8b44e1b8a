"""Reads what Redis holds of one camera and writes it back, unless another sink wrote it in the meantime."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import redis
from redis.commands.core import Script

from agegender.services.sink.config import SinkSettings
from agegender.services.sink.merging import CameraSnapshot, Merge, MergedCamera, VisitChange, frame_of
from agegender.services.sink.visit_record import VisitRecord
from agegender.shared.errors import NotNow
from agegender.shared.messages.pipeline import CameraNotice, Result, TrackUpdate
from agegender.shared.messages.visits import Visit
from agegender.shared.store import PRESENT_S, CameraKeys

_SCRIPT_PATH = Path(__file__).with_name("write.lua")
_TRIES = 100

ScriptInput = dict[str, object]
"""The JSON that `write.lua` reads."""


class WrittenCamera(NamedTuple):
    """What a write has changed."""

    change: MergedCamera
    new: Sequence[int]
    """For each result: 1 if it was new, 0 if it was a repeat."""
    now_s: float


class CameraRepository:
    """Reads and writes cameras, one at a time.

    Each read returns the version of the camera, and the script writes only if that version is still current.
    Of two sinks that write at the same time, one reads again, so neither overwrites the other.

    Args:
        clock: gives the time of a write; None: the clock of the server, which all sinks share.
    """

    def __init__(
        self, client: redis.Redis, settings: SinkSettings, clock: Callable[[], float] | None
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._script: Script = client.register_script(_SCRIPT_PATH.read_text())

    def update(
        self, camera_id: str, track_ids: Sequence[str], merge: Merge, results: Sequence[Result] = ()
    ) -> WrittenCamera:
        """Reads the visits with these ids, applies `merge`, and writes the outcome together with `results`.

        Raises:
            NotNow: other sinks wrote this camera at every try.
        """
        faces: list[str] = []
        for result in results:
            faces += result.face.face_id, result.model_dump_json(exclude_none=True)
        keys = CameraKeys.of(camera_id)
        for _ in range(_TRIES):
            known = self._read(keys, track_ids)
            change = merge(known)
            numbered, written = self._script_input(keys, known, change)
            new = self._script(
                keys=[*_fixed(keys), *numbered],
                args=[json.dumps(written, separators=(",", ":")), *faces],
            )
            if new is not None:
                return WrittenCamera(change, cast("list[int]", new), known.now_s)
        raise NotNow(f"Redis: other sinks keep writing the camera {camera_id}")

    def _read(self, keys: CameraKeys, track_ids: Sequence[str]) -> CameraSnapshot:
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
        now_s = seconds + microseconds / 1e6 if self._clock is None else self._clock()
        return CameraSnapshot(
            state={name.decode(): value.decode() for name, value in state.items()},
            records=records,
            visits={name: Visit.model_validate(fields) for name, fields in counted.items()},
            heard_s={
                name: score_s + _aged_s(records.get(name)) for name, score_s in scores if score_s is not None
            },
            now_s=now_s,
        )

    def _script_input(
        self, keys: CameraKeys, known: CameraSnapshot, change: MergedCamera
    ) -> tuple[list[str], ScriptInput]:
        """The keys that the input refers to by number, and the input."""
        settings, differences, now_s = self._settings, change.count_differences, known.now_s
        first = len(_fixed(keys)) + 1
        visit_keys = [keys.visit(one.record.track_id) for one in change.visits]
        count_keys = [keys.counts(cell.hash) for cell in differences]
        written: ScriptInput = {
            "version": known.state.get("version", ""),
            "now_s": repr(now_s),
            "ttl_s": settings.ttl_s,
            "most_visits": settings.visits_per_camera,
            "longest_closed": settings.closed_per_camera,
            "longest_results": settings.results_per_camera,
            "remembered": settings.remembered_faces,
            "visit_key": keys.visit(""),
            "state": _words(
                ({} if change.newest is None else _state(change.newest, now_s))
                | ({} if change.notice is None else _notice(change.notice, now_s))
            ),
            "visits": [self._visit(number, one, now_s) for number, one in enumerate(change.visits, first)],
            "counts": [
                {"key": number, "field": cell.field, "difference": difference, "kept_s": cell.kept_s}
                for number, (cell, difference) in enumerate(differences.items(), first + len(visit_keys))
            ],
            "gone": list(change.gone),
        }
        return visit_keys + count_keys, written

    def _visit(self, number: int, change: VisitChange, now_s: float) -> ScriptInput:
        record, visit = change.record, change.visit
        written: ScriptInput = {"key": number, "id": record.track_id, "json": record.to_json(visit)}
        if visit is None:
            # Votes without a track summary expire as a visit times out.
            return written | {"ttl_s": self._settings.silence_timeout_s}
        # As text, because Lua would drop digits of a number.
        written |= {"ttl_s": self._settings.ttl_s, "first_seen_s": repr(visit.first_seen_s)}
        if visit.closed is not None:
            return written | {"closed": True}
        return written | {"heard_s": repr(now_s - _aged_s(record))}


def _aged_s(record: VisitRecord | None) -> float:
    """How much earlier than its latest message an open visit is listed, to exclude people that have left."""
    return PRESENT_S if record is not None and record.ended else 0.0


def _fixed(keys: CameraKeys) -> tuple[str, ...]:
    return keys.state, keys.visits, keys.open, keys.closed, keys.results, keys.seen


def _state(newest: Result | TrackUpdate, now_s: float) -> dict[str, object]:
    """The fields of `state` about the newest frame; an unknown value is empty."""
    frame = frame_of(newest)
    rate_hz, captured_hz = (
        (newest.info.frame_rate_hz, newest.info.captured_rate_hz)
        if isinstance(newest, TrackUpdate)
        else (None, None)
    )
    return {
        "from": "track_update" if isinstance(newest, TrackUpdate) else "result",
        "stream": frame.stream_id,
        "sequence": frame.sequence,
        "captured_at_s": repr(frame.captured_at_s),
        "clock": frame.clock,
        "width_px": frame.width_px,
        "height_px": frame.height_px,
        "frame_rate_hz": "" if rate_hz is None else rate_hz,
        "captured_rate_hz": "" if captured_hz is None else captured_hz,
        "written_at_s": repr(now_s),
        "delay_s": round(now_s - frame.captured_at_s, 3),
    }


def _notice(notice: CameraNotice, now_s: float) -> dict[str, object]:
    """The fields of `state` about a camera that gives no frames."""
    return {
        "notice": notice.state,
        "notice_reason": notice.reason or "",
        "notice_detail": notice.detail,
        "notice_since_s": repr(notice.since_s),
        "notice_at_s": repr(notice.noticed_at_s),
        "notice_written_at_s": repr(now_s),
    }


def _words(fields: Mapping[str, object]) -> list[str]:
    return [str(word) for pair in fields.items() for word in pair]
