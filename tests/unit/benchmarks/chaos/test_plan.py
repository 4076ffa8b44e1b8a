"""What `make chaos` does is decided by its seed alone, and leaves no part out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.chaos.plan import DECK, OTHER_FAULTS, SESSION_S, VICTIMS, plan

seeds = st.integers(0, 1_000_000)


@given(seeds, st.integers(0, 60), st.integers(0, 60))
def test_a_seed_gives_the_same_rounds_for_every_length(seed: int, one: int, other: int) -> None:
    short, long = sorted((one, other))
    assert plan(seed, long)[:short] == plan(seed, short)
    assert [each.number for each in plan(seed, long)] == list(range(1, long + 1))


@given(seeds)
def test_each_two_decks_have_both_deeds_to_every_victim(seed: int) -> None:
    found = plan(seed, 4 * DECK)
    both = {(victim, deed) for victim in VICTIMS for deed in ("kill", "freeze")}
    for start in (0, 2 * DECK):
        done = {(one.victim, one.deed) for one in found[start : start + 2 * DECK]}
        assert done == {*both, *OTHER_FAULTS}


@given(seeds)
def test_each_deck_has_every_victim_and_every_other_fault(seed: int) -> None:
    found = plan(seed, DECK)
    assert {one.victim for one in found} >= set(VICTIMS)
    assert {(one.victim, one.deed) for one in found} >= set(OTHER_FAULTS)
    assert all(one.text for one in found)


@given(seeds)
def test_outages_are_short_enough_for_a_hundred_rounds(seed: int) -> None:
    found = plan(seed, 100)
    assert all(0 <= one.lasts_s <= SESSION_S + 3 and 0 < one.pause_s <= 3 for one in found)
    assert sum(one.lasts_s + one.pause_s for one in found) < 600


def test_some_freezes_outlast_the_session_and_most_do_not() -> None:
    frozen = [one.lasts_s > SESSION_S for one in plan(0, 400) if one.deed == "freeze"]
    assert 0.2 < sum(frozen) / len(frozen) < 0.4


def test_different_seeds_give_different_rounds() -> None:
    assert plan(1, 16) != plan(2, 16)
