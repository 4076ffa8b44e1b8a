"""Follows the streams of closed visits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import redis

from agegender.shared.messages.visits import Visit
from agegender.shared.store.keys import VISIT_FIELD, CameraKeys

_BEGINNING = "0-0"
_LOOK_EVERY_S = 1.0  # for new cameras

StreamEntry = tuple[bytes, dict[bytes, bytes]]


def read_closed(
    client: redis.Redis,
    cameras: Callable[[], Sequence[str]],
    cursor: Mapping[str, str] | None,
    wait_s: float,
    limit: int,
) -> tuple[Sequence[Visit], Mapping[str, str]]:
    """See `ResultStore.closed`. While no visit comes, `cameras` is called about once a second."""
    if limit < 1:
        raise ValueError(f"limit: expected 1 or more, got {limit}")
    give_up_s = time.monotonic() + wait_s
    position = _ends(client, cameras()) if cursor is None else dict(cursor)
    while True:
        left_s = give_up_s - time.monotonic()
        found = _next(client, cameras(), position, min(left_s, _longest_wait_s(client)), limit)
        if found or left_s <= 0:
            break
    for _, camera_id, name, _ in found:
        position[camera_id] = name
    return [visit for *_, visit in found], position


def _next(
    client: redis.Redis,
    camera_ids: Sequence[str],
    position: Mapping[str, str],
    wait_s: float,
    limit: int,
) -> list[tuple[tuple[int, int], str, str, Visit]]:
    """For each visit: time and number of its entry, the camera, and the name of the entry; oldest first."""
    if not camera_ids:
        time.sleep(max(0.0, wait_s))
        return []
    streams = {CameraKeys.of(camera_id).closed: camera_id for camera_id in camera_ids}
    answer = client.xread(
        {key: position.get(camera_id, _BEGINNING) for key, camera_id in streams.items()},
        count=limit,
        block=max(1, int(wait_s * 1000)) if wait_s > 0 else None,
    )
    entries = [
        (_order(name), streams[key.decode()], name.decode(), fields)
        for key, found in cast("list[tuple[bytes, list[StreamEntry]]]", answer or [])
        for name, fields in found
    ]
    # All streams advance together, so that a busy camera does not delay the others.
    entries.sort(key=lambda entry: entry[:2])
    return [
        (order, camera_id, name, Visit.model_validate_json(fields[VISIT_FIELD]))
        for order, camera_id, name, fields in entries[:limit]
    ]


def _ends(client: redis.Redis, camera_ids: Sequence[str]) -> dict[str, str]:
    pipeline = client.pipeline(transaction=False)
    for camera_id in camera_ids:
        pipeline.xrevrange(CameraKeys.of(camera_id).closed, count=1)
    return {
        camera_id: found[0][0].decode() if found else _BEGINNING
        for camera_id, found in zip(camera_ids, pipeline.execute(), strict=True)
    }


def _order(name: bytes) -> tuple[int, int]:
    time_ms, number = name.split(b"-")
    return int(time_ms), int(number)


def _longest_wait_s(client: redis.Redis) -> float:
    """The server must answer before the connection times out."""
    timeout_s = client.get_connection_kwargs().get("socket_timeout")
    return _LOOK_EVERY_S if timeout_s is None else min(_LOOK_EVERY_S, timeout_s / 2)
