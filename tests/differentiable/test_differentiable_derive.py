"""Derivation and dominant operations on matrices small enough to read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fairdarts.config import UserError
from fairdarts.differentiable.derive import as_matrices, derive, derive_cell, dominant, limited_cell
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import check_genotype, load_space

S1 = load_space("s1")
SMALL = S1.model_copy(update={"nodes": 2, "candidates": ("max_pool_3x3", "skip_connect", "sep_conv_3x3")})
"""edges (2, 0) (2, 1) (3, 0) (3, 1) (3, 2), three candidates"""
MAX, SKIP, SEP = SMALL.candidates
GATES = np.array(
    [
        [0.10, 0.20, 0.30],  # node 2 reads 0
        [0.95, 0.90, 0.10],  #        reads 1
        [0.50, 0.60, 0.55],  # node 3 reads 0
        [0.10, 0.70, 0.20],  #        reads 1
        [0.80, 0.85, 0.86],  #        reads 2
    ]
)


def derived(gates: np.ndarray, method: str, threshold: float | None = None, space: CellSpace = SMALL) -> list:
    return list(derive_cell(gates, space, method, threshold))


def test_argmax_keeps_a_nodes_two_strongest_edges_in_order_of_strength():
    assert derived(GATES, "argmax") == [(MAX, 2, 1), (SEP, 2, 0), (SEP, 3, 2), (SKIP, 3, 1)]


def test_threshold_keeps_those_of_argmax_that_reach_it():
    assert derived(GATES, "threshold", 0.7) == [(MAX, 2, 1), (SEP, 3, 2), (SKIP, 3, 1)]
    assert derived(GATES, "threshold", 0.71) == [(MAX, 2, 1), (SEP, 3, 2)]
    assert derived(GATES, "threshold", 0.9) == [(MAX, 2, 1)]  # node 3 is left empty
    assert derived(GATES, "threshold", 1.0) == []


def test_threshold_never_adds_a_third_edge():
    assert derived(np.full((5, 3), 0.9), "threshold", 0.5) == [(MAX, 2, 0), (MAX, 2, 1), (MAX, 3, 0), (MAX, 3, 1)]


def test_edge_keeps_up_to_two_candidates_of_every_edge():
    assert derived(GATES, "edge", 0.55) == [
        (MAX, 2, 1), (SKIP, 2, 1),
        (SKIP, 3, 0), (SEP, 3, 0),
        (SKIP, 3, 1),
        (SEP, 3, 2), (SKIP, 3, 2),  # 0.80 reaches the threshold, but is third
    ]  # fmt: skip


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_ties_go_to_what_stands_first_and_under_edge_to_what_stands_last(value):
    gates = np.full((5, 3), value)
    assert derived(gates, "argmax") == [(MAX, 2, 0), (MAX, 2, 1), (MAX, 3, 0), (MAX, 3, 1)]
    both = [(op, *edge) for edge in SMALL.edges for op in (SEP, SKIP)]  # as the released experiments sort them
    assert derived(gates, "edge", 0.5) == (both if value >= 0.5 else [])


def test_of_three_tied_behind_a_stronger_one_edge_keeps_the_last():
    space = SMALL.model_copy(update={"candidates": ("none", MAX, SKIP, SEP)})
    gates = np.tile([0.9, 0.7, 0.6, 0.6], (5, 1))
    assert derived(gates, "edge", 0.5, space) == [(op, *edge) for edge in SMALL.edges for op in (MAX, SEP)]


def test_a_gate_at_the_threshold_counts():
    threshold = 0.85
    gates = np.zeros((5, 3))
    gates[0, 1] = threshold
    gates[1, 2] = np.nextafter(threshold, 0)
    assert derived(gates, "threshold", threshold) == derived(gates, "edge", threshold) == [(SKIP, 2, 0)]
    assert dominant(gates, SMALL, "normal", "threshold", threshold) == {MAX: 0, SKIP: 1, SEP: 0}


@pytest.mark.parametrize("method", ["argmax", "threshold", "edge"])
def test_none_is_never_chosen_nor_dominant(method):
    space = load_space("darts")
    gates = np.full(space.parts["normal"].shape, 0.3)
    gates[:, space.candidates.index("none")] = 1.0
    gates[[3, 4], 5] = 0.6
    edges = derived(gates, method, 0.2, space)
    assert edges
    assert "none" not in {op for op, _, _ in edges}
    assert [edge for edge in edges if edge[0] == space.candidates[5]][:2] == [
        ("sep_conv_5x5", 3, 1),
        ("sep_conv_5x5", 3, 2),
    ]
    assert "none" not in dominant(gates, space, "normal", method, 0.2)


def test_none_does_not_decide_which_edges_are_kept():
    space = SMALL.model_copy(update={"candidates": ("none", MAX, SKIP)})
    gates = np.array([[0.9, 0.1, 0.2], [0.9, 0.1, 0.2], [1.0, 0.1, 0.2], [0.1, 0.3, 0.2], [0.1, 0.2, 0.4]])
    assert derived(gates, "argmax", None, space)[2:] == [(SKIP, 3, 2), (MAX, 3, 1)]


def test_dominant_under_argmax_are_a_nodes_two_strongest_candidates_even_of_one_edge():
    # node 2: 0.95 and 0.90, both of its second edge; node 3: 0.86 and 0.85, both of its third
    assert dominant(GATES, SMALL, "normal", "argmax", None) == {MAX: 1, SKIP: 2, SEP: 1}
    assert dominant(np.full((5, 3), 0.5), SMALL, "normal", "argmax", None) == {MAX: 2, SKIP: 2, SEP: 0}


@pytest.mark.parametrize("method", ["threshold", "edge"])
def test_dominant_under_a_threshold_are_all_that_reach_it(method):
    assert dominant(GATES, SMALL, "normal", method, 0.8) == {MAX: 2, SKIP: 2, SEP: 1}
    assert list(dominant(GATES, SMALL, "normal", method, 0.8)) == list(SMALL.candidates)


@settings(derandomize=True, deadline=None)
@given(hnp.arrays(np.float64, S1.parts["normal"].shape, elements=st.floats(0, 1)), st.floats(0.01, 1))
def test_invariants(gates, threshold):
    at = {
        (op, *edge): gates[row, column] for row, edge in enumerate(S1.edges) for column, op in enumerate(S1.candidates)
    }
    argmax, kept, by_edge = (derived(gates, method, threshold, S1) for method in ("argmax", "threshold", "edge"))
    assert [node for _, node, _ in argmax] == [2, 2, 3, 3, 4, 4, 5, 5]
    for node in (2, 3, 4, 5):
        first, second = ((at[edge], edge[2]) for edge in argmax if edge[1] == node)
        assert first[0] >= second[0]
        assert first[1] != second[1]
        assert first[0] == max(value for edge, value in at.items() if edge[1] == node)
    assert kept == [edge for edge in argmax if at[edge] >= threshold]
    weakest = {edge[1:]: at[edge] for edge in by_edge}  # the last of its edge
    assert all(edge in by_edge or at[edge] == weakest[edge[1:]] for edge in kept)  # ties go another way
    assert all(at[edge] >= threshold for edge in by_edge)


@pytest.mark.parametrize("limit", [0, 1, 2, 8])
@pytest.mark.parametrize(("method", "threshold"), [("argmax", None), ("threshold", 0.4), ("edge", 0.4)])
def test_a_limit_on_skip_connections_drops_the_weakest(method: str, threshold: float | None, limit: int):
    space = load_space("s1")
    gates = np.random.default_rng(3).uniform(0, 0.5, space.parts["normal"].shape)
    gates[:, space.candidates.index("skip_connect")] += 0.5  # the strongest of every edge
    free = derive_cell(gates, space, method, threshold)
    before = gates.copy()
    found = limited_cell(gates, space, method, threshold, limit)
    assert np.array_equal(gates, before)
    skips = [edge for edge in found if edge[0] == "skip_connect"]
    if len([edge for edge in free if edge[0] == "skip_connect"]) <= limit:
        assert found == free
    else:
        assert len(skips) == limit


def test_of_three_skip_connections_the_weakest_gives_way_to_the_next_operation():
    space = load_space("s1")
    gates = np.full(space.parts["normal"].shape, 0.1)
    skip, conv = space.candidates.index("skip_connect"), space.candidates.index("dil_conv_3x3")
    for row, gate in ((0, 0.9), (2, 0.7), (5, 0.8)):
        gates[row, skip] = gate
    gates[:, conv] = np.linspace(0.3, 0.2, len(gates))
    found = limited_cell(gates, space, "argmax", None, 2)
    assert [edge for edge in found if edge[0] == "skip_connect"] == [("skip_connect", 2, 0), ("skip_connect", 4, 0)]
    assert ("dil_conv_3x3", 3, 0) in found


def test_derive_makes_a_genotype_of_the_space():
    gates = {"normal": np.zeros(S1.parts["normal"].shape), "reduce": np.full(S1.parts["normal"].shape, 0.9)}
    genotype = derive(gates, S1, "threshold", 0.85, "found", "a test")
    assert (genotype.name, genotype.space, genotype.source, genotype.normal) == ("found", "s1", "a test", ())
    assert len(genotype.reduce) == 8
    assert check_genotype(genotype, S1, "there") is genotype


def test_as_matrices_takes_lists():
    matrices = as_matrices({"normal": GATES.tolist(), "reduce": GATES.astype(np.float32), "step": 3}, SMALL, "a.npz")
    assert matrices.keys() == {"normal", "reduce"}
    assert matrices["reduce"].dtype == np.float64
    np.testing.assert_array_equal(matrices["normal"], GATES)


@pytest.mark.parametrize(
    ("reduce", "message"),
    [
        (None, "no 'reduce' in it; should hold normal and reduce [5, 3]"),
        (GATES.T, "reduce: shape [3, 5], should be [5, 3] (choice points, candidates)"),
        (GATES[None], "reduce: shape [1, 5, 3], should be [5, 3]"),
        ([[1.0], [1.0, 2.0]], "reduce: should be a matrix of numbers"),
        ([["a", "b", "c"]] * 5, "reduce: should be a matrix of numbers"),
        (np.where(GATES > 0.9, np.nan, GATES), "reduce: holds gates that are not finite"),
        (GATES + 0.06, "reduce: should hold gates from 0 to 1"),
        (GATES - 0.11, "reduce: should hold gates from 0 to 1"),
    ],
)
def test_as_matrices_refuses(reduce, message):
    gates = {"normal": GATES} if reduce is None else {"normal": GATES, "reduce": reduce}
    with pytest.raises(UserError) as error:
        as_matrices(gates, SMALL, "a.npz")
    assert str(error.value).startswith(f"a.npz: {message}")
