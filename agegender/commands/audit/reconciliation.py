"""The arithmetic: what must be equal to the sum of what, and in words where it is not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Amount:
    """A number, what it counts, and where it comes from."""

    name: str
    count: int
    source: str


@dataclass(frozen=True, slots=True)
class Balance:
    """One equation: the whole is the sum of its parts.

    `lost` and `extra` end the sentences that name what is missing in the parts, and what is too much.
    """

    camera_id: str | None
    """None: not of one camera."""
    noun: str
    whole: Amount
    parts: Sequence[Amount]
    lost: str
    extra: str

    @property
    def difference(self) -> int:
        """The whole minus its parts: 0 if the numbers add up, below 0 if the parts are too many."""
        return self.whole.count - sum(part.count for part in self.parts)

    @property
    def sentence(self) -> str | None:
        """The difference in words; None where there is none."""
        number = abs(self.difference)
        if number == 0:
            return None
        of = "" if self.camera_id is None else f" of camera {self.camera_id}"
        were = "was" if number == 1 else "were"
        ending = self.lost if self.difference > 0 else self.extra
        return f"{number} {plural(self.noun, number)}{of} {were} {ending}"


def plural(noun: str, number: int) -> str:
    """The noun as it is written behind the number."""
    return noun if number == 1 else f"{noun}s"


@dataclass(frozen=True, slots=True)
class Captured:
    """What ingest counted of one camera."""

    captured: int
    published: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    in_hand_most: int = 0
    """How many frames may be between being captured and being counted as either."""
    source: str = "metrics of ingest"

    @property
    def in_hand(self) -> int:
        """What is captured and not counted as either, as far as that may be."""
        left = self.captured - self.published - sum(self.dropped.values())
        return min(max(0, left), self.in_hand_most)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Frames that ingest says it has published, and those that are in the topic of the same time."""

    published: int
    in_topic: int
    deleted_unread: int = 0
    """Deleted by Kafka before detect had read them."""
    deleted_read: int = 0
    """Deleted by Kafka afterwards, which is no loss."""
    knows_reads: bool = True
    """False if a worker of detect started later: what the one before had missed is not counted any more."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What lies in a topic and what became of it, each message once."""

    sent: int
    done: int
    waiting: int = 0
    dead: int = 0
    forgotten: int = 0
    """Too long ago for the other side to know."""
    orphans: int = 0
    """How many of what was sent come from nothing that is known."""
    repeats: int = 0
    """Messages in the topic beyond `sent`: the same again, which does no harm."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason."""


@dataclass(frozen=True, slots=True)
class StoredFaces:
    """Single results in the store."""

    written: int
    """Results that the sink remembers to have written, as far back as the list in the store goes."""
    listed: int
    """How many of them are in that list."""
    orphans: int = 0
    """Results in the list that no service sent."""


@dataclass(frozen=True, slots=True)
class CameraCounts:
    """All that is known of one camera; None where it is not known."""

    camera_id: str
    captured: Captured | None = None
    arrival: Arrival | None = None
    frames: Flow | None = None
    found_sent: int | None = None
    """Faces that detect counted as sent."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Faces that detect counted as found and not sent, by reason."""
    faces: Flow | None = None
    results: Flow | None = None
    stored: StoredFaces | None = None
    processed_source: str = "offsets"
    deleted: Mapping[str, int] = field(default_factory=dict)
    """Service → messages that Kafka deleted before the service had read them."""


def balances(counts: CameraCounts) -> Sequence[Balance]:
    """All equations that can be made of what is known of a camera, in the order of the pipeline."""
    camera = counts.camera_id
    found: list[Balance] = []
    if counts.captured is not None:
        found.append(_captured(camera, counts.captured))
    if counts.arrival is not None:
        found.append(_arrival(camera, counts.arrival))
    if counts.frames is not None:
        found.append(_frames(camera, counts.frames, counts.processed_source))
    if counts.found_sent is not None:
        found.append(_found(camera, counts.found_sent, counts.skipped))
    if counts.faces is not None:
        found += _faces(camera, counts.faces)
    if counts.results is not None:
        found += _results(camera, counts.results)
    if counts.stored is not None:
        found += _stored(camera, counts.stored)
    return [*found, *(_deleted(camera, service, number) for service, number in counts.deleted.items())]


def sentences(of: Iterable[Balance]) -> Sequence[str]:
    """Every difference in words."""
    return [balance.sentence for balance in of if balance.sentence is not None]


