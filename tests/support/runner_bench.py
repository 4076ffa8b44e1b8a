"""A runner between two memory topics, with every part watched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry

from agegender.shared.messages.codec import FRAME_CODEC, Encoded
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.dead_letters import DeadLetter, DeadLetterLimit, LoggedDeadLetters
from agegender.shared.runtime.memory import MemoryTopic
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.stage import Bad, Done, Dropped, DropReason, Outcome, SkipReason, Stage
from tests.support.made_messages import frame
from tests.support.watched import Watch, WatchedOutput, WatchedSource, WatchedStage

OPENS = ("letters.open", "output.open", "source.open")
STEPS = ("source.poll", "stage.process", "output.write", "letters.write", "source.commit")
CLOSES = ["output.close", "source.close", "letters.close"]
NOISE = ("source.poll", "source.keep_alive")


class Relay:
    """Passes frames on, unless the picture names another outcome."""

    def process(self, batch: Sequence[Frame]) -> Sequence[Outcome[Frame]]:
        outcomes: dict[bytes, Outcome[Frame]] = {
            b"bad": Bad("too dark"),
            b"late": Dropped(DropReason.STALE),
            b"still": Done(skipped=(SkipReason.STILL,) * 2, is_still=True),
        }
        return [outcomes.get(one.jpeg, Done((one, one) if one.jpeg == b"two" else (one,))) for one in batch]


class Bench:
    """One runner called `relay`; its batches hold up to 4 messages unless told otherwise."""

    def __init__(
        self,
        batch: BatchLimits | None = None,
        *,
        stage: Stage[Frame, Frame] | None = None,
        limit: DeadLetterLimit | None = None,
        grace_s: float = 10.0,
        last_words: Callable[[], Sequence[Frame]] = tuple,
        counts_sent: bool = True,
    ) -> None:
        self.watch, self.stop = Watch(), threading.Event()
        self.topic = MemoryTopic("frames", FRAME_CODEC, capacity=1_000)
        self.feed = self.topic.output()
        self.feed.open()
        self.output = WatchedOutput(MemoryTopic("out", FRAME_CODEC, 1_000).output(), self.watch, "output")
        self.letters = WatchedOutput[DeadLetter](LoggedDeadLetters(), self.watch, "letters")
        self.stage = WatchedStage(stage or Relay(), self.watch)
        self.metrics = Metrics(CollectorRegistry())
        self.now_s = 0.0
        self.health = Health("relay", self.metrics, clock=lambda: self.now_s)
        self.runner = Runner(
            "relay",
            WatchedSource(self.topic.source(), self.watch),
            self.stage,
            self.output,
            self.letters,
            metrics=self.metrics,
            health=self.health,
            batch=batch or BatchLimits(4),
            limit=limit,
            grace_s=grace_s,
            last_words=last_words,
            counts_sent=counts_sent,
            wall_clock=lambda: 1_700_000_002.0,
        )

    def put(self, *numbers: int, jpeg: bytes = b"picture") -> None:
        self.feed.write([frame(sequence=number, jpeg=jpeg) for number in numbers])

    def put_raw(self, encoded: Encoded) -> None:
        with self.topic.changed:
            self.topic.waiting.append((self.topic.next_offset, encoded))
            self.topic.next_offset += 1

    def run(self) -> None:
        """Until everything that was put is handed out, or something stops it."""
        self.feed.close()
        self.runner.run(self.stop)

    @property
    def sent(self) -> list[int]:
        return [message.info.sequence for message in self.output.written]

    @property
    def uncommitted(self) -> list[int]:
        """What the next reader is handed out."""
        return [FRAME_CODEC.decode(encoded).info.sequence for _, encoded in self.topic.waiting]
