"""The assignment of partitions: even loads, few moves, and never two owners at a time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import pytest

from agegender.shared.kafka.assignment import balanced, is_worth_rebalancing, without_owned_by_others

PARTS = range(64)


def loads(shares: Mapping[str, Iterable[int]], weights: Mapping[int, int]) -> list[int]:
    return sorted(sum(weights.get(part, 0) for part in share) for share in shares.values())


def moved(before: Mapping[str, set[int]], after: Mapping[str, set[int]]) -> int:
    return sum(len(before[member] - after.get(member, set())) for member in before)


def test_nobody_is_given_nothing() -> None:
    assert balanced({}, {1: 1}, PARTS) == {}
    assert not is_worth_rebalancing({}, {1: 1}, PARTS)


def test_one_gets_everything() -> None:
    assert balanced({"a": ()}, {1: 1}, PARTS) == {"a": set(PARTS)}


@pytest.mark.parametrize("seed", range(50))
def test_every_part_goes_to_one_and_loads_are_even(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    members = [f"member{number}" for number in range(rng.randint(1, 8))]
    weights = {rng.randrange(64): 1 for _ in range(rng.randint(0, 60))}
    owned: dict[str, set[int]] = {member: set() for member in members}
    for part in PARTS:
        if rng.random() < 0.7:
            owned[rng.choice(members)].add(part)
    shares = balanced(owned, weights, PARTS)
    assert sorted(part for share in shares.values() for part in share) == list(PARTS)
    low, *_, high = [*loads(shares, weights), loads(shares, weights)[-1]]
    assert high - low <= 1
    empty = [len(share - weights.keys()) for share in shares.values()]
    assert max(empty) - min(empty) <= 1


def test_a_newcomer_gets_its_half_and_nothing_else_moves() -> None:
    weights = dict.fromkeys(range(10), 1)
    first = balanced({"a": ()}, weights, PARTS)
    both = balanced({**first, "b": set()}, weights, PARTS)
    assert loads(both, weights) == [5, 5]
    assert moved(first, both) == 32


def test_the_partitions_of_a_dead_member_are_spread() -> None:
    weights = dict.fromkeys(range(12), 1)
    three = balanced({"a": (), "b": (), "c": ()}, weights, PARTS)
    two = balanced({"a": three["a"], "c": three["c"]}, weights, PARTS)
    assert moved({"a": three["a"], "c": three["c"]}, two) == 0
    assert loads(two, weights) == [6, 6]


def test_parts_that_do_not_exist_any_more_are_given_to_nobody() -> None:
    assert balanced({"a": {1, 99}}, {}, range(4)) == {"a": {0, 1, 2, 3}}


def test_of_two_claims_one_stays_and_the_other_is_given_up_first() -> None:
    owned = {"a": {0, 1}, "b": {1, 2}}
    target = balanced(owned, {}, range(4))
    assert sorted(part for share in target.values() for part in share) == [0, 1, 2, 3]
    assert all(1 not in share for share in without_owned_by_others(target, owned).values())


def test_a_moving_partition_has_no_owner_for_a_round() -> None:
    owned = {"a": set(range(4)), "b": set[int]()}
    target = balanced(owned, {}, range(4))
    first_round = without_owned_by_others(target, owned)
    assert first_round == {"a": target["a"], "b": set()}
    second = balanced(first_round, {}, range(4))
    assert without_owned_by_others(second, first_round) == target


def test_small_differences_are_not_worth_an_interruption() -> None:
    weights = dict.fromkeys(range(40), 1)
    assert not is_worth_rebalancing({"a": set(range(22)), "b": set(range(22, 64))}, weights, PARTS)
    assert is_worth_rebalancing({"a": set(range(26)), "b": set(range(26, 64))}, weights, PARTS)
    assert is_worth_rebalancing({"a": {0, 1}, "b": {2}}, {0: 1, 1: 1}, range(3))


def test_what_cannot_be_made_even_is_left() -> None:
    assert not is_worth_rebalancing({"a": {0}, "b": {1}}, {0: 5}, range(2))


def test_a_quarter_more_than_the_average_is_worth_a_rebalance() -> None:
    """With 17 loaded partitions, two members have 8.5 on average: a spread of 3 counts, 1 does not."""
    weights = dict.fromkeys(range(17), 1)
    assert is_worth_rebalancing({"a": set(range(10)), "b": set(range(10, 17))}, weights, range(17))
    assert not is_worth_rebalancing({"a": set(range(9)), "b": set(range(9, 17))}, weights, range(17))
