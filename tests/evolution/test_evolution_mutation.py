"""One changed choice: uniformly, by cost, by the prior; and crossover."""

from collections import Counter

import numpy as np
import pytest
from one_shot import CHAIN, IRREGULAR
from scipy.stats import chisquare
from second_stage import problem_of

from fairdarts.evolution.mutation import changed, cost_weights, crossed, elite_weights, uniform_weights

PATH = (1, 0, 2, 1)


def drawn(weights: list[np.ndarray], path: tuple[int, ...] = PATH, count: int = 6000) -> Counter[tuple[int, int]]:
    """How often each (point, choice) took the place of another."""
    rng, found = np.random.default_rng(0), Counter()
    for _ in range(count):
        child = changed(path, weights, rng)
        ((point, choice),) = [(p, new) for p, (old, new) in enumerate(zip(path, child, strict=True)) if old != new]
        found[point, choice] += 1
    return found


def test_uniform_mutation_changes_one_point_to_any_other_choice() -> None:
    found = drawn(uniform_weights(problem_of(IRREGULAR)), (1, 0, 2, 4))
    left = [1, 2, 2, 4]  # other choices of each point
    expected = [6000 / 4 / left[point] for point, _ in sorted(found)]
    assert len(found) == sum(left)
    assert chisquare([found[key] for key in sorted(found)], expected).pvalue > 0.01


def test_the_wheel_is_likelier_to_draw_what_is_cheaper_and_leaves_nothing_out() -> None:
    problem = problem_of()
    weights = cost_weights(problem, "madds")
    for own, costs in zip(weights, problem.tables["madds"].choices, strict=True):
        assert np.argsort(own).tolist() == np.argsort(costs)[::-1].tolist()
        assert (own > 0).all()
        scaled = (np.asarray(costs) - np.mean(costs)) / np.std(costs)
        np.testing.assert_allclose(own, np.exp(-scaled))
    found = drawn(weights)
    keys = sorted(found)
    expected = []
    for point, choice in keys:
        left = np.delete(weights[point], PATH[point]).sum()
        expected.append(6000 / 4 * weights[point][choice] / left)
    assert chisquare([found[key] for key in keys], expected).pvalue > 0.01


def test_the_wheel_of_a_maximized_cost_turns_the_other_way() -> None:
    problem = problem_of()
    for up, down in zip(cost_weights(problem, "params", True), cost_weights(problem, "params"), strict=True):
        np.testing.assert_allclose(up * down, 1)


def test_choices_of_one_cost_are_drawn_alike() -> None:
    problem = problem_of()
    table = problem.tables["madds"]._replace(choices=((5, 5, 5),) * 4)
    (first, *_) = cost_weights(type(problem)(CHAIN, problem.objectives, (), {"madds": table}), "madds")
    assert first.tolist() == [1, 1, 1]


def test_the_prior_counts_the_elite_and_one_more() -> None:
    elite = np.array([[0, 0, 2, 1], [0, 1, 2, 1], [0, 2, 2, 0]])
    weights = elite_weights(problem_of(), elite)
    assert [own.tolist() for own in weights] == [[4, 1, 1], [2, 2, 2], [1, 1, 4], [2, 3, 1]]


def test_a_point_without_another_choice_stays_as_it_is() -> None:
    assert changed((0,), [np.ones(1)], np.random.default_rng(0)) == (0,)
    assert changed((0,), [np.array([1.0, 0.0])], np.random.default_rng(0)) == (0,)


def test_crossover_takes_a_head_and_a_tail() -> None:
    rng = np.random.default_rng(0)
    found = {crossed((0, 0, 0, 0), (1, 1, 1, 1), rng) for _ in range(100)}
    assert found == {(0, 1, 1, 1), (0, 0, 1, 1), (0, 0, 0, 1)}
    assert crossed((0,), (1,), rng) == (0,)


def test_weights_are_of_the_choices() -> None:
    with pytest.raises(IndexError):
        changed((2,), [np.ones(2)], np.random.default_rng(0))
