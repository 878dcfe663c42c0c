"""The multiple-choice knapsack against trying all choices, and against an integer programme."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from fairdarts.differentiable.knapsack import NOTHING, Option, front, together

OPTIONS = st.builds(Option, st.integers(0, 12), st.integers(0, 9), st.just(()), st.integers(0, 2))
GROUPS = st.lists(st.lists(OPTIONS, min_size=1, max_size=4), min_size=1, max_size=4)


def tried(groups: list[list[Option]], most: float, max_skips: int | None) -> list[Option]:
    every = (together(chosen) for chosen in product(*groups))
    return [one for one in every if one.cost <= most and (max_skips is None or one.skips <= max_skips)]


@settings(max_examples=200, deadline=None)
@given(GROUPS, st.integers(0, 40), st.none() | st.integers(0, 4))
def test_for_every_cost_the_greatest_mass_is_found(groups: list[list[Option]], most: int, max_skips: int | None):
    found, every = front(groups, most, max_skips), tried(groups, most, max_skips)
    assert len(found.costs) == 0 or ((np.diff(found.costs) > 0).all() and (np.diff(found.masses) > 0).all())
    for budget in range(most + 1):
        best = max((one.mass for one in every if one.cost <= budget), default=None)
        at = np.searchsorted(found.costs, budget, side="right") - 1
        assert (None if at < 0 else found.masses[at]) == best
    for cost, mass, picks in zip(*found, strict=True):
        one = together(group[pick] for group, pick in zip(groups, picks, strict=True))
        assert (one.cost, one.mass) == (cost, mass)
        assert max_skips is None or one.skips <= max_skips


def test_it_agrees_with_an_integer_programme_of_many_groups():
    rng = np.random.default_rng(0)
    costs, masses = rng.integers(1, 10**6, (19, 7)), rng.random((19, 7))
    groups = [
        [Option(*pair) for pair in zip(*rows, strict=True)]
        for rows in zip(costs.tolist(), masses.tolist(), strict=True)
    ]
    most = int(0.4 * costs.sum(0).max())
    one_each = LinearConstraint(np.kron(np.eye(19), np.ones(7)), 1, 1)
    within = LinearConstraint(costs.reshape(1, -1) / most, ub=1)
    solved = milp(-1e4 * masses.ravel(), integrality=np.ones(133), bounds=Bounds(0, 1), constraints=[one_each, within])
    assert front(groups, most).masses[-1] == pytest.approx(-solved.fun / 1e4, rel=1e-9)


def test_no_group_has_one_choice_and_no_room_none():
    assert [column.tolist() for column in front([], 0)] == [column.tolist() for column in NOTHING]
    assert len(front([[Option(3, 1)]], 2).costs) == 0
