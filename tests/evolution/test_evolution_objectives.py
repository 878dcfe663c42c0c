"""What can be wanted of a model, in words and in numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairdarts.evolution.objectives import QUANTITIES, Limit, Objective, read_limit, read_objective
from fairdarts.evolution.problem import excess, losses


def test_accuracy_is_maximized_and_all_else_minimized_unless_told_otherwise() -> None:
    assert read_objective("accuracy") == Objective("accuracy", True)
    assert read_objective(" madds ") == Objective("madds", False)
    assert read_objective("params:max") == Objective("params", True)
    assert read_objective("accuracy:min") == Objective("accuracy", False)


@given(
    st.sampled_from(sorted(QUANTITIES)), st.sampled_from(["<=", ">="]), st.floats(allow_nan=False, allow_infinity=False)
)
def test_a_limit_is_read_as_it_is_written(quantity: str, sign: str, bound: float) -> None:
    assert read_limit(f"{quantity}{sign} {bound!r}") == Limit(quantity, sign, bound)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_limit_in_words_is_read_as_it_was(bound: float) -> None:
    assert read_limit(str(Limit("madds", "<=", bound))) == Limit("madds", "<=", bound)
    assert str(read_limit("madds<=400000000")) == "madds <= 400e6"
    assert str(read_limit("latency <= 12.5")) == "latency <= 12.5"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("madds < 4", "should be a quantity, <= or >=, and a number"),
        ("madds <= four", "four: should be a number"),
        ("madds <= nan", "nan: should be a number"),
        ("maddds <= 4", "did you mean 'madds'"),
    ],
)
def test_a_wrong_limit_says_what_is_right(text: str, right: str) -> None:
    with pytest.raises(ValueError, match=right):
        read_limit(text)


@pytest.mark.parametrize(
    ("text", "right"), [("acuracy", "did you mean 'accuracy'"), ("madds:up", "end in :max or :min")]
)
def test_a_wrong_objective_says_what_is_right(text: str, right: str) -> None:
    with pytest.raises(ValueError, match=right):
        read_objective(text)


def test_losses_are_small_where_models_are_good() -> None:
    values = {"accuracy": np.array([90.0, np.nan]), "madds": np.array([3, 5])}
    wanted = (Objective("accuracy", True), Objective("madds", False))
    np.testing.assert_array_equal(losses(values, wanted), [[-90, 3], [np.inf, 5]])


def test_excess_adds_up_what_goes_beyond_limits_as_shares_of_them() -> None:
    values = {"accuracy": np.array([60.0, 40.0, np.nan]), "madds": np.array([100.0, 150.0, 100.0])}
    limits = [read_limit("madds <= 100"), read_limit("accuracy >= 50")]
    np.testing.assert_allclose(excess(values, limits), [0, 0.5 + 0.2, np.inf])
    assert [limit.kept(values[limit.quantity]).tolist() for limit in limits] == [
        [True, False, True],
        [True, False, False],
    ]
