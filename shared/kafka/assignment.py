"""Assigns partitions to the workers of a group: even loads, few moves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field


@dataclass
class _Member:
    name: str
    weights: Mapping[int, int]
    partitions: set[int] = field(default_factory=set)

    @property
    def load(self) -> int:
        return sum(self.weights.get(number, 0) for number in self.partitions)

    @property
    def idle(self) -> list[int]:
        """Its partitions without weight."""
        return sorted(number for number in self.partitions if not self.weights.get(number, 0))


def balanced(
    owned: Mapping[str, Iterable[int]], weights: Mapping[int, int], partitions: Iterable[int]
) -> dict[str, set[int]]:
    """Assigns every partition to one member.

    The loads, which are sums of weights, come as close to each other as moving single partitions can bring
    them. Then the numbers of partitions without weight are evened out, because any of them may get weight
    later. A member keeps what it owns unless an even load needs the move.

    Args:
        owned: member → its partitions now. Of two owners, the first by name keeps the partition.
        weights: partition → how much work it is, 0 or more; partitions left out count as 0.
        partitions: the numbers of all partitions.
    """
    if not owned:
        return {}
    members = [_Member(name, weights) for name in sorted(owned)]
    free = set(partitions)
    for member in members:
        member.partitions = free & set(owned[member.name])
        free -= member.partitions
    for number in sorted(free, key=lambda one: (-weights.get(one, 0), one)):
        min(members, key=lambda one: (one.load, len(one.partitions))).partitions.add(number)
    while _move_weight(members, weights):
        pass
    while _move_idle(members):
        pass
    return {member.name: member.partitions for member in members}


def _move_weight(members: list[_Member], weights: Mapping[int, int]) -> bool:
    """Moves the partition that best evens out the highest and the lowest load; False when no move helps."""
    most, least = max(members, key=lambda one: one.load), min(members, key=lambda one: one.load)
    gap = most.load - least.load
    fitting = [number for number in most.partitions if 0 < weights.get(number, 0) < gap]
    if not fitting:
        return False
    number = min(fitting, key=lambda one: (abs(gap - 2 * weights[one]), one))
    most.partitions.remove(number)
    least.partitions.add(number)
    return True


def _move_idle(members: list[_Member]) -> bool:
    """Moves a partition without weight to the member that has the fewest; False when they are even."""
    most = max(members, key=lambda one: len(one.idle))
    least = min(members, key=lambda one: len(one.idle))
    if len(most.idle) - len(least.idle) < 2:
        return False
    number = most.idle[-1]
    most.partitions.remove(number)
    least.partitions.add(number)
    return True


def without_owned_by_others(
    target: Mapping[str, Set[int]], owned: Mapping[str, Iterable[int]]
) -> dict[str, set[int]]:
    """`target` without partitions that another member still owns.

    A partition that moves is given up in one round of the rebalance and assigned in the next.
    """
    held = {member: set(numbers) for member, numbers in owned.items()}
    return {
        member: {
            number
            for number in numbers
            if not any(number in theirs for other, theirs in held.items() if other != member)
        }
        for member, numbers in target.items()
    }


def is_worth_rebalancing(
    owned: Mapping[str, Set[int]], weights: Mapping[int, int], partitions: Iterable[int]
) -> bool:
    """Whether a new assignment helps enough to be worth the interruption of what must move.

    It does when loads differ by more than 1 and by more than a quarter of the average load, and when a new
    assignment brings them closer together.
    """

    def spread(assigned: Iterable[Iterable[int]]) -> int:
        loads = [sum(weights.get(number, 0) for number in numbers) for numbers in assigned]
        return max(loads) - min(loads)

    if not owned:
        return False
    now = spread(owned.values())
    average = sum(weights.values()) / len(owned)
    return now > max(1, average / 4) and spread(balanced(owned, weights, partitions).values()) < now
