"""What the routes and the watcher read alike."""

from __future__ import annotations

from collections.abc import Collection

from agegender.services.api.answers import CameraAnswer, VisitAnswer
from agegender.shared.store import ResultStore


def previews_of(store: ResultStore) -> frozenset[str]:
    """The cameras that have a preview now."""
    ids = [camera.camera_id for camera in store.cameras()]
    return frozenset(one for one in ids if store.preview(one) is not None)


def cameras_now(store: ResultStore, now_s: float, previews: Collection[str]) -> list[CameraAnswer]:
    """All cameras as they are at `now_s`; `previews` are those that have one."""
    return [CameraAnswer.of(one, now_s, has_preview=one.camera_id in previews) for one in store.cameras()]


def visits_now(store: ResultStore, camera_ids: list[str] | None = None) -> list[VisitAnswer]:
    """Who is there now, before some cameras or all."""
    return [VisitAnswer.of(one) for one in store.now(camera_ids)]
