"""What the sink leaves in Redis, and how to read it back.

For each camera, all under one hash tag so that they live on one node of a cluster:

    agegender:{CAMERA}:latest    hash     the newest frame with faces: `stream`, `sequence`, `captured_at_s`,
                                          `faces_in_frame`, and `face:0`, `face:1`, … each a result as JSON
    agegender:{CAMERA}:results   stream   results as they came, each one JSON field `result`; bounded length
    agegender:{CAMERA}:seen      zset     ids of the last faces written, so that a repeat changes nothing

    agegender:cameras            zset     camera ids by the time when their last result was written

Everything expires some time after the last result. No pictures are stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.errors import NotNow, SettingsError
from shared.messages import Result
from shared.redis_login import login_settings, refusal
from shared.secrets import mask, remember_secret
from shared.settings import RedisSettings

CAMERAS_KEY = "agegender:cameras"
RESULT_FIELD = b"result"
FACE_FIELD = "face:"


@dataclass(frozen=True)
class CameraKeys:
    """The keys of one camera."""

    latest: str
    results: str
    seen: str

    @classmethod
    def of(cls, camera_id: str) -> CameraKeys:
        """The keys of `camera_id`."""
        base = f"agegender:{{{camera_id}}}"
        return cls(f"{base}:latest", f"{base}:results", f"{base}:seen")


@dataclass(frozen=True)
class StoredResult:
    """A result as read from the stream."""

    result: Result
    written_at_s: float
    """When Redis took it, by the clock of its server, seconds since 1970."""

    @property
    def delay_s(self) -> float:
        """From the capture of the picture until the result could be queried."""
        return self.written_at_s - self.result.captured_at_s


# The server is away, starting, full or handing over: tried again. Everything else is a mistake of ours.
_UNAVAILABLE: tuple[type[RedisError], ...] = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ClusterDownError,
)
# The same, in answers that have no class: it cannot save, or too few replicas listen.
_UNAVAILABLE_WORDS = ("MISCONF", "NOREPLICAS")


def connect(settings: RedisSettings) -> redis.Redis:
    """A client for these settings. Connects at its first command.

    Raises:
        SettingsError: REDIS_URL is no URL of Redis; the text does not repeat it, as it may hold a password.
    """
    try:
        client = redis.Redis.from_url(
            settings.address,
            socket_timeout=settings.timeout_s,
            socket_connect_timeout=settings.timeout_s,
            # The runner waits and tries again, and says so; the client would do it in silence.
            retry=Retry(NoBackoff(), 0),
            **login_settings(settings),
        )
    except ValueError as error:
        raise SettingsError(mask(f"REDIS_URL: {error}")) from None
    password = client.get_connection_kwargs().get("password")
    if password:
        remember_secret(password)
    return client


@contextlib.contextmanager
def redis_errors_sorted() -> Iterator[None]:
    """Inside the block, an error of a Redis that may recover becomes NotNow, without passwords."""
    try:
        yield
    except RedisError as error:
        text = str(error)
        is_away = isinstance(error, _UNAVAILABLE) or any(word in text for word in _UNAVAILABLE_WORDS)
        if is_away or isinstance(error, redis.exceptions.NoPermissionError):
            raise NotNow(mask(f"Redis: {refusal(error) or text}")) from None
        raise


class ResultStore:
    """Reads results. Every call may raise NotNow while Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def cameras(self) -> Sequence[str]:
        """The cameras that have results, the one with the newest first."""
        with redis_errors_sorted():
            found = cast("list[bytes]", self._client.zrevrange(CAMERAS_KEY, 0, -1))
        return [camera.decode() for camera in found]

    def results(self, camera_id: str, limit: int = 100) -> Sequence[StoredResult]:
        """The newest results of a camera, in the order they were written; empty when none is left."""
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

    def latest(self, camera_id: str) -> Sequence[Result]:
        """The faces of the camera's newest frame with faces, from the left; empty when none is left."""
        with redis_errors_sorted():
            fields = cast("Mapping[bytes, bytes]", self._client.hgetall(CameraKeys.of(camera_id).latest))
        faces = [
            Result.model_validate_json(value)
            for name, value in fields.items()
            if name.startswith(FACE_FIELD.encode())
        ]
        return sorted(faces, key=lambda result: result.face.index)
