"""Fronts and hypervolumes against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairdarts.evolution.pareto import evenly_spaced, front, hypervolume

GRID = 4
POINTS = arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, GRID))


def dominates(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one <= other).all() and (one < other).any())


@given(POINTS)
def test_the_front_is_what_nothing_dominates(losses: np.ndarray) -> None:
    expected = [i for i, own in enumerate(losses) if not any(dominates(other, own) for other in losses)]
    assert front(losses.astype(float)).tolist() == expected


@settings(max_examples=60)
@given(POINTS)
def test_hypervolume_is_the_share_of_unit_boxes_that_are_dominated(losses: np.ndarray) -> None:
    dimensions = losses.shape[1]
    boxes = list(itertools.product(range(GRID), repeat=dimensions))
    inside = sum(any((own <= box).all() for own in losses) for box in map(np.array, boxes))
    found = hypervolume(losses.astype(float), np.zeros(dimensions), np.full(dimensions, float(GRID)))
    assert found == pytest.approx(inside / len(boxes))


@given(POINTS, st.integers(0, 11))
def test_hypervolume_never_falls_as_models_are_added(losses: np.ndarray, cut: int) -> None:
    ends = np.zeros(losses.shape[1]), np.full(losses.shape[1], float(GRID))
    assert hypervolume(losses[:cut].astype(float), *ends) <= hypervolume(losses.astype(float), *ends) + 1e-12


def test_what_is_worse_than_the_worst_adds_nothing() -> None:
    ends = np.zeros(2), np.ones(2)
    assert hypervolume(np.array([[0.5, 1.5], [np.inf, 0.0]]), *ends) == 0
    assert hypervolume(np.zeros((0, 2)), *ends) == 0
    assert front(np.zeros((0, 2))).tolist() == []


def test_evenly_spaced_models_of_a_straight_front() -> None:
    losses = np.stack([np.arange(9.0), 8 - np.arange(9.0)], 1)
    order = np.random.default_rng(0).permutation(9)
    chosen = evenly_spaced(losses[order], 3)
    assert losses[order][chosen, 0].tolist() == [0, 4, 8]


def test_spacing_is_along_the_front_and_not_by_number() -> None:
    crowded = [(0.0, 10.0), (0.1, 9.9), (0.2, 9.8), (0.3, 9.7), (5.0, 5.0), (10.0, 0.0)]
    assert evenly_spaced(np.array(crowded), 3) == [0, 4, 5]


@given(POINTS, st.integers(1, 14))
def test_spaced_models_are_different_and_as_many_as_there_are(losses: np.ndarray, count: int) -> None:
    chosen = evenly_spaced(losses.astype(float), count)
    distinct = len(np.unique(losses, axis=0))
    assert len(chosen) == min(count, distinct)
    assert len(np.unique(losses[chosen], axis=0)) == len(chosen)


def test_one_model_is_the_best_by_the_first_objective() -> None:
    assert evenly_spaced(np.array([[-90.0, 5.0], [-80.0, 1.0]]), 1) == [0]
