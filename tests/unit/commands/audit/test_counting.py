"""From what lies in topics and store to numbers: repeats are none too many, what is old is not missed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from agegender.commands.audit.counters import (
    BUFFERED,
    CAPTURED,
    CAPTURED_SINCE,
    DROPPED,
    READY,
    RECEIVED,
    SENT,
    STARTED,
    Counters,
    Sample,
    Worker,
)
from agegender.commands.audit.counting import CountedCameras, count_all
from agegender.commands.audit.evidence import Evidence, Glance, Item, StoreView, TopicView
from agegender.commands.audit.reconciliation import CameraCounts, balances, sentences
from agegender.commands.audit.report import Report
from agegender.commands.dead_letters.letters import MessagePosition

NO_WORKERS = Counters([])
START_S = 1_000.0
"""When the window of the audit begins; everything in it happens from 1,010 s on."""


def item(
    item_id: str | None,
    offset: int,
    *,
    parent: str | None = None,
    made_s: float = 1_100.0,
    at_s: float = 1_100.0,
) -> Item:
    return Item("door", item_id, made_s, parent, made_s - 1, MessagePosition("topic", 0, offset), at_s)


def topic(
    items: Iterable[Item], done: int = 1_000, dead: Iterable[int] = (), *, unread: int = 0, whole: bool = True
) -> TopicView:
    """A topic whose first `done` messages are worked off."""
    return TopicView(
        list(items),
        {0: done},
        frozenset(MessagePosition("topic", 0, one) for one in dead),
        {0: done + unread} if unread else {},
        whole=whole,
    )


EMPTY = topic(())


def frames(number: int, first: int = 0) -> list[Item]:
    return [item(f"f{n}", n, made_s=1_100.0 + n) for n in range(first, first + number)]


def children(ids: Iterable[str], of: str) -> list[Item]:
    return [item(one, n, parent=of, made_s=1_200.0 + n) for n, one in enumerate(ids)]


def counted(
    seen: TopicView = EMPTY,
    faces: TopicView = EMPTY,
    results: TopicView = EMPTY,
    stored: StoreView | None = None,
    counters: Counters = NO_WORKERS,
    glances: Iterable[Glance] = (),
) -> CountedCameras:
    held = {} if stored is None else {"door": stored}
    return count_all(Evidence(START_S, counters, seen, faces, results, held, (), list(glances)))


def of_door(counts: CountedCameras) -> CameraCounts:
    (one,) = counts.cameras
    return one


def said(counts: CountedCameras) -> list[str]:
    return list(Report.of(counts).differences)


def detect(received: int, started_s: float = 900.0) -> Worker:
    labels = {"service": "detect", "camera": "door", "kind": "frame"}
    return Worker(
        "detect:9102",
        [
            Sample(READY, {"service": "detect"}, 1),
            Sample(STARTED, {}, started_s),
            Sample(RECEIVED, labels, received),
        ],
    )


def ingest(published: int, since_s: float = 1_050.0) -> Counters:
    labels = {"service": "ingest", "camera": "door", "kind": "frame"}
    worker = Worker(
        "ingest:9101",
        [
            Sample(READY, {"service": "ingest"}, 1),
            Sample(CAPTURED, {"camera": "door"}, published),
            Sample(CAPTURED_SINCE, {"camera": "door"}, since_s),
            Sample(SENT, labels, published),
        ],
    )
    return Counters([worker])


def glance(counters: Counters, before: int, after: int) -> Glance:
    return Glance({0: before}, counters, {0: after})


def test_a_face_that_comes_again_is_a_repeat_and_no_difference() -> None:
    faces = topic([*children(["a", "b"], "f0"), item("a", 2, parent="f0")])
    results = topic([item("a", 0, parent="a"), item("b", 1, parent="b"), item("a", 2, parent="a")])
    counts = counted(
        topic(frames(1)), faces, results, StoreView(frozenset("ab"), {"a": 1_201.0, "b": 1_201.0})
    )
    assert said(counts) == []
    one = of_door(counts)
    assert one.faces is not None
    assert one.results is not None
    assert (one.faces.sent, one.faces.done, one.faces.repeats) == (2, 2, 1)
    assert (one.results.sent, one.results.done, one.results.repeats) == (2, 2, 1)


def test_a_replayed_face_counts_as_classified() -> None:
    faces = topic([item("a", 0, parent="f0"), item("a", 1, parent="f0")], dead=[0])
    one = of_door(counted(topic(frames(1)), faces, topic([item("a", 0, parent="a")], done=0)))
    assert one.faces is not None
    assert (one.faces.done, one.faces.dead, one.faces.waiting) == (1, 0, 0)


def test_a_face_that_was_given_up_and_waits_again_counts_once() -> None:
    faces = topic([item("a", 0, parent="f0"), item("a", 1, parent="f0")], done=1, dead=[0])
    assert said(counted(topic(frames(1)), faces)) == []


def test_faces_wait_are_given_up_or_are_missed() -> None:
    counts = counted(topic(frames(1)), topic(children("abcd", "f0"), done=3, dead=[0]))
    one = of_door(counts)
    assert one.faces is not None
    assert (one.faces.sent, one.faces.dead, one.faces.waiting) == (4, 1, 1)
    assert said(counts) == ["2 faces of camera door were sent and neither classified nor waiting"]


def test_the_key_of_an_unreadable_message_names_its_camera() -> None:
    garbage = item(None, 2)
    counts = counted(topic([*frames(2), garbage], dead=[2]), counters=Counters([detect(2)]))
    one = of_door(counts)
    assert one.frames is not None
    assert (one.frames.sent, one.frames.done, one.frames.dead) == (3, 2, 1)
    assert said(counts) == []


def test_frames_that_detect_did_not_count_are_named() -> None:
    counts = counted(topic(frames(10), done=9), counters=Counters([detect(6)]))
    assert said(counts) == ["3 frames of camera door were published and neither processed nor waiting"]


def test_frames_that_came_again_to_detect_are_not_too_many() -> None:
    assert said(counted(topic(frames(10)), counters=Counters([detect(14)]))) == []


def test_what_a_worker_that_is_gone_had_processed_is_believed() -> None:
    started_anew = Counters([detect(3, started_s=1_107.0)])
    processed = [item(f"f{n}", n, at_s=1_100.0 + n) for n in range(15)]
    assert said(counted(topic(processed), counters=started_anew)) == []
    assert said(counted(topic(processed), counters=Counters([detect(2, started_s=1_107.0)]))) == [
        "1 frame of camera door was published and neither processed nor waiting"
    ]


def dropping(received: int, stale: int, started_s: float) -> Counters:
    worker = detect(received, started_s)
    labels = {"service": "detect", "camera": "door", "reason": "stale"}
    return Counters([replace(worker, samples=[*worker.samples, Sample(DROPPED, labels, stale)])])


@pytest.mark.parametrize(("started_s", "whole"), [(1_001.0, False), (900.0, True)])
def test_frames_dropped_by_detect_are_counted_separately(started_s: float, whole: bool) -> None:
    counts = counted(topic(frames(10), done=9, whole=whole), counters=dropping(9, 4, started_s))
    one = of_door(counts)
    assert one.frames is not None
    assert (one.frames.done, one.frames.dropped, one.frames.waiting) == (5, {"stale": 4}, 1)
    assert said(counts) == []


def test_drops_from_before_the_window_are_only_noted() -> None:
    counts = counted(topic(frames(10), whole=False), counters=dropping(5_000, 3_000, 900.0))
    one = of_door(counts)
    assert one.frames is not None
    assert (one.frames.done, one.frames.dropped) == (10, {})
    assert [note for note in counts.notes if "detect has dropped 3000 frames" in note]


def test_frames_that_came_again_make_no_more_drops_than_frames() -> None:
    one = of_door(counted(topic(frames(3)), counters=dropping(9, 9, 1_001.0)))
    assert one.frames is not None
    assert (one.frames.done, one.frames.dropped) == (0, {"stale": 3})


def test_what_waits_for_kafka_in_ingest_is_in_hand() -> None:
    worker = ingest(0).workers[0]
    samples = [one for one in worker.samples if one.name not in (CAPTURED, SENT)]
    samples += [Sample(CAPTURED, {"camera": "door"}, 60), Sample(BUFFERED, {"camera": "door"}, 50)]
    samples += [Sample(SENT, {"service": "ingest", "camera": "door", "kind": "frame"}, 9)]
    counts = counted(counters=Counters([replace(worker, samples=samples)]))
    one = of_door(counts)
    assert one.captured is not None
    assert one.captured.in_hand == 51
    assert said(counts) == []


@pytest.mark.parametrize(("stopped", "arrived", "says"), [(3, 12, 0), (1, 12, 1), (3, 10, 0)])
def test_frames_given_up_at_a_stop_may_have_arrived(stopped: int, arrived: int, says: int) -> None:
    worker = ingest(10).workers[0]
    labels = {"service": "ingest", "camera": "door", "reason": "stopped"}
    samples = [one for one in worker.samples if one.name != CAPTURED]
    samples += [Sample(CAPTURED, {"camera": "door"}, 10 + stopped), Sample(DROPPED, labels, stopped)]
    counters = Counters([replace(worker, samples=samples)])
    seen = glance(counters, arrived, arrived)
    assert len(said(counted(topic(frames(arrived)), counters=counters, glances=[seen]))) == says


@pytest.mark.parametrize(
    ("published", "says"),
    [
        (7, []),
        (8, ["1 frame of camera door was published and never reached the topic"]),
        (5, ["2 frames of camera door were found in the topic and counted by no worker that was asked"]),
    ],
)
def test_what_ingest_has_published_is_compared_with_the_topic(published: int, says: list[str]) -> None:
    counters = ingest(published)
    assert said(counted(topic(frames(7)), counters=counters, glances=[glance(counters, 7, 7)])) == says


def test_frames_after_the_last_scrape_are_no_difference() -> None:
    (now,) = ingest(5).workers
    labels = {"service": "ingest", "camera": "door", "kind": "frame"}
    heard = [Sample(CAPTURED, {"camera": "door"}, 2, unsure=3), Sample(SENT, labels, 2, unsure=3)]
    ended = Worker("ingest:9101", heard, ended=True)
    counters = Counters([now, ended])
    for number, says in ((7, 0), (10, 0), (11, 1), (6, 1)):
        counts = counted(topic(frames(number)), counters=counters, glances=[glance(counters, 99, 99)])
        assert len(said(counts)) == says, number


def test_the_glance_in_which_the_fewest_frames_came_is_believed() -> None:
    counters = ingest(5)
    glances = [glance(counters, 4, 7), glance(counters, 6, 6), glance(counters, 5, 7)]
    assert said(counted(topic(frames(7)), counters=counters, glances=glances)) == [
        "1 frame of camera door was found in the topic and counted by no worker that was asked"
    ]


def test_frames_of_earlier_workers_are_not_compared() -> None:
    counters = ingest(2)
    before = [item(f"old{n}", n, made_s=1_020.0, at_s=1_020.0) for n in range(3)]
    seen = topic([*before, *frames(2, first=3)])
    assert said(counted(seen, counters=counters, glances=[glance(counters, 9, 9)])) == []
    forged = item("forged", 5, made_s=17.0, at_s=1_200.0)
    seen = topic([*before, *frames(2, first=3), forged])
    assert len(said(counted(seen, counters=counters, glances=[glance(counters, 9, 9)]))) == 1


def test_counters_from_before_the_window_are_only_noted() -> None:
    counters = ingest(500, since_s=START_S - 1)
    counts = counted(topic(frames(7)), counters=counters, glances=[glance(counters, 7, 7)])
    assert said(counts) == []
    assert any("Camera door: ingest counts since before this window" in note for note in counts.notes)


def test_outputs_of_inputs_that_never_existed_are_reported() -> None:
    faces = topic([*children("a", "f0"), *[item("x", 1, parent="nothing")]])
    results = topic([item("a", 0, parent="a"), item("x", 1, parent="x"), item("y", 2, parent="y")])
    held = StoreView(frozenset("axy"), dict.fromkeys("axyz", 1_300.0))
    assert said(counted(topic(frames(1)), faces, results, held)) == [
        "1 face of camera door was found in no published frame",
        "1 result of camera door was made of no face that was sent",
        "1 result of camera door was put into the store and never sent",
    ]


def test_outputs_of_inputs_before_the_window_are_no_difference() -> None:
    cut = topic(frames(3), whole=False)
    faces = topic([item("old", 0, parent="gone", made_s=1_102.0), *children("a", "f0")], whole=False)
    results = topic([item("older", 0, parent="older", made_s=1_103.0)], whole=False)
    held = StoreView(frozenset({"older", "oldest"}), {"oldest": 1_103.0, "older": 1_103.0})
    counts = of_door(counted(cut, faces, results, held))
    assert counts.faces is not None
    assert counts.results is not None
    assert counts.stored is not None
    assert (counts.faces.orphans, counts.results.orphans, counts.stored.orphans) == (0, 0, 0)


def results_of(ids: Iterable[str], done: int = 100_000) -> tuple[TopicView, TopicView]:
    """The faces and the results of these ids."""
    ids = list(ids)
    return topic(children(ids, "f0")), topic([item(one, n, parent=one) for n, one in enumerate(ids)], done)


def listed(ids: Iterable[str]) -> Mapping[str, float]:
    return dict.fromkeys(ids, 1_300.0)


def test_results_that_were_never_written_are_named() -> None:
    faces, results = results_of("abcd", done=3)
    held = StoreView(frozenset("ab"), listed("ab"))
    assert said(counted(topic(frames(1)), faces, results, held)) == [
        "1 result of camera door was sent and neither written nor waiting"
    ]


def test_a_store_that_was_emptied_is_named() -> None:
    faces, results = results_of("abcd")
    assert said(counted(topic(frames(1)), faces, results)) == [
        "4 results of camera door were sent and neither written nor waiting"
    ]


def test_only_results_removed_from_inside_the_list_are_missing() -> None:
    faces, results = results_of("abcdef")
    cut = StoreView(frozenset("abcdef"), listed("cdef"))
    assert said(counted(topic(frames(1)), faces, results, cut)) == []
    taken = StoreView(frozenset("abcdef"), listed("cdf"))
    assert said(counted(topic(frames(1)), faces, results, taken)) == [
        "1 result of camera door was written and taken out of the store since"
    ]


def test_results_that_the_sink_has_forgotten_are_not_missing() -> None:
    ids = [f"r{n}" for n in range(1_500)]
    faces, results = results_of(ids)
    results = topic(results.items, dead=[7])
    held = StoreView(frozenset(ids[400:]), listed(ids[400:]))
    counts = counted(topic(frames(1)), faces, results, held)
    one = of_door(counts)
    assert one.results is not None
    assert (one.results.done, one.results.dead, one.results.forgotten) == (1_100, 1, 399)
    assert said(counts) == []
    without_one = StoreView(held.remembered - {"r700"}, listed(set(ids[400:]) - {"r700"}))
    assert len(said(counted(topic(frames(1)), faces, results, without_one))) == 1


def test_messages_that_kafka_deleted_unread_are_named() -> None:
    assert said(counted(topic(frames(2), unread=5), counters=Counters([detect(2)]))) == [
        "5 messages were deleted by Kafka before detect had read them"
    ]


def deleting(begin: int, done: int, first_s: float = 1_100.0) -> TopicView:
    """Two frames are left behind `begin` frames that Kafka has deleted. Detect had read up to `done`."""
    left = [item(f"f{n}", n, made_s=first_s + n, at_s=first_s + n) for n in (begin, begin + 1)]
    return TopicView(left, {0: done}, begins={0: begin})


def told(published: int, begin: int, done: int, missed: int = 0) -> list[str]:
    """What the audit says of so many published frames, with `missed` in the counter of detect."""
    labels = {"service": "detect", "camera": "door", "reason": "deleted"}
    worker = detect(2, started_s=1_040.0)
    worker = replace(worker, samples=[*worker.samples, Sample(DROPPED, labels, missed)])
    counters = Counters([*ingest(published).workers, worker])
    return said(
        counted(
            deleting(begin, done),
            counters=counters,
            glances=[Glance({0: begin + 2}, counters, {0: begin + 2})],
        )
    )


def test_frames_deleted_unread_are_named_by_camera() -> None:
    before_detect_is_back = told(published=242, begin=240, done=100)
    assert before_detect_is_back == [
        "140 frames of camera door were deleted by Kafka before detect had read them"
    ]
    afterwards = told(published=242, begin=240, done=242, missed=140)
    assert afterwards == before_detect_is_back


def test_a_face_of_a_deleted_frame_is_known_by_a_wrong_clock() -> None:
    """The clock of ingest was an hour ahead. The frame is deleted, so nothing tells its true time."""
    left = topic(frames(2, first=8), whole=False)
    face = replace(item("a", 0, parent="f3", made_s=1_104.0), parent_made_at_s=1_103.0 + 3600.0)
    assert said(counted(left, topic([face], done=0))) == []
    strange = replace(face, parent_made_at_s=1_103.0 + 20.0, appended_at_s=1_124.0)
    assert said(counted(left, topic([strange], done=0))) == [
        "1 face of camera door was found in no published frame"
    ]


def test_what_a_worker_before_had_missed_is_not_known() -> None:
    counters = Counters([*ingest(242).workers, detect(2, started_s=1_090.0)])
    looks = [glance(counters, 242, 242)]
    found = counted(deleting(240, 242), counters=counters, glances=looks)
    (note,) = [one for one in Report.of(found).notes if "deleted" in one]
    assert note.startswith("Camera door: Kafka has deleted 240 frames. Whether detect had read them")


def test_frames_deleted_after_they_were_read_are_no_loss() -> None:
    assert told(published=242, begin=240, done=242) == []


def test_a_frame_that_is_missing_behind_the_deleted_ones_is_named() -> None:
    (sentence,) = told(published=243, begin=240, done=242)
    assert sentence == "1 frame of camera door was published and never reached the topic"


def test_without_deleted_messages_there_is_no_such_number() -> None:
    report = Report.of(counted(topic(frames(2))))
    assert all(one.camera_id == "door" for one in report.balances)


def test_each_camera_has_its_own_books() -> None:
    other = Item("hall", "h0", 1_100.0, None, 0.0, MessagePosition("topic", 0, 9), 1_100.0)
    counts = counted(topic([*frames(2), other]))
    assert [one.camera_id for one in counts.cameras] == ["door", "hall"]
    assert [one.frames.sent for one in counts.cameras if one.frames is not None] == [2, 1]
    assert [sentences(balances(one)) for one in counts.cameras] == [[], []]
