"""Paths: how many, which of them are one network, and how they become genotypes and gates."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from functools import cache
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_shot import BENCH, CELLS, CHAIN, GRAPH, IRREGULAR, SPACES, TOPOLOGIES, chain, every_path
from torch import nn

from fairdarts.config import UserError
from fairdarts.genotype import ChainGenotype, EdgeGenotype
from fairdarts.ops.mbconv import choice
from fairdarts.spaces.chain import ChainSpace, Layer
from fairdarts.spaces.gates import SinglePath, subnet
from fairdarts.spaces.space import Space, check_genotype, load_space

MACRO = load_space("nas-bench-macro")
SMALL = {
    "chain": CHAIN,
    "irregular": IRREGULAR,
    "two stages of one width": chain(
        {"channels": 4, "layers": 2, "stride": 1},
        {"channels": 4, "layers": 2, "stride": 1, "candidates": ("E1K5", "E1K3", "skip_connect")},
    ),
    "a stage of the same width behind a stride": chain(
        {"channels": 4, "layers": 2, "stride": 1}, {"channels": 4, "layers": 3, "stride": 2}
    ),
    "no skip in the middle": chain(
        {"channels": 4, "layers": 1, "stride": 1},
        {"channels": 4, "layers": 1, "stride": 1, "candidates": ("MBE2K3", "E1K5")},
        {"channels": 4, "layers": 2, "stride": 1},
    ),
    "no skip at all": chain({"channels": 4, "layers": 3, "stride": 1}, candidates=("MBE2K3", "E1K5")),
    "a stem of another width": chain({"channels": 4, "layers": 3, "stride": 1}, stem=2),
}


@cache
def built(name: str, layer: Layer) -> str | None:
    """All that a choice's module says of itself; nothing where it does nothing."""
    module = choice(name, *layer, affine=True)
    return None if isinstance(module, nn.Identity) else str(module)


def network_of(path: SinglePath, space: ChainSpace) -> Hashable:
    """The modules of the stand-alone network of a path, one after another."""
    names = (names[index] for names, index in zip(space.choices, path, strict=True))
    modules = (built(name, layer) for name, layer in zip(names, space.layers, strict=True))
    return tuple(module for module in modules if module is not None)


@pytest.mark.parametrize("name", SMALL)
def test_paths_of_a_chain_are_equivalent_where_their_networks_are_built_alike(name: str):
    space = SMALL[name]
    paths = every_path(space)
    assert space.size() == len(paths) == len(set(paths))
    classes: dict[Hashable, list[SinglePath]] = defaultdict(list)
    for path in paths:
        classes[network_of(path, space)].append(path)
    for same in classes.values():
        assert len({space.canonical(path) for path in same}) == 1
        assert {space.equivalent_paths(path) for path in same} == {len(same)}
    assert len({space.canonical(path) for path in paths}) == len(classes)


def test_paths_of_nas_bench_201_are_equivalent_where_the_benchmark_has_one_network():
    classes = Counter(BENCH.canonical(path) for path in every_path(BENCH))
    assert len(classes) == 6466
    for path in every_path(BENCH)[::7]:
        assert BENCH.canonical(path) == BENCH.canonical(path)
        assert BENCH.equivalent_paths(path) == classes[BENCH.canonical(path)]


def test_nas_bench_macro_has_3969_distinct_networks():
    paths = every_path(MACRO)
    assert MACRO.size() == len(paths) == 6561
    classes = Counter(MACRO.canonical(path) for path in paths)
    assert len(classes) == 3969
    assert all(MACRO.equivalent_paths(path) == classes[MACRO.canonical(path)] for path in paths)


def test_nas_bench_macro_trained_each_of_them_once(macro: dict[str, dict]):
    assert len(macro) == 6561
    classes = defaultdict(set)
    for text, entry in macro.items():
        accuracies = (entry["mean_acc"], *entry["test_acc"])
        classes[MACRO.canonical(tuple(map(int, text)))].add((accuracies, entry["params"], entry["flops"]))
    assert {len(numbers) for numbers in classes.values()} == {1}
    assert len(set.union(*classes.values())) == 3969  # and no two of them have the same numbers


def test_the_number_of_paths():
    assert {name: space.size() for name, space in SPACES.items()} == {"chain": 81, "irregular": 90, "bench": 15625}
    assert load_space("fairnas-a").size() == 6**16


