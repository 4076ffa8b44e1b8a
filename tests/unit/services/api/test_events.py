"""The hub loses no visit for a client that reconnects, and never waits for a slow one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

from prometheus_client import CollectorRegistry

from agegender.services.api.answers import StateAnswer, VisitAnswer
from agegender.services.api.events import Hub, Subscription
from agegender.services.api.problems import away
from agegender.shared.errors import NotNow
from agegender.shared.messages.visits import Visit
from agegender.shared.process.metrics import Metrics


def _hub() -> Hub:
    return Hub(10, Metrics(CollectorRegistry()))


def _visit(number: int, camera_id: str = "cam1") -> VisitAnswer:
    return VisitAnswer.of(
        Visit(
            camera_id=camera_id,
            track_id=f"s1-{number}",
            first_seen_s=number,
            last_seen_s=number + 1,
            clock="camera",
            frames=5,
            faces_classified=0,
            unclassified="too-small",
            closed="left",
        )
    )


async def _all_of(reader: Subscription) -> str:
    """The text that the client gets until it is disconnected."""
    return "".join([text async for text in reader.texts()])


def _numbers(text: str) -> Iterator[int]:
    return (int(number) for number in re.findall(r'"track_id":"s1-(\d+)"', text))


def test_a_slow_client_is_disconnected_and_may_catch_up() -> None:
    async def story() -> list[int]:
        hub = _hub()
        reader = hub.subscribe(None, None)
        for number in range(1_000):
            hub.visit(_visit(number))
        text = await _all_of(reader)
        got = [*_numbers(text)]
        assert 0 < len(got) < 1_000, "it was let go"
        while len(got) < 1_000:
            reader = hub.subscribe(None, re.findall(r"id: (\S+)", text)[-1])
            reader.end()
            text = await _all_of(reader)
            got += _numbers(text)
        return got

    assert asyncio.run(story()) == list(range(1_000))


def test_a_state_has_only_the_requested_cameras() -> None:
    async def story() -> tuple[str, str]:
        hub = _hub()
        everything, door = hub.subscribe(None, None), hub.subscribe(frozenset({"door"}), None)
        hub.state(StateAnswer(at_s=1.0, cameras=[], visits=[_visit(1, "door"), _visit(2, "shop")]))
        hub.close()
        return await _all_of(everything), await _all_of(door)

    everything, door = asyncio.run(story())
    assert [*_numbers(everything)] == [1, 2]
    assert [*_numbers(door)] == [1]


def test_a_new_client_learns_at_once_that_redis_is_away() -> None:
    async def story() -> tuple[str, str]:
        hub = _hub()
        hub.problem(away(NotNow("Redis: no answer")))
        reader = hub.subscribe(None, None)
        reader.end()
        during = await _all_of(reader)
        hub.state(StateAnswer(at_s=1.0, cameras=[], visits=[]))
        reader = hub.subscribe(None, None)
        reader.end()
        return during, await _all_of(reader)

    during, afterwards = asyncio.run(story())
    assert "event: problem" in during
    assert "no answer" in during
    assert "event: problem" not in afterwards
