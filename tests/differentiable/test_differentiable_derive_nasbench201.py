"""Edges of NAS-Bench-201 from gates."""

import numpy as np
import pytest

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.derive import as_matrices, check_rule, derive, dominant
from fairdarts.differentiable.derive_nasbench201 import derive_edges
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.spaces.space import check_genotype, load_space

SPACE = load_space("nasbench201")
NONE, SKIP, CONV1, CONV3, POOL = SPACE.candidates
GATES = np.array(
    [
        [0.90, 0.10, 0.20, 0.30, 0.20],  # none is strongest, and no other reaches 0.5
        [0.10, 0.60, 0.70, 0.65, 0.60],
        [0.99, 0.98, 0.10, 0.10, 0.10],  # none is strongest, another reaches it
        [0.50, 0.10, 0.10, 0.10, 0.50],
        [0.20, 0.20, 0.20, 0.20, 0.20],  # all tie
        [0.00, 0.00, 0.00, 0.49, 0.49],
    ]
)


def test_argmax_keeps_the_strongest_operation_and_that_is_never_none():
    assert derive_edges(GATES, SPACE, "argmax", None) == (CONV3, CONV1, SKIP, POOL, SKIP, CONV3)


@pytest.mark.parametrize(
    ("threshold", "edges"),
    [
        (0.5, (NONE, CONV1, SKIP, POOL, NONE, NONE)),
        (0.7, (NONE, CONV1, SKIP, NONE, NONE, NONE)),
        (0.98, (NONE, NONE, SKIP, NONE, NONE, NONE)),
        (1.0, (NONE,) * 6),
        (0.1, (CONV3, CONV1, SKIP, POOL, SKIP, CONV3)),
    ],
)
def test_a_threshold_leaves_none_where_nothing_else_reaches_it(threshold: float, edges: tuple[str, ...]):
    assert derive_edges(GATES, SPACE, "threshold", threshold) == edges
    found = derive(as_matrices({"edges": GATES.tolist()}, SPACE, "g"), SPACE, "threshold", threshold, "n", "tests")
    assert check_genotype(found, SPACE, "n").edges == edges


def test_a_tie_goes_to_what_stands_first():
    other = SPACE.model_copy(update={"candidates": (POOL, CONV1, NONE)})
    assert derive_edges(np.full((6, 3), 0.4), other, "argmax", None) == (POOL,) * 6
    assert derive_edges(np.full((6, 3), 0.4), other, "threshold", 0.4) == (POOL,) * 6


def test_dominant_operations_are_those_of_the_genotype_or_all_that_reach_the_threshold():
    assert dominant(GATES, SPACE, "edges", "argmax", None) == {SKIP: 2, CONV1: 1, CONV3: 2, POOL: 1}
    assert dominant(GATES, SPACE, "edges", "threshold", 0.6) == {SKIP: 2, CONV1: 1, CONV3: 1, POOL: 1}


def test_rules_that_the_space_cannot_follow_are_named():
    threshold = check(DeriveSettings, {"method": "threshold", "threshold": 0.5}, "r")
    check_rule(threshold, SPACE, "derive.")
    without = SPACE.model_copy(update={"name": "mine", "candidates": SPACE.candidates[1:]})
    with pytest.raises(UserError) as error:
        check_rule(threshold, without, "derive.")
    left = "an edge without a candidate that reaches it would be left without an operation"
    assert str(error.value) == f"derive.method: threshold: space mine has no none: {left}; take argmax"
    check_rule(check(DeriveSettings, {"method": "argmax"}, "r"), without, "derive.")
