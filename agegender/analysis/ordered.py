"""Work on several threads, with the results in the order of the inputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def in_order(pool: Executor, work: Callable[[In], Out], items: Iterable[In], ahead: int) -> Iterator[Out]:
    """`work` of each item, in the order of the items; raises what `work` or `items` raise, in its place.

    At most `ahead` items are taken beyond the one of the last result, so memory stays flat for any number of
    items. What was not begun when the iterator is closed is never begun.
    """
    waiting: deque[Future[Out]] = deque()
    broken: Exception | None = None
    source = iter(items)
    try:
        while True:
            try:
                item = next(source)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001  (raised again below, after the results before it)
                broken = error
                break
            waiting.append(pool.submit(work, item))
            while waiting and (len(waiting) >= ahead or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if broken is not None:
            raise broken
    finally:
        for one in waiting:
            one.cancel()
