"""Layers from gates: which choices are kept, which layers are removed, and what the genotype says of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.derive import as_matrices, check_rule, derive, dominant
from fairdarts.differentiable.derive_chain import derive_layers
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.spaces.space import check_genotype, load_space

S2 = load_space("s2")
E3K3, E3K5, E3K7, E6K3, E6K5, E6K7, SKIP = range(7)


def gates(**rows: dict[int, float]) -> np.ndarray:
    """0.1 everywhere, but for the rows that are given: layer4={E3K3: 0.9}. Layers that change the shape have E6K7."""
    matrix = np.full(S2.parts["layers"].shape, 0.1)
    for number, layer in enumerate(S2.layers):
        if not layer.keeps_shape:
            matrix[number, E6K7] = 0.8
    for key, row in rows.items():
        matrix[int(key.removeprefix("layer"))] = 0.1
        for column, gate in row.items():
            matrix[int(key.removeprefix("layer")), column] = gate
    return matrix


def test_at_most_the_two_strongest_of_those_that_reach_the_threshold_are_kept():
    matrix = gates(layer4={E3K3: 0.76, E3K7: 0.9, SKIP: 0.8}, layer5={E3K5: 0.75}, layer7={E3K5: 0.7499, SKIP: 0.99})
    layers, _ = derive_layers({"layers": matrix}, S2, "threshold", 0.75)
    assert layers[4] == ("E3K7", "skip_connect")
    assert layers[5] == ("E3K5",)
    assert layers[7] == ("skip_connect",)


def test_a_higher_threshold_gives_a_smaller_network():
    """FairDARTS-C is FairDARTS-D with 0.8 instead of 0.75 (section 5.3)."""
    matrix = gates(layer4={E3K3: 0.76, SKIP: 0.85})
    assert derive_layers({"layers": matrix}, S2, "threshold", 0.75)[0][4] == ("skip_connect", "E3K3")
    assert derive_layers({"layers": matrix}, S2, "threshold", 0.8)[0][4] == ("skip_connect",)


def test_a_layer_without_a_strong_choice_is_removed_where_the_shape_is_kept():
    layers, notes = derive_layers({"layers": gates(layer4={E6K3: 0.5})}, S2, "threshold", 0.75)
    assert layers[4] == ()
    assert notes[[note.startswith("no choice of layer 4 ") for note in notes].index(True)] == (
        "no choice of layer 4 reaches 0.75, so it is removed; the strongest is E6K3 with 0.500"
    )


def test_elsewhere_it_keeps_its_strongest():
    layers, notes = derive_layers({"layers": gates(layer6={E3K5: 0.3, E6K3: 0.6})}, S2, "threshold", 0.75)
    assert layers[6] == ("E6K3",)
    assert [note for note in notes if " layer 6 " in note] == [
        "no choice of layer 6 reaches 0.75, and it changes the shape, so it keeps its strongest, E6K3 with 0.600"
    ]


def test_argmax_keeps_the_strongest_of_every_layer_and_decides_nothing_else():
    matrix = np.full(S2.parts["layers"].shape, 1 / 7)
    matrix[3, SKIP], matrix[9, E6K5] = 0.2, 0.15
    layers, notes = derive_layers({"layers": matrix}, S2, "argmax", None)
    assert notes == ()
    assert layers[3] == ("skip_connect",)
    assert layers[9] == ("E6K5",)
    assert layers[0] == ("E3K3",)  # a tie goes to the choice that stands first


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=7, max_size=7), min_size=19, max_size=19),
    st.floats(0.05, 0.95),
    st.sampled_from(["argmax", "threshold"]),
)
def test_any_gates_give_a_genotype_that_the_space_allows(rows: list, threshold: float, method: str):
    matrices = as_matrices({"layers": rows}, S2, "gates")
    found = check_genotype(derive(matrices, S2, method, threshold, "n", "tests"), S2, "n")
    for number, (choices, row) in enumerate(zip(found.layers, rows, strict=True)):
        strong = [gate for gate in row if gate >= threshold]
        if method == "argmax":
            assert [row[S2.candidates.index(name)] for name in choices] == [max(row)]
        elif strong:
            kept = [row[S2.candidates.index(name)] for name in choices]
            assert kept == sorted(strong, reverse=True)[:2]
        else:
            assert len(choices) == (0 if S2.layers[number].keeps_shape else 1)
    assert len(found.notes) == (0 if method == "argmax" else sum(max(row) < threshold for row in rows))


def test_dominant_choices_are_the_strongest_of_their_layers_or_those_that_reach_the_threshold():
    matrix = gates(layer4={E3K3: 0.76, SKIP: 0.8}, layer5={SKIP: 0.5})
    by_threshold, by_argmax = (dominant(matrix, S2, "layers", method, 0.75) for method in ("threshold", "argmax"))
    assert list(by_threshold) == list(by_argmax) == list(S2.candidates)
    assert (by_threshold["skip_connect"], by_threshold["E3K3"], by_threshold["E6K7"]) == (1, 1, 6)
    assert (by_argmax["skip_connect"], by_argmax["E6K7"]) == (2, 6)
    assert sum(by_argmax.values()) == 19


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"method": "edge", "threshold": 0.5}, "derive.method: edge: is for cell"),
        ({"method": "argmax", "max_skips": 2}, "derive.max_skips: 2: is for cell"),
    ],
)
def test_rules_for_cells_are_refused(rule: dict, message: str):
    with pytest.raises(UserError, match=message):
        check_rule(check(DeriveSettings, rule, "r"), S2, "derive.")
    check_rule(check(DeriveSettings, rule, "r"), load_space("s1"), "derive.")


def test_matrices_of_cells_are_refused():
    with pytest.raises(UserError, match=r"g: no 'layers' in it; should hold layers \[19, 7\]"):
        as_matrices({"normal": [], "reduce": []}, S2, "g")
