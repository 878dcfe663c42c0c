"""The multiple-choice knapsack, exactly: one option of every group, so that their mass is greatest within a budget.

All choices that may still become the best are kept, group by group, as in Nemhauser and Ullmann, "Discrete dynamic
programming and capital allocation" (1969).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class Option(NamedTuple):
    """What may be chosen of a group."""

    cost: float
    mass: float
    kept: tuple[tuple[int, int], ...] = ()
    """choice points and candidates"""
    skips: int = 0
    """how many of them count against a limit"""


class Front(NamedTuple):
    """The choices that no other one beats: cost and mass rise together."""

    costs: np.ndarray
    masses: np.ndarray
    picks: np.ndarray
    """[choices, groups] the number of the option of each group"""


NOTHING = Front(np.zeros(1), np.zeros(1), np.zeros((1, 0), np.int64))
"""of no group there is one choice"""


def together(options: Iterable[Option]) -> Option:
    """Several options as one."""
    several = tuple(options)
    kept = tuple(one for option in several for one in option.kept)
    sums = (sum(option.cost for option in several), sum(option.mass for option in several))
    return Option(*sums, kept, sum(option.skips for option in several))


def front(groups: Sequence[Sequence[Option]], most: float, max_skips: int | None = None) -> Front:
    """All choices of one option a group, up to cost `most`, that no other choice of at most its cost beats in mass.

    `max_skips` is how many skips a choice may have. Of equal masses the cheaper one is kept. It is empty where no
    choice costs so little.
    """
    counted = max_skips is not None
    cheapest = [min(option.cost for option in group) for group in groups]
    states = {0: NOTHING}
    for number, group in enumerate(groups):
        room, grown = most - sum(cheapest[number + 1 :]), dict[int, list[Front]]()
        for index, option in _unbeaten_options(group, counted):
            for skips, state in states.items():
                count = skips + option.skips * counted
                fits = state.costs + option.cost <= room
                if fits.any() and count <= (max_skips or 0) * counted:
                    picks = np.column_stack([state.picks[fits], np.full(fits.sum(), index)])
                    part = Front(state.costs[fits] + option.cost, state.masses[fits] + option.mass, picks)
                    grown.setdefault(count, []).append(part)
        states = {count: _unbeaten(parts) for count, parts in grown.items()}
    empty = Front(np.empty(0), np.empty(0), np.empty((0, len(groups)), np.int64))
    return _unbeaten([empty, *states.values()])


def _unbeaten_options(group: Sequence[Option], counted: bool) -> list[tuple[int, Option]]:
    """The options, with their numbers, that no other option of no more skips and at most its cost beats."""
    order = sorted(enumerate(group), key=lambda at: (at[1].cost, -at[1].mass, at[1].skips))
    kept: list[tuple[int, Option]] = []
    for index, option in order:
        if not any(other.mass >= option.mass and other.skips * counted <= option.skips for _, other in kept):
            kept.append((index, option))
    return kept


def _unbeaten(parts: Sequence[Front]) -> Front:
    """The choices of several sets that no other beats, by rising cost."""
    costs, masses, picks = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((-masses, costs))
    costs, masses, picks = costs[order], masses[order], picks[order]
    highest = np.maximum.accumulate(np.concatenate([[-np.inf], masses]))[:-1]
    kept = masses > highest
    return Front(costs[kept], masses[kept], picks[kept])
