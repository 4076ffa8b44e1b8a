"""From what was read to the numbers of each camera. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agegender.commands.audit.counters import BUFFERED, CAPTURED, DROPPED, RECEIVED, SENT, SKIPPED, Counters
from agegender.commands.audit.deleted import DeletedFrames, counted_as_deleted, without_deleted
from agegender.commands.audit.evidence import Evidence, Glance, Item, StoreView, TopicView
from agegender.commands.audit.reconciliation import Arrival, CameraCounts, Captured, Flow, StoredFaces

_SERVICES = ("detect", "classify", "sink")
_IN_HAND = 2  # a worker has of a camera one picture waiting to be taken and one being made into a frame
_FORGETS_FROM = 1_000  # the least number of faces that a sink can be told to remember
_APART_S = 5.0  # how far the clocks of two workers may be apart, and their messages out of order


@dataclass(frozen=True)
class CountedCameras:
    """The numbers of all cameras, and what could not be compared."""

    cameras: Sequence[CameraCounts]
    notes: Sequence[str] = ()
    deleted_unread: Mapping[str, int] = field(default_factory=dict)
    """Service → messages of unknown cameras that Kafka deleted before the service had read them."""


def count_all(evidence: Evidence) -> CountedCameras:
    """The numbers of every camera that is in the counters, in a topic or in the store's recent results."""
    topics = (evidence.frames, evidence.faces, evidence.results)
    named = {item.camera_id for topic in topics for item in topic.items if item.camera_id is not None}
    deleted = DeletedFrames(evidence.frames)
    cameras = [_count(evidence, camera, deleted) for camera in sorted(named | evidence.counters.cameras)]
    unread = {
        service: sum(view.deleted_unread_by_partition.values())
        for service, view in (("classify", evidence.faces), ("sink", evidence.results))
    }
    return CountedCameras(
        cameras,
        [*_notes(evidence, [one.camera_id for one in cameras]), *_notes_of_deleted(cameras)],
        {"detect": deleted.unread_left, **unread},
    )


def captured(counters: Counters, camera_id: str) -> Captured | None:
    """What ingest counted of a camera; None where no worker that answered has captured it."""
    workers = [worker for worker in counters.workers if worker.values(CAPTURED, camera=camera_id)]
    if not workers:
        return None
    return Captured(
        counters.total(CAPTURED, camera=camera_id),
        counters.total(SENT, service="ingest", camera=camera_id),
        counters.by_label(DROPPED, "reason", service="ingest", camera=camera_id),
        _IN_HAND * len(workers) + counters.total(BUFFERED, camera=camera_id),
    )


def _count(evidence: Evidence, camera_id: str, deleted: DeletedFrames) -> CameraCounts:
    counters = evidence.counters
    frames, faces, results = (
        _of_camera(topic, camera_id) for topic in (evidence.frames, evidence.faces, evidence.results)
    )
    store = evidence.stored.get(camera_id, StoreView())
    processed, source = _processed(evidence, frames, camera_id)
    detects = bool(counters.of("detect"))
    unread = {
        service: counted_as_deleted(counters, service, camera_id)
        for service in _SERVICES
        if _counts_only_this_window(evidence, service)
    }
    arrival = _arrival(evidence, frames, camera_id)
    if arrival is not None:
        arrival = _with_deleted(evidence, arrival, frames, camera_id, deleted)
        unread["detect"] = max(arrival.deleted_unread, unread.get("detect", 0))
    return CameraCounts(
        camera_id,
        captured(counters, camera_id),
        arrival,
        processed,
        counters.total(SENT, service="detect", camera=camera_id, kind="face") if detects else None,
        counters.by_label(SKIPPED, "reason", camera=camera_id),
        _flow(faces, {item.item_id for item in results.items}, orphans=_orphans(faces, frames)),
        _result_flow(results, store, orphans=_orphans(results, faces)),
        _stored(results, store),
        source,
        {service: number for service, number in unread.items() if number},
    )


def _with_deleted(
    evidence: Evidence, arrival: Arrival, frames: TopicView, camera_id: str, deleted: DeletedFrames
) -> Arrival:
    """What is missing in the topic, as far as Kafka has deleted it."""
    missing = max(0, arrival.published - arrival.in_topic)
    partitions = deleted.partitions_of(frames)
    told = counted_as_deleted(evidence.counters, "detect", camera_id)
    unread = min(missing, told + deleted.take_unread(partitions, max(0, missing - told)))
    since_s = evidence.counters.captured_since_s(camera_id) or evidence.since_s
    read = deleted.take_read(partitions, missing - unread, since_s)
    return replace(
        arrival,
        deleted_unread=unread,
        deleted_read=read,
        knows_reads=_knows_since(evidence.counters, since_s),
    )


