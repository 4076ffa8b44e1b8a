"""The simulated worker against the formulas of queueing theory, and against batches done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agegender.commands.plan.queues import Server, Times, serve

MESSAGES = 100_000


def poisson(rate: float, number: int = MESSAGES) -> Times:
    return np.cumsum(np.random.default_rng(7).exponential(1 / rate, number))


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_the_mean_wait_is_that_of_pollaczek_and_khinchine(busy: float) -> None:
    come_s = poisson(busy)
    waited_s = serve(come_s, Server(limit=1, message_s=1.0)) - come_s - 1.0
    assert waited_s.mean() == pytest.approx(busy / (2 * (1 - busy)), rel=0.04)


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_with_exponential_times_the_mean_wait_is_that_of_m_m_1(busy: float) -> None:
    come_s = poisson(busy)
    factors = np.random.default_rng(8).exponential(1.0, MESSAGES)
    done_s = serve(come_s, Server(limit=1, message_s=1.0), factors=factors.tolist())
    assert (done_s - come_s - factors).mean() == pytest.approx(busy / (1 - busy), rel=0.06)


def test_several_workers_side_by_side_are_queues_of_their_own() -> None:
    # Kafka splits the arrivals by chance; what is split of a Poisson stream is one, so each is M/D/1.
    come_s, whose = poisson(3 * 0.7), np.random.default_rng(9).integers(0, 3, MESSAGES)
    waits = [
        (serve(come_s[whose == one], Server(1, 1.0)) - come_s[whose == one] - 1.0).mean() for one in range(3)
    ]
    assert waits == pytest.approx([0.7 / (2 * 0.3)] * 3, rel=0.08)


@pytest.mark.parametrize(("busy", "falls"), [(0.5, 1.2564), (0.8, 0.4305)])
def test_long_waits_get_rarer_at_the_rate_of_m_d_1(busy: float, falls: float) -> None:
    # The share that waits for longer than t falls as exp(-q t), where busy * (exp(q) - 1) = q.
    assert busy * math.expm1(falls) == pytest.approx(falls, rel=1e-3)
    come_s = poisson(busy, 400_000)
    waited_s = serve(come_s, Server(limit=1, message_s=1.0)) - come_s - 1.0
    at_s = np.quantile(waited_s, [0.9, 0.99])
    assert math.log(10) / (at_s[1] - at_s[0]) == pytest.approx(falls, rel=0.1)


def test_regular_arrivals_never_wait_for_a_fast_worker() -> None:
    come_s: Times = np.linspace(0, 999, 1000)
    assert serve(come_s, Server(limit=1, message_s=0.99)) == pytest.approx(come_s + 0.99)


def test_an_overloaded_queue_grows_by_the_difference_of_rates() -> None:
    come_s: Times = np.linspace(0, 799.2, 1000)
    done_s = serve(come_s, Server(limit=1, message_s=1.0))
    assert done_s[-1] - come_s[-1] == pytest.approx(1000 * (1 - 0.8), rel=0.01)


def test_a_worker_takes_what_is_there_up_to_its_limit() -> None:
    come_s = np.array([0.0, 0.1, 0.2, 0.3])
    done_s = serve(come_s, Server(limit=2, message_s=1.0, batch_s=0.5))
    assert done_s.tolist() == [1.5, 4.0, 4.0, 5.5]


def test_a_batch_waits_until_it_is_full_or_its_time_is_over() -> None:
    server = Server(limit=3, message_s=1.0, wait_s=0.5)
    assert serve(np.array([0.0, 0.4, 9.0]), server).tolist() == [2.5, 2.5, 10.5]
    assert serve(np.array([0.0, 0.1, 0.2]), server) == pytest.approx([3.2, 3.2, 3.2])


def test_a_device_takes_many_messages_in_one_batch() -> None:
    server = Server(limit=8, message_s=1.0, side_by_side=4, device_s=0.25, device_limit=8, batch_s=0.5)
    assert [server.time_s(number) for number in (1, 4, 5, 8)] == [1.75, 1.75, 2.75, 2.75]
    assert server.capacity == pytest.approx(8 / 2.75)


def test_a_worker_that_dies_leaves_what_it_has_in_hand() -> None:
    done_s = serve(np.array([0.0, 1.0, 2.0]), Server(limit=1, message_s=1.0), until_s=2.5)
    assert done_s.tolist() == [1.0, 2.0, math.inf]


def test_nothing_comes_of_nothing() -> None:
    assert serve(np.array([]), Server(limit=1, message_s=1.0)).tolist() == []
