"""Writes visits, counts and results to Redis; a message that arrives again changes nothing."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import redis

from agegender.services.sink.camera_repository import CameraRepository, WrittenCamera
from agegender.services.sink.config import SinkSettings
from agegender.services.sink.merging import AboutCamera, merge, time_out, track_ids_of
from agegender.services.sink.newest_frame import NewestFrame
from agegender.services.sink.silence_timeout import SilenceTimeout
from agegender.services.sink.store_size import StoreSize
from agegender.shared.messages.pipeline import Preview, Result, Stored, age_band
from agegender.shared.models import gender_threshold
from agegender.shared.process.metrics import Metrics
from agegender.shared.store import (
    CAMERAS_KEY,
    SCHEMA_KEY,
    CameraKeys,
    redis_errors_sorted,
    refuse_cluster,
    server_time_s,
)
from agegender.shared.store.counts import LONGEST_KEPT_S
from agegender.shared.store.schema import SCHEMA, check_schema, claim_schema

_SWEPT_AT_ONCE = 200
_PREVIEW_S = 10


class RedisStore:
    """An output that is safe to repeat, also for several sinks at once.

    All messages of one camera in a batch are merged and written by one call of a script, which Redis runs as
    a whole or not at all. Merging the same message again changes nothing. A repeated result is detected by
    the id of its face, among the latest `SINK_REMEMBERED_FACES` of the camera.

    Every few seconds a write also closes the visits that have timed out.

    Args:
        clock: gives the time of a write; None: the clock of the Redis server.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: SinkSettings,
        metrics: Metrics,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._silence_timeout = SilenceTimeout(settings.silence_timeout_s)
        self._size = StoreSize(client, metrics)
        self._repository: CameraRepository | None = None
        self._has_claimed_schema = False
        self._shown: dict[str, NewestFrame] = {}

    def open(self) -> None:
        """Checks that Redis answers and holds keys of this version.

        Raises:
            NotNow: Redis is away.
            SchemaMismatch: Redis holds keys of another version.
            SettingsError: the server belongs to a Redis Cluster.
            WeightsError: the calibration, which holds the threshold of gender, cannot be read.
        """
        gender_threshold()
        with redis_errors_sorted(self._client):
            refuse_cluster(self._client)
            check_schema(self._client)
        self._repository = CameraRepository(self._client, self._settings, self._clock)

    def write(self, messages: Sequence[Stored]) -> None:
        """Returns when Redis holds all messages."""
        if self._repository is None:
            raise RuntimeError("write before open")
        by_camera: dict[str, list[AboutCamera]] = defaultdict(list)
        for message in messages:
            if not isinstance(message, Preview):
                by_camera[message.camera_id].append(message)
        with redis_errors_sorted(self._client):
            self._size.measure()  # first, because a full store refuses the writes below
            if by_camera and not self._has_claimed_schema:
                claim_schema(self._client)
                self._has_claimed_schema = True
            for camera_id, some in by_camera.items():
                results = [one for one in some if isinstance(one, Result)]
                how = functools.partial(merge, some)
                written = self._repository.update(camera_id, track_ids_of(some), how, results)
                # Counted before anything else can fail, because the next try finds only repeats.
                self._count_results(results, written)
                self._count_visits(camera_id, written)
                self._list_camera(camera_id, written.now_s)
            self._show(one for one in messages if isinstance(one, Preview))
            now_s = time.monotonic() if self._clock is None else self._clock()
            if self._silence_timeout.claim_sweep(now_s):
                self._sweep(self._repository)

    def _show(self, previews: Iterable[Preview]) -> None:
        """Writes the newest preview of each camera, which expires in seconds."""
        newest: dict[str, Preview] = {}
        shown, now_s = dict(self._shown), time.monotonic()
        for one in previews:
            if shown.get(one.camera_id, NewestFrame()).is_before(one.info, now_s):
                newest[one.camera_id] = one
                shown[one.camera_id] = NewestFrame(one.info.stream_id, one.info.sequence, now_s)
        for camera_id, preview in newest.items():
            self._client.set(CameraKeys.of(camera_id).preview, preview.jpeg, ex=_PREVIEW_S)
        self._shown = shown

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _sweep(self, repository: CameraRepository) -> None:
        """Closes timed-out visits of all cameras, because the sink that wrote them may be gone."""
        now_s = server_time_s(self._client) if self._clock is None else self._clock()
        listed = self._client.zrangebyscore(CAMERAS_KEY, now_s - self._settings.ttl_s, "+inf")
        until_s = now_s - self._settings.silence_timeout_s
        cameras = [name.decode() for name in cast("list[bytes]", listed)]
        pipeline = self._client.pipeline(transaction=False)
        for camera_id in cameras:
            key = CameraKeys.of(camera_id).open
            pipeline.zrange(key, 0, _SWEPT_AT_ONCE - 1, withscores=True)
            pipeline.zcard(key)
        answers = pipeline.execute()
        for camera_id, heard, number in zip(cameras, answers[::2], answers[1::2], strict=True):
            surplus = [name.decode() for name, _ in heard[: max(0, number - self._settings.open_per_camera)]]
            expired = [name.decode() for name, heard_s in heard if heard_s <= until_s]
            names = list(dict.fromkeys([*expired, *surplus]))
            if names:
                how = functools.partial(time_out, names, until_s, surplus)
                self._count_visits(camera_id, repository.update(camera_id, names, how))

    def _count_results(self, results: Iterable[Result], written: WrittenCamera) -> None:
        for result, is_new, is_late in zip(results, written.new, written.change.late, strict=True):
            if not is_new:
                self._metrics.repeats.labels(result.camera_id).inc()
                continue
            self._metrics.results.labels(result.gender, _band(result)).inc()
            self._describe(result)
            if is_late:
                self._metrics.late.labels(result.camera_id).inc()

    def _describe(self, result: Result) -> None:
        if result.age_years is not None:
            self._metrics.ages.observe(result.age_years)
            self._metrics.confidence.labels(result.gender).observe(result.gender_confidence)
        if result.face.quality is not None:
            self._metrics.quality.observe(result.face.quality)

    def _count_visits(self, camera_id: str, written: WrittenCamera) -> None:
        for change in written.change.visits:
            if change.visit is None:
                continue
            if change.counted is None:
                self._metrics.visits.labels(camera_id).inc()
            if change.visit.closed is not None:
                self._metrics.visits_closed.labels(
                    change.visit.gender, change.visit.age_band, change.visit.closed
                ).inc()

    def _list_camera(self, camera_id: str, now_s: float) -> None:
        """Lists the camera for as long as its counts may be kept.

        This is not part of the script, because the key lies on another node of a cluster. The time is not by
        the camera's clock, which may be far behind.
        """
        pipeline = self._client.pipeline(transaction=False)
        # Again, as Redis may have lost all keys in a restart.
        pipeline.set(SCHEMA_KEY, SCHEMA, nx=True, ex=LONGEST_KEPT_S)
        pipeline.expire(SCHEMA_KEY, LONGEST_KEPT_S)
        pipeline.zadd(CAMERAS_KEY, {camera_id: now_s}, gt=True)
        pipeline.zremrangebyscore(CAMERAS_KEY, "-inf", now_s - LONGEST_KEPT_S)
        pipeline.expire(CAMERAS_KEY, LONGEST_KEPT_S)
        pipeline.execute()


def _band(result: Result) -> str:
    """The age band of the result, or why it is unclassified."""
    return age_band(result.age_years) if result.age_years is not None else str(result.unclassified)