def _knows_since(counters: Counters, since_s: float) -> bool:
    """Whether the counters of detect reach back to that time. Prometheus knows those of ended workers."""
    if any(worker.ended for worker in counters.workers):
        return True
    return (counters.complete_since_s("detect") or since_s) <= since_s + _APART_S


def _of_camera(topic: TopicView, camera_id: str) -> TopicView:
    items = [item for item in topic.items if item.camera_id == camera_id]
    return TopicView(items, topic.committed, topic.dead, topic.begins, topic.whole)


def _arrival(evidence: Evidence, frames: TopicView, camera_id: str) -> Arrival | None:
    """None where the window does not reach back to the first frame that is counted."""
    since_s = evidence.counters.captured_since_s(camera_id)
    if since_s is None or since_s < evidence.since_s:
        return None
    # By either clock, as what is forged may tell any time.
    items = [item for item in frames.items if item.made_at_s >= since_s or item.appended_at_s >= since_s]
    arrivals = [_arrival_at(glance, items, camera_id) for glance in evidence.glances]
    return min(arrivals, key=lambda one: one[0], default=(0, None))[1]


def _arrival_at(glance: Glance, items: Sequence[Item], camera_id: str) -> tuple[int, Arrival]:
    """With how many frames came while ingest was asked; any number between is what was there then."""
    least = len(_ids(item for item in items if _is_before(item, glance.before)))
    most = len(_ids(item for item in items if _is_before(item, glance.after)))
    published = glance.counters.total(SENT, service="ingest", camera=camera_id)
    unsure = glance.counters.unsure(SENT, service="ingest", camera=camera_id)
    # What a worker had to give up when it ended was on its way to the topic, and may have arrived.
    unsure += glance.counters.total(DROPPED, service="ingest", camera=camera_id, reason="stopped")
    return most - least, Arrival(published, min(max(published, least - unsure), most))


def _processed(evidence: Evidence, frames: TopicView, camera_id: str) -> tuple[Flow, str]:
    """Frames without a face leave no trace: that they were processed, only the counters confirm."""
    waiting = [item for item in frames.items if frames.is_waiting(item)]
    taken = [item for item in frames.items if not frames.is_waiting(item)]
    dead = [item for item in taken if frames.is_dead(item)]
    since_s = evidence.counters.complete_since_s("detect")
    unconfirmed, source = 0, "offsets of detect"
    if since_s is not None and camera_id in evidence.counters.cameras_of("detect"):
        first_s = min((item.appended_at_s for item in frames.items), default=since_s)
        since_s = -1.0 if since_s < first_s else since_s + _APART_S
        expected = [item for item in taken if item.item_id is not None and item.appended_at_s >= since_s]
        received = evidence.counters.total(RECEIVED, service="detect", camera=camera_id, kind="frame")
        received += evidence.counters.unsure(RECEIVED, service="detect", camera=camera_id, kind="frame")
        unconfirmed, source = max(0, len(expected) - received), "offsets and metrics of detect"
    done = max(0, len(taken) - len(dead) - unconfirmed)
    dropped = _dropped(evidence, frames, camera_id, done)
    repeats = len([one for one in frames.items if one.item_id is not None]) - len(_ids(frames.items))
    looked_at = done - sum(dropped.values())
    flow = Flow(len(frames.items), looked_at, len(waiting), len(dead), repeats=repeats, dropped=dropped)
    return flow, source


def _dropped(evidence: Evidence, frames: TopicView, camera_id: str, most: int) -> Mapping[str, int]:
    """What detect dropped of these frames, by reason; nothing where it also counts what was before them."""
    if not frames.whole and not _counts_only_this_window(evidence):
        return {}
    left, found = most, {}
    for reason, number in sorted(_dropped_by_detect(evidence.counters, camera_id).items()):
        found[reason] = min(number, left)
        left -= found[reason]
    return found


def _dropped_by_detect(counters: Counters, camera_id: str) -> Mapping[str, int]:
    return without_deleted(counters.by_label(DROPPED, "reason", service="detect", camera=camera_id))


def _counts_only_this_window(evidence: Evidence, service: str = "detect") -> bool:
    starts = [worker.started_at_s for worker in evidence.counters.of(service)]
    return all(start_s is not None and start_s >= evidence.since_s for start_s in starts)