@pytest.mark.parametrize("name", SPACES)
def test_random_paths_are_of_the_space_and_decided_by_the_seed(name: str):
    space = SPACES[name]
    random, again = Random(3), Random(3)
    paths = [space.random_path(random.randrange) for _ in range(300)]
    assert paths == [space.random_path(again.randrange) for _ in range(300)]
    for names, own in zip(space.choices, zip(*paths, strict=True), strict=True):
        assert set(own) == set(range(len(names)))


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.data())
@pytest.mark.parametrize("name", [*SPACES, "macro"])
def test_a_path_and_its_genotype_say_the_same(name: str, data: st.DataObject):
    space = SPACES.get(name, MACRO)
    path = data.draw(st.tuples(*(st.integers(0, len(names) - 1) for names in space.choices)))
    genotype = space.genotype_of(path, "n", "where it is from")
    assert (genotype.name, genotype.space, genotype.source) == ("n", space.name, "where it is from")
    assert check_genotype(genotype, space, "my.yaml") is genotype
    assert space.path_of(genotype) == path


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_path_with_a_topology_and_its_genotype_are_one_network(name: str, seed: int):
    space = TOPOLOGIES[name]
    path = space.random_path(Random(seed).randrange)
    genotype = space.genotype_of(path, "n", "where it is from")
    again = space.path_of(check_genotype(genotype, space, "my.yaml"))
    assert space.canonical(again) == space.canonical(path)
    assert space.genotype_of(again, "n", "where it is from") == genotype


def test_cells_that_differ_in_what_does_not_run_are_one_network():
    """Of a node of CELLS: inputs "0+1", then an operation for each; none is the first."""
    reduce = (0, 1, 1, 0, 1, 1)
    without_a_node = {CELLS.canonical((0, 1, 2, pair, 0, 0, *reduce)) for pair in range(3)}
    assert len(without_a_node) == 1
    reading_it = {CELLS.canonical((0, 0, 0, pair, 1, 2, *reduce)) for pair in range(3)}
    assert len(reading_it) == 3
    assert CELLS.canonical((0, 0, 0, 1, 1, 2, *reduce)) == CELLS.canonical((0, 0, 0, 0, 1, 0, *reduce))


def test_paths_choose_operations_but_where_the_topology_is():
    assert CHAIN.operation_points == [0, 1, 2, 3]
    assert GRAPH.operation_points == [0, 1, 2]
    assert CELLS.operation_points == [1, 2, 4, 5, 7, 8, 10, 11]
    assert [len(CELLS.choices[point]) for point in CELLS.topology] == [1, 3, 1, 3]


def test_the_genotype_of_a_path_names_its_choices():
    chosen = CHAIN.genotype_of((1, 0, 2, 2), "n", "s")
    assert isinstance(chosen, ChainGenotype)
    assert chosen.layers == (("MBE2K3",), ("skip_connect",), ("E1K5",), ("E1K5",))
    edges = BENCH.genotype_of((0, 1, 2, 3, 4, 3), "n", "s")
    assert isinstance(edges, EdgeGenotype)
    assert edges.edges == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_3x3")


def chain_with(choices: tuple[str, ...]) -> ChainGenotype:
    layers = (("E1K5",), choices, ("E1K5",), ("E1K5",))
    return ChainGenotype(schema=1, name="mine", space="tiny", source="", layers=layers)


def test_a_layer_with_several_choices_is_no_part_of_a_path():
    with pytest.raises(UserError) as error:
        CHAIN.path_of(chain_with(("MBE2K3", "skip_connect")))
    assert str(error.value) == "mine: layers[1]: 2 choices, should be 1 to be a path"


def test_a_layer_that_is_removed_is_a_skip_connection():
    assert CHAIN.path_of(chain_with(())) == CHAIN.path_of(chain_with(("skip_connect",)))
    assert len(CHAIN.canonical(CHAIN.path_of(chain_with(())))) == 3


@pytest.mark.parametrize("name", ["s1", "nasbench101"])
def test_some_spaces_have_no_fixed_topology(name: str):
    with pytest.raises(UserError) as error:
        load_space(name).fixed_topology("space")
    expected = f"space: {name}: its paths choose inputs, too; should be a chain, or nasbench201"
    assert str(error.value) == expected
    assert all(space.fixed_topology("space") is space for space in SPACES.values())


@pytest.mark.parametrize("space", [*SPACES.values(), TOPOLOGIES["cells"]], ids=lambda space: space.name)
def test_the_share_of_paths_that_has_a_choice_point_is_counted(space: Space):
    random = Random(0)
    opened = np.zeros(len(space.points))
    for _ in range(3000):
        opened += [bool(gate.active) for gate in space.gates(subnet(space.random_path(random.randrange)))]
    np.testing.assert_allclose(opened / 3000, space.shares, atol=0.03)