def _captured(camera: str, one: Captured) -> Balance:
    dropped = [Amount(f"dropped: {reason}", n, one.source) for reason, n in sorted(one.dropped.items())]
    return Balance(
        camera,
        "frame",
        Amount("frames captured", one.captured, one.source),
        [
            Amount("published", one.published, one.source),
            *dropped,
            Amount("in hand", one.in_hand, one.source),
        ],
        lost="captured and neither published nor dropped",
        extra="published or dropped and never captured",
    )


def _arrival(camera: str, one: Arrival) -> Balance:
    deleted = (
        Amount("deleted by Kafka unread", one.deleted_unread, "metrics and offsets of detect"),
        Amount(
            "deleted by Kafka, read" if one.knows_reads else "deleted by Kafka, maybe unread",
            one.deleted_read,
            "offsets of frames",
        ),
    )
    return Balance(
        camera,
        "frame",
        Amount("frames published", one.published, "metrics of ingest"),
        [
            Amount("in the topic", one.in_topic, "topic frames"),
            *(amount for amount in deleted if amount.count),
        ],
        lost="published and never reached the topic",
        extra="found in the topic and counted by no worker that was asked",
    )


def _deleted(camera: str, service: str, number: int) -> Balance:
    return Balance(
        camera,
        "frame" if service == "detect" else "message",
        Amount(f"deleted before {service} read them", number, f"metrics and offsets of {service}"),
        (),
        lost=f"deleted by Kafka before {service} had read them",
        extra="read twice",
    )


def _frames(camera: str, one: Flow, processed_source: str) -> Balance:
    return Balance(
        camera,
        "frame",
        Amount("frames in the topic", one.sent, "topic frames"),
        [
            Amount("processed", one.done, processed_source),
            *(Amount(f"dropped: {reason}", n, "metrics of detect") for reason, n in one.dropped.items()),
            Amount("waiting", one.waiting, "offsets of detect"),
            Amount("dead-lettered", one.dead, "topic dead-letters"),
        ],
        lost="published and neither processed nor waiting",
        extra="accounted for and never published",
    )


def _found(camera: str, sent: int, skipped: Mapping[str, int]) -> Balance:
    """Holds by definition: nothing else counts the faces that were found."""
    source = "metrics of detect"
    left_out = [Amount(f"skipped: {reason}", n, source) for reason, n in sorted(skipped.items())]
    return Balance(
        camera,
        "face",
        Amount("faces found", sent + sum(skipped.values()), source),
        [Amount("sent", sent, source), *left_out],
        lost="found and neither sent nor skipped",
        extra="sent or skipped and never found",
    )


def _faces(camera: str, one: Flow) -> Sequence[Balance]:
    whole = Amount("faces sent", one.sent, "topic faces")
    return [
        _origins(camera, "face", whole, one.orphans, "of published frames", "found in no published frame"),
        Balance(
            camera,
            "face",
            whole,
            [
                Amount("classified", one.done, "topic results"),
                Amount("waiting", one.waiting, "offsets of classify"),
                Amount("dead-lettered", one.dead, "topic dead-letters"),
            ],
            lost="sent and neither classified nor waiting",
            extra="accounted for and never sent",
        ),
    ]


def _results(camera: str, one: Flow) -> Sequence[Balance]:
    whole = Amount("results sent", one.sent, "topic results")
    return [
        _origins(camera, "result", whole, one.orphans, "of sent faces", "made of no face that was sent"),
        Balance(
            camera,
            "result",
            whole,
            [
                Amount("written", one.done, "store"),
                Amount("waiting", one.waiting, "offsets of sink"),
                Amount("dead-lettered", one.dead, "topic dead-letters"),
                Amount("no longer remembered", one.forgotten, "store"),
            ],
            lost="sent and neither written nor waiting",
            extra="accounted for and never sent",
        ),
    ]


def _stored(camera: str, one: StoredFaces) -> Sequence[Balance]:
    listed = Amount("results in the store", one.listed + one.orphans, "store")
    return [
        Balance(
            camera,
            "result",
            Amount("results written", one.written, "store"),
            [Amount("in the store", one.listed, "store")],
            lost="written and taken out of the store since",
            extra="found in the store and never written",
        ),
        _origins(camera, "result", listed, one.orphans, "sent to it", "put into the store and never sent"),
    ]


def _origins(camera: str, noun: str, whole: Amount, orphans: int, known: str, lost: str) -> Balance:
    part = Amount(known, whole.count - orphans, whole.source)
    return Balance(camera, noun, whole, [part], lost=lost, extra="counted twice")
