"""What a path or a subnet makes active at every choice point."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_shot import BENCH, CELLS, CHAIN, GRAPH, IRREGULAR

from fairdarts.genotype import CELLS as NAMES
from fairdarts.spaces.gates import Gate, Part, SinglePath, only_path, subnet
from fairdarts.spaces.space import Space, load_space

DARTS = load_space("darts")
AS_THEY_ARE: dict[str, Space] = {"chain": CHAIN, "irregular": IRREGULAR, "bench": BENCH, "graph": GRAPH}
"""spaces whose decisions are their choice points"""


def random_path(space: Space, seed: int) -> SinglePath:
    return space.random_path(Random(seed).randrange)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_the_gates_of_a_path_run_what_it_names(name: str, seed: int):
    space = AS_THEY_ARE[name]
    path = random_path(space, seed)
    assert space.gates(subnet(path)) == tuple(Gate((choice,)) for choice in path)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(0, 2**32))
@pytest.mark.parametrize("space", [CELLS, DARTS, load_space("s1")], ids=lambda space: space.name)
def test_the_gates_of_cells_run_the_operations_of_the_genotype_and_none(space: Space, seed: int):
    path = random_path(space, seed)
    gates = space.gates(subnet(path))
    assert len(gates) == 2 * len(space.edges)
    assert {gate.weights for gate in gates} == {None}
    genotype = space.genotype_of(path, "n", "s")
    for name in NAMES:
        active = [gates[point].active for point in space.parts[name].points]
        found = {
            (space.candidates[column], *edge)
            for edge, own in zip(space.edges, active, strict=True)
            for column in own
            if space.candidates[column] != "none"
        }
        assert found == set(getattr(genotype, name))
        for node in range(space.inputs, space.inputs + space.nodes):
            assert sum(len(own) for edge, own in zip(space.edges, active, strict=True) if edge[0] == node) == 2


def test_a_chosen_none_is_active_and_an_edge_that_is_left_out_is_not():
    gates = CELLS.gates(subnet((0, 0, 1, 2, 2, 0, 0, 1, 1, 0, 1, 1)))
    assert [gate.active for gate in gates[:5]] == [(0,), (1,), (), (2,), (0,)]  # node 3 reads its inputs 1 and 2


def test_several_choices_of_a_chain_are_active_at_once():
    assert [gate.active for gate in CHAIN.gates(((0, 2), (1,), (0, 1, 2), (2,)))] == [(0, 2), (1,), (0, 1, 2), (2,)]


@pytest.mark.parametrize("space", [CELLS, GRAPH], ids=["cells", "graph"])
def test_a_decision_on_inputs_has_one_choice(space: Space):
    chosen = subnet(random_path(space, 0))
    for several in ((0, 1), ()):
        with pytest.raises(ValueError, match="values to unpack"):
            space.gates((several, *chosen[1:]))


def test_a_subnet_of_one_choice_each_is_a_path():
    assert only_path(subnet((3, 0, 2))) == (3, 0, 2)


def test_parts_are_the_choice_points_with_one_list_of_candidates():
    assert CELLS.parts == {
        "normal": Part((0, 1, 2, 3, 4), CELLS.candidates),
        "reduce": Part((5, 6, 7, 8, 9), CELLS.candidates),
    }
    assert BENCH.parts == {"edges": Part((0, 1, 2, 3, 4, 5), BENCH.candidates)}
    assert GRAPH.parts == {}
    assert CHAIN.parts == {"layers": Part((0, 1, 2, 3), CHAIN.candidates)}
    first, last = (stage.candidates for stage in IRREGULAR.stages[::2])
    assert IRREGULAR.parts == {
        "layers-1": Part((0,), first),
        "layers-2": Part((1, 2), IRREGULAR.candidates),
        "layers-3": Part((3,), last),
    }
    assert [part.shape for part in IRREGULAR.parts.values()] == [(1, 2), (2, 3), (1, 5)]


def test_layers_of_one_list_are_one_part_wherever_they_stand():
    stages = (IRREGULAR.stages[1], IRREGULAR.stages[0], IRREGULAR.stages[1])
    apart = IRREGULAR.model_copy(update={"stages": stages})
    assert {name: part.points for name, part in apart.parts.items()} == {"layers-1": (0, 1, 3, 4), "layers-2": (2,)}
