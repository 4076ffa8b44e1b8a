"""The persons of several cameras in one row, the newest first, read bit by bit."""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, cast

import redis

from agegender.shared.messages.visits import Visit
from agegender.shared.store.keys import CameraKeys

ReadVisits = Callable[[str, Sequence[str]], Sequence[Visit | None]]

_READ_FIRST = 25
_READ_AT_ONCE = 400


class Place(NamedTuple):
    """Where a person stands in the row: a greater place comes first."""

    first_seen_s: float
    camera_id: str
    track_id: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Place:
        """The place that became `text`; raises ValueError for anything else."""
        try:
            first_seen_s, camera_id, track_id = json.loads(
                base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            )
            return cls(float(first_seen_s), str(camera_id), str(track_id))
        except (ValueError, TypeError):
            raise ValueError(f"before: expected the `next` of an earlier page, got {text!r}") from None


def newest_visits(
    client: redis.Redis,
    camera_ids: Iterable[str],
    since_s: float | None,
    until_s: float | None,
    start: Place | None,
    read: ReadVisits,
) -> Iterator[tuple[Place, Visit]]:
    """Persons first seen in [since_s, until_s) who come after `start`, with their places.

    Args:
        read: the records of some persons of a camera; None for one that is gone.
    """
    rows = [_of_camera(client, camera_id, since_s, until_s, start, read) for camera_id in camera_ids]
    return heapq.merge(*rows, key=lambda found: found[0], reverse=True)


def _of_camera(
    client: redis.Redis,
    camera_id: str,
    since_s: float | None,
    until_s: float | None,
    start: Place | None,
    read: ReadVisits,
) -> Iterator[tuple[Place, Visit]]:
    latest = "+inf" if until_s is None else f"({until_s!r}"
    if start is not None and (until_s is None or start.first_seen_s < until_s):
        latest = repr(start.first_seen_s)
    offset, number = 0, _READ_FIRST
    while True:
        entries = cast(
            "list[tuple[bytes, float]]",
            client.zrevrangebyscore(
                CameraKeys.of(camera_id).visits,
                latest,
                "-inf" if since_s is None else repr(since_s),
                start=offset,
                num=number,
                withscores=True,
            ),
        )
        places = [Place(first_seen_s, camera_id, name.decode()) for name, first_seen_s in entries]
        # Whoever came meanwhile has pushed the row on: those already read are not read again.
        places = [place for place in places if start is None or place < start]
        for place, visit in zip(places, read(camera_id, [p.track_id for p in places]), strict=True):
            if visit is not None:
                yield place, visit
        if len(entries) < number:
            return
        start = places[-1] if places else start
        # Of most cameras only the first few are wanted; who wants more is likely to want many.
        offset, number = offset + number, min(4 * number, _READ_AT_ONCE)
