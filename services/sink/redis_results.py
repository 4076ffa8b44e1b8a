"""Writes results to Redis, each exactly once, however often it arrives."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import redis
from redis.commands.core import Script

from services.sink.config import SinkSettings
from shared.messages import Presence, Result, age_band
from shared.metrics import Metrics
from shared.store import CAMERAS_KEY, CameraKeys, redis_errors_sorted

_SCRIPT_PATH = Path(__file__).with_name("write_results.lua")


class RedisResults:
    """An output that is safe to repeat: the script refuses the face ids that it has seen.

    All results of one camera in a batch are written by one call of the script, which Redis runs as a whole or
    not at all. A repeat after a crash can so change nothing, as long as fewer than `SINK_REMEMBERED_FACES`
    faces of the camera were written in between.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: SinkSettings,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._script: Script | None = None

    def open(self) -> None:
        """Checks that Redis answers."""
        self._script = self._client.register_script(_SCRIPT_PATH.read_text())
        with redis_errors_sorted():
            self._client.ping()

    def write(self, messages: Sequence[Result | Presence]) -> None:
        """Returns when Redis holds all of them."""
        by_camera: dict[str, list[Result]] = defaultdict(list)
        for message in messages:
            if isinstance(message, Result):
                by_camera[message.camera_id].append(message)
        with redis_errors_sorted():
            for camera_id, results in by_camera.items():
                # Counted before anything else may fail: the next try would find only repeats.
                self._count(results, self._write_camera(camera_id, results))
                self._list_camera(camera_id)

    def _write_camera(self, camera_id: str, results: Sequence[Result]) -> Sequence[int]:
        keys = CameraKeys.of(camera_id)
        settings = self._settings
        arguments: list[str | int | float] = [
            settings.ttl_s,
            settings.results_per_camera,
            settings.remembered_faces,
            int(self._clock() * 1000),
        ]
        for result in results:
            frame = result.face.frame
            arguments += [
                result.face.face_id,
                frame.stream_id,
                frame.sequence,
                frame.captured_at_s,
                result.face.faces_in_frame,
                result.face.index,
                result.model_dump_json(exclude_none=True),
            ]
        if self._script is None:
            raise RuntimeError("write before open")
        return cast("list[int]", self._script(keys=[keys.latest, keys.results, keys.seen], args=arguments))

    def _count(self, results: Sequence[Result], new: Sequence[int]) -> None:
        for result, is_new in zip(results, new, strict=True):
            if is_new:
                self._metrics.results.labels(result.gender, _band(result)).inc()
            else:
                self._metrics.repeats.labels(result.camera_id).inc()

    def _list_camera(self, camera_id: str) -> None:
        """Not in the script: the key of all cameras lives on another node of a cluster.

        By our clock: a camera whose own is far behind would be taken for one that is long gone.
        """
        now_s, ttl_s = self._clock(), self._settings.ttl_s
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zadd(CAMERAS_KEY, {camera_id: now_s}, gt=True)
        pipeline.zremrangebyscore(CAMERAS_KEY, "-inf", now_s - ttl_s)
        pipeline.expire(CAMERAS_KEY, ttl_s)
        pipeline.execute()

    def close(self) -> None:
        """Lets go of the connections."""
        self._client.close()


def _band(result: Result) -> str:
    """What the result counts as: a face that was not judged is no age."""
    return age_band(result.age_years) if result.age_years is not None else str(result.unjudged)
