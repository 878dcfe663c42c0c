"""The shipped cell spaces against the paper, and which genotypes and spaces are refused."""

import pytest

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype
from fairdarts.reading import read_yaml
from fairdarts.resources import find
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import check_genotype, load_space

S1_CANDIDATES = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
TABLE_2 = [
    (0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4),
]  # fmt: skip
"""FairDARTS, supplementary: (j, k) of edges 0 to 13, j counting intermediate nodes only."""


def test_s1_is_that_of_the_paper():
    space = load_space("s1")
    assert [(node - 2, source) for node, source in space.edges] == TABLE_2
    assert space.candidates == S1_CANDIDATES
    assert {cell: part.shape for cell, part in space.parts.items()} == {"normal": (14, 7), "reduce": (14, 7)}
    assert (space.supernet.cells, space.supernet.channels) == (8, 16)
    assert (space.networks.cifar.cells, space.networks.cifar.channels) == (20, 36)
    assert (space.networks.imagenet.cells, space.networks.imagenet.channels) == (14, 48)


def test_the_kin_of_s1():
    assert load_space("s1-noskip").candidates == tuple(name for name in S1_CANDIDATES if name != "skip_connect")
    assert load_space("darts").candidates == ("none", *S1_CANDIDATES)
    assert load_space("darts").edges == load_space("s1").edges
    assert load_space("darts").parts["normal"].shape == (14, 8)


@pytest.mark.parametrize(
    ("cells", "where"), [(8, {2, 5}), (20, {6, 13}), (14, {4, 9}), (1, {0}), (2, {0, 1}), (3, {1, 2})]
)
def test_reductions_stand_at_one_and_two_thirds(cells, where):
    assert load_space("s1").reduction_cells(cells) == where


def refusal(normal: tuple = (), reduce: tuple = (), space: str = "s1", **more: tuple) -> str:
    genotype = CellGenotype(schema=1, name="n", space=space, source="", normal=normal, reduce=reduce, **more)
    with pytest.raises(UserError) as error:
        check_genotype(genotype, load_space(space), "g.yaml")
    return str(error.value)


GOOD = ("skip_connect", 2, 0)


CHAINED = tuple(("skip_connect", node, node - 1) for node in range(2, 6))


@pytest.mark.parametrize(
    ("concat", "said"),
    [
        ((4, 5, 6), "normal_concat: [4, 5, 6]: should be nodes that are fed, in their order: of 2, 3, 4, 5"),
        ((5, 4), "normal_concat: [5, 4]: should be nodes that are fed, in their order"),
        ((5, 5), "normal_concat: [5, 5]: should be nodes that are fed, in their order"),
        ((1, 5), "normal_concat: [1, 5]: should be nodes that are fed, in their order"),
        ((), "normal_concat: []: should be nodes that are fed, in their order"),
        ((2, 3, 4), "normal_concat: leaves out node 5, which no operation reads either"),
    ],
)
def test_an_output_that_cannot_be(concat: tuple, said: str):
    assert f"g.yaml: {said}" in refusal(CHAINED, normal_concat=concat)


def test_an_output_may_leave_out_nodes_that_are_read():
    genotype = CellGenotype(name="n", space="s1", source="", normal=CHAINED, reduce=CHAINED, reduce_concat=(3, 5))
    assert check_genotype(genotype, load_space("s1"), "g.yaml") is genotype
    assert (genotype.concat("normal"), genotype.concat("reduce")) == ((2, 3, 4, 5), (3, 5))


def test_a_genotype_of_the_space_is_given_back():
    genotype = CellGenotype(schema=1, name="n", space="s1", source="", normal=(GOOD, ("dil_conv_5x5", 5, 4)), reduce=())
    assert check_genotype(genotype, load_space("s1"), "g.yaml") is genotype


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        (("sep_conv_3x4", 2, 0), "'sep_conv_3x4' is not an operation of space s1 (did you mean 'sep_conv_3x3'?)"),
        (("none", 2, 0), "'none' is not an operation of space s1"),
        (("skip_connect", 6, 0), "node 6 should be from 2 to 5"),
        (("skip_connect", 1, 0), "node 1 should be from 2 to 5"),
        (("skip_connect", 3, 4), "node 3 reads node 4, should be from 0 to 2"),
        (("skip_connect", 3, -1), "node 3 reads node -1, should be from 0 to 2"),
        (("skip_connect", 3, 3), "node 3 reads itself"),
    ],
)
def test_refused_genotypes_name_the_place(edge, message):
    assert refusal(normal=(GOOD, edge)).startswith(f"g.yaml: normal[1]: {message}")
    assert refusal(reduce=(edge,)).startswith(f"g.yaml: reduce[0]: {message}")


def test_operations_are_those_of_the_genotypes_own_space():
    assert "'none' is not an operation of space darts" in refusal(normal=(("none", 2, 0),), space="darts")
    assert "'skip_connect' is not an operation of space s1-noskip" in refusal(normal=(GOOD,), space="s1-noskip")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": ["sep_conv_3"]}, "candidates: 'sep_conv_3' is not an operation (did you mean 'sep_conv_3x3'?)"),
        ({"candidates": ["skip_connect", "skip_connect"]}, "candidates: an operation stands twice"),
        ({"candidates": []}, "candidates: []: Tuple should have at least 1 item"),
        ({"candidates": ["none"]}, "candidates: "),  # nothing that a genotype could hold
        ({"reductions": ["2"]}, "reductions: '2' should be a fraction from 0 to below 1"),
        ({"reductions": ["1/0"]}, "reductions: '1/0' should be a fraction from 0 to below 1"),
        ({"reductions": ["1"]}, "reductions: '1' should be a fraction from 0 to below 1"),
        ({"reductions": ["third"]}, "reductions: 'third' should be a fraction from 0 to below 1"),
        ({"nodes": 0}, "nodes: 0: should be greater than or equal to 1"),
        ({"inputs": 3}, "inputs: 3: should be 2"),
        ({"schema": 2}, "schema: 2: should be 1"),
        ({"node": 4}, "node: unknown key (did you mean 'nodes'?)"),
    ],
)
def test_bad_spaces_name_the_key(change, message):
    path = find("search_spaces", "s1")
    with pytest.raises(UserError) as error:
        check(CellSpace, {**read_yaml(path), **change}, path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_networks_of_a_space_are_checked_like_all_else():
    content = read_yaml(find("search_spaces", "s1"))
    cifar = content["networks"]["cifar"]
    for networks, message in [
        ({"cifar": {**cifar, "cels": 3}}, "networks.cifar.cels: unknown key (did you mean 'cells'?)"),
        ({"cifr": cifar}, "networks.cifr: "),
    ]:
        with pytest.raises(UserError) as error:
            check(CellSpace, {**content, "networks": networks}, "s.yaml")
        assert str(error.value).startswith(f"s.yaml: {message}")
