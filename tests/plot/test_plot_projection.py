"""Models in two of their quantities: their front against brute force, and where an axis begins."""

import numpy as np
import pytest
from searches import made, nondominated, small

from fairdarts.plot.projection import cut, projection, unbeaten


@pytest.mark.parametrize("x_up", [False, True])
@pytest.mark.parametrize("y_up", [False, True])
def test_the_unbeaten_are_those_of_brute_force_once_each_the_best_x_first(x_up: bool, y_up: bool):
    random = np.random.default_rng(0)
    for count in (1, 2, 7, 80):
        x, y = random.integers(0, 9, (2, count)).astype(float)
        found = unbeaten(x, y, x_up, y_up)
        signed = np.stack([x if x_up else -x, y if y_up else -y], axis=1)
        expected = {(x[at], y[at]) for at in np.flatnonzero(nondominated(signed))}
        assert sorted(expected) == sorted(zip(x[found], y[found], strict=True))
        assert (np.diff(x[found]) * (-1 if x_up else 1) > 0).all()
    assert unbeaten(np.empty(0), np.empty(0)).tolist() == []


@pytest.mark.parametrize("cost", ["madds", "params"])
def test_the_line_of_a_cost_is_its_front_among_all_models_in_readable_units(cost: str):
    search = made()
    own = projection(search, cost)
    assert own.x.max() <= 40
    every = nondominated(np.stack([search.values["accuracy"], -search.values[cost]], axis=1))
    expected = np.unique(np.stack([own.x, own.y], axis=1)[every], axis=0)
    assert own.line.tolist() == expected.tolist()
    assert own.front.sum() == search.front.sum()
    assert len(own.rings) >= len(own.line)


def test_a_model_of_the_front_that_is_beaten_in_the_projection_is_a_ring_off_the_line():
    own = projection(small([90, 80, 85], [3, 1, 4]), "madds")
    assert own.line.tolist() == [[1, 80], [3, 90]]
    assert own.rings.tolist() == [[1, 80], [3, 90], [4, 85]]


def test_an_axis_is_halved_as_often_as_few_values_are_lost():
    few = np.concatenate([np.linspace(90, 93, 97), [10, 60, 80]])
    assert cut(few, 0.03) == pytest.approx(93 - 1.05 * 3)
    assert cut(few, 0.02) == pytest.approx(93 - 1.05 * 13)  # 10 and 60 alone
    assert cut(few, 0.009) is None
    assert cut(np.linspace(60, 93, 100), 0.25) is None
    assert cut(np.array([10, *[80.0, 90] * 7]), 0.25) is None  # too few to cut off any
    for flat in ([90.0] * 500, [*[90.0] * 500, 10], [90.0], [], [np.nan]):
        assert cut(np.array(flat), 0.02) is None
