"""Who gets which part of the work: so that all have about as much, and as little as can be changes hands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field


@dataclass
class _Share:
    member: str
    weights: Mapping[int, int]
    parts: set[int] = field(default_factory=set)

    @property
    def load(self) -> int:
        return sum(self.weights.get(part, 0) for part in self.parts)


def share_out(
    owned: Mapping[str, Iterable[int]], weights: Mapping[int, int], parts: Iterable[int]
) -> dict[str, set[int]]:
    """Gives every part to one member.

    The loads, sums of the weights, come as close to each other as moving single parts can bring them; then
    the numbers of parts without weight do, as any of them may get some later. What a member owns it keeps,
    unless it must go for that.

    Args:
        owned: member → the parts that it has now; of a part that two have, the first by name keeps it.
        weights: part → how much work it is, 0 and more; 0 for those left out.
        parts: all parts.
    """
    if not owned:
        return {}
    shares = [_Share(member, weights) for member in sorted(owned)]
    free = set(parts)
    for share in shares:
        share.parts = free & set(owned[share.member])
        free -= share.parts
    for part in sorted(free, key=lambda one: (-weights.get(one, 0), one)):
        min(shares, key=lambda one: (one.load, len(one.parts))).parts.add(part)
    while _move_one_with_weight(shares, weights):
        pass
    while _move_one_without_weight(shares, weights):
        pass
    return {share.member: share.parts for share in shares}


def _move_one_with_weight(shares: list[_Share], weights: Mapping[int, int]) -> bool:
    """Moves the part that brings the most and the least loaded closest together; False when none does."""
    most, least = max(shares, key=lambda one: one.load), min(shares, key=lambda one: one.load)
    gap = most.load - least.load
    fitting = [part for part in most.parts if 0 < weights.get(part, 0) < gap]
    if not fitting:
        return False
    part = min(fitting, key=lambda one: (abs(gap - 2 * weights[one]), one))
    most.parts.remove(part)
    least.parts.add(part)
    return True


def _move_one_without_weight(shares: list[_Share], weights: Mapping[int, int]) -> bool:
    def empty(share: _Share) -> list[int]:
        return sorted(part for part in share.parts if not weights.get(part, 0))

    most = max(shares, key=lambda one: len(empty(one)))
    least = min(shares, key=lambda one: len(empty(one)))
    if len(empty(most)) - len(empty(least)) < 2:
        return False
    part = empty(most)[-1]
    most.parts.remove(part)
    least.parts.add(part)
    return True


def without_moves(target: Mapping[str, Set[int]], owned: Mapping[str, Iterable[int]]) -> dict[str, set[int]]:
    """`target` without what somebody else still has: it is given in the next round, when it was given up."""
    held = {member: set(parts) for member, parts in owned.items()}
    return {
        member: {
            part
            for part in parts
            if not any(part in theirs for other, theirs in held.items() if other != member)
        }
        for member, parts in target.items()
    }


def is_worth_moving(owned: Mapping[str, Set[int]], weights: Mapping[int, int], parts: Iterable[int]) -> bool:
    """Whether sharing out anew helps enough to be worth the interruption of what must move.

    That is when loads differ by more than 1 and by more than a quarter of what each would have on average,
    and can be brought closer to each other.
    """

    def spread(shares: Iterable[Iterable[int]]) -> int:
        loads = [sum(weights.get(part, 0) for part in share) for share in shares]
        return max(loads) - min(loads)

    if not owned:
        return False
    now = spread(owned.values())
    average = sum(weights.values()) / len(owned)
    return now > max(1, average / 4) and spread(share_out(owned, weights, parts).values()) < now