def _flow(
    topic: TopicView,
    done_ids: Collection[str | None],
    *,
    orphans: int,
    forgotten: Callable[[Sequence[str]], int] = lambda _: 0,
) -> Flow:
    """What became of the messages of a topic, each counted once however often it came.

    Args:
        forgotten: how many of the ids that are nowhere the other side cannot know any more.
    """
    items: dict[str, list[Item]] = {}
    unreadable: list[Item] = []
    for item in topic.items:
        if item.item_id is None:
            unreadable.append(item)
        else:
            items.setdefault(item.item_id, []).append(item)
    done = [one for one in items if one in done_ids]
    left = {one: copies for one, copies in items.items() if one not in done_ids}
    dead = [one for one, copies in left.items() if any(topic.is_dead(copy) for copy in copies)]
    waiting = [
        one
        for one, copies in left.items()
        if one not in set(dead) and any(topic.is_waiting(copy) for copy in copies)
    ]
    nowhere = [one for one in left if one not in {*dead, *waiting}]
    return Flow(
        sent=len(items) + len(unreadable),
        done=len(done),
        waiting=len(waiting) + sum(topic.is_waiting(one) for one in unreadable),
        dead=len(dead) + sum(topic.is_dead(one) and not topic.is_waiting(one) for one in unreadable),
        forgotten=forgotten(nowhere),
        orphans=orphans,
        repeats=len(topic.items) - len(items) - len(unreadable),
    )


def _result_flow(results: TopicView, store: StoreView, *, orphans: int) -> Flow:
    known = store.remembered | store.listed.keys()
    if len(store.remembered) < _FORGETS_FROM:
        return _flow(results, known, orphans=orphans)
    order = [item.item_id for item in results.items if item.item_id is not None]
    first = next((index for index, one in enumerate(order) if one in known), len(order))
    too_old = set(order[:first])
    return _flow(
        results, known, orphans=orphans, forgotten=lambda nowhere: sum(one in too_old for one in nowhere)
    )


def _stored(results: TopicView, store: StoreView) -> StoredFaces:
    """Compares from the first result on that is in the list: what came before it was cut off the list."""
    written = list(dict.fromkeys(i.item_id for i in results.items if i.item_id in store.remembered))
    first = next((index for index, one in enumerate(written) if one in store.listed), len(written))
    since = written[first:]
    sent_ids = {item.item_id for item in results.items}
    since_s = _known_since_s(results)
    orphans = [one for one, made_s in store.listed.items() if made_s >= since_s and one not in sent_ids]
    return StoredFaces(len(since), sum(one in store.listed for one in since), len(orphans))


def _orphans(topic: TopicView, parents: TopicView) -> int:
    known, since_s = _ids(parents.items), _known_since_s(parents)
    orphans = [
        item
        for item in topic.items
        if item.parent_id not in known
        and item.parent_made_at_s >= since_s
        and (parents.whole or not _is_from_the_future(item))
    ]
    return len(_ids(orphans))


def _is_from_the_future(item: Item) -> bool:
    """Whether its parent claims to be made after it: a clock was wrong, so the times tell nothing."""
    return item.parent_made_at_s > item.appended_at_s + _APART_S


def _known_since_s(topic: TopicView) -> float:
    """All messages of the topic that were made since then are known."""
    if topic.whole:
        return 0.0
    return min((item.made_at_s for item in topic.items if item.item_id is not None), default=1e12) + _APART_S


def _is_before(item: Item, ends: Mapping[int, int]) -> bool:
    return item.position.offset < ends.get(item.position.partition, 0)


def _ids(items: Iterable[Item]) -> set[str]:
    return {item.item_id for item in items if item.item_id is not None}


def _notes_of_deleted(cameras: Iterable[CameraCounts]) -> Iterable[str]:
    return (
        f"Camera {one.camera_id}: Kafka has deleted {one.arrival.deleted_read} frames. Whether detect had "
        "read them is not known, because a worker of detect started later."
        for one in cameras
        if one.arrival is not None and one.arrival.deleted_read and not one.arrival.knows_reads
    )


def _notes(evidence: Evidence, cameras: Sequence[str]) -> Sequence[str]:
    counters = evidence.counters
    notes = [
        f"No worker of {service} was asked or answered: {what}."
        for service, what in (
            ("ingest", "what was captured and dropped is not known"),
            ("detect", "that frames were processed is known by its offsets alone"),
        )
        if not counters.of(service)
    ]
    for camera in cameras:
        since_s = counters.captured_since_s(camera)
        if since_s is not None and since_s < evidence.since_s:
            notes.append(
                f"Camera {camera}: ingest counts since before this window, so what it published is not "
                "compared with the topic."
            )
        dropped = sum(_dropped_by_detect(counters, camera).values())
        if dropped and not evidence.frames.whole and not _counts_only_this_window(evidence):
            notes.append(
                f"Camera {camera}: detect has dropped {dropped} frames since before this window; those of "
                "this window are among what it processed."
            )
        for service in _SERVICES:
            missed = counted_as_deleted(counters, service, camera)
            if missed and not _counts_only_this_window(evidence, service):
                notes.append(
                    f"Camera {camera}: Kafka has deleted {missed} messages before {service} had read them, "
                    "since before this window."
                )
    return notes
