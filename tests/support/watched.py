"""Real parts of a runner, watched: every call is written down, and a test may make it fail or act on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from agegender.shared.runtime.stage import Outcome, Stage
from agegender.shared.runtime.transport import Delivery, Output, Source

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass
class Watch:
    """What happened, by names such as `source.poll`, and what shall happen at the next calls."""

    calls: list[str] = field(default_factory=list)
    _actions: dict[str, list[tuple[int | None, Callable[[], None]]]] = field(default_factory=dict)
    _errors: dict[str, Iterator[Exception]] = field(default_factory=dict)

    def fail(self, call: str, errors: Iterable[Exception]) -> None:
        """The next calls raise `errors`, one each, before they do anything."""
        self._errors[call] = iter(errors)

    def on(self, call: str, action: Callable[[], None], *, nth: int | None = None) -> None:
        """Each call begins with `action`, or only the one that is the `nth`, counted from 1."""
        self._actions.setdefault(call, []).append((nth, action))

    def note(self, call: str) -> None:
        """To be called at the beginning of every call."""
        self.calls.append(call)
        for nth, action in self._actions.get(call, ()):
            if nth in (None, self.calls.count(call)):
                action()
        for error in self._errors.get(call, ()):
            raise error

    def without(self, *left_out: str) -> list[str]:
        """The calls but for some."""
        return [call for call in self.calls if call not in left_out]


class WatchedSource(Generic[In]):
    """`source.open`, `source.poll`, `source.commit`, `source.keep_alive`, `source.close`."""

    def __init__(self, inner: Source[In], watch: Watch) -> None:
        self._inner, self._watch = inner, watch

    def open(self) -> None:
        self._watch.note("source.open")
        self._inner.open()

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[In]]:
        self._watch.note("source.poll")
        return self._inner.poll(max_messages, timeout_s)

    def commit(self) -> None:
        self._watch.note("source.commit")
        self._inner.commit()

    def keep_alive(self) -> None:
        self._watch.note("source.keep_alive")
        self._inner.keep_alive()

    @property
    def exhausted(self) -> bool:
        return self._inner.exhausted

    def close(self) -> None:
        self._inner.close()
        self._watch.note("source.close")


class WatchedOutput(Generic[Out]):
    """`NAME.open`, `NAME.write`, `NAME.close`, and what was written."""

    def __init__(self, inner: Output[Out], watch: Watch, name: str) -> None:
        self._inner, self._watch, self._name = inner, watch, name
        self.written: list[Out] = []

    def open(self) -> None:
        self._watch.note(f"{self._name}.open")
        self._inner.open()

    def write(self, messages: Sequence[Out]) -> None:
        self._watch.note(f"{self._name}.write")
        self._inner.write(messages)
        self.written += messages

    def close(self) -> None:
        self._inner.close()
        self._watch.note(f"{self._name}.close")


class WatchedStage(Generic[In, Out]):
    """`stage.process`, and the sizes of the batches."""

    def __init__(self, inner: Stage[In, Out], watch: Watch) -> None:
        self._inner, self._watch = inner, watch
        self.batch_sizes: list[int] = []

    def process(self, batch: Sequence[In]) -> Sequence[Outcome[Out]]:
        self._watch.note("stage.process")
        self.batch_sizes.append(len(batch))
        return self._inner.process(batch)
