"""The visits of several cameras in one list, the newest first, read in small parts."""

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


class PagePosition(NamedTuple):
    """The position of a visit in the list; a greater one comes first."""

    first_seen_s: float
    camera_id: str
    track_id: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> PagePosition:
        """The position that became `text`; raises ValueError for any other text."""
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
    start: PagePosition | None,
    read: ReadVisits,
) -> Iterator[tuple[PagePosition, Visit]]:
    """Visits first seen in [since_s, until_s) that follow `start`, with their positions.

    Args:
        read: gives visits of a camera by track id; None for an expired one.
    """
    rows = [_of_camera(client, camera_id, since_s, until_s, start, read) for camera_id in camera_ids]
    return heapq.merge(*rows, key=lambda found: found[0], reverse=True)


def _of_camera(
    client: redis.Redis,
    camera_id: str,
    since_s: float | None,
    until_s: float | None,
    start: PagePosition | None,
    read: ReadVisits,
) -> Iterator[tuple[PagePosition, Visit]]:
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
        positions = [PagePosition(first_seen_s, camera_id, name.decode()) for name, first_seen_s in entries]
        # New visits have moved the offset: skip those that were read before.
        positions = [position for position in positions if start is None or position < start]
        for position, visit in zip(positions, read(camera_id, [p.track_id for p in positions]), strict=True):
            if visit is not None:
                yield position, visit
        if len(entries) < number:
            return
        start = positions[-1] if positions else start
        # Most cameras need only the first few. A second read is likely to need many more.
        offset, number = offset + number, min(4 * number, _READ_AT_ONCE)
