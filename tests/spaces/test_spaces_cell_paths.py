"""Paths of DARTS' cells: they and genotypes are one thing in two forms."""

from itertools import product
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype, Edge
from fairdarts.networks.zoo import load_genotype
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.cell_paths import cells_of_path
from fairdarts.spaces.space import check_genotype, load_space

PROPERTY = settings(derandomize=True, deadline=None)
DARTS = load_space("darts")
S1 = load_space("s1")
PATH = st.tuples(*(st.integers(0, len(names) - 1) for names in DARTS.choices))


def genotype(normal: tuple[Edge, ...], reduce: tuple[Edge, ...] = ()) -> CellGenotype:
    return CellGenotype(schema=1, name="g", space="darts", source="", normal=normal, reduce=reduce or normal)


def test_an_output_that_leaves_a_node_out_is_no_path():
    whole = DARTS.genotype_of(tuple(0 for _ in DARTS.choices), "g", "")
    edges = tuple(("skip_connect", node, source) for node in range(2, 6) for source in (node - 2, node - 1))
    some = whole.model_copy(update={"normal": edges, "reduce": edges, "reduce_concat": (4, 5)})
    with pytest.raises(UserError, match=r"^g: reduce_concat: should be left out, as a path"):
        DARTS.path_of(some)


def without_none(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    return tuple(edge for edge in edges if edge[0] != "none")


def smaller(nodes: int, candidates: tuple[str, ...]) -> CellSpace:
    return DARTS.model_copy(update={"nodes": nodes, "candidates": candidates})


def test_choices_of_darts():
    """Of every node its inputs, and two of eight operations: (8² · 1)(8² · 3)(8² · 6)(8² · 10) = 3.0 · 10⁹ a cell."""
    assert len(DARTS.choices) == 24
    assert DARTS.topology == (0, 3, 6, 9, 12, 15, 18, 21)
    assert DARTS.choices[0] == ("0+1",)
    assert DARTS.choices[3] == ("0+1", "0+2", "1+2")
    assert DARTS.choices[6] == ("0+1", "0+2", "0+3", "1+2", "1+3", "2+3")
    assert [len(DARTS.choices[point]) for point in DARTS.topology] == [comb(node, 2) for node in (2, 3, 4, 5)] * 2
    operations = [names for point, names in enumerate(DARTS.choices) if point not in DARTS.topology]
    assert operations == [DARTS.candidates] * 16


def test_a_path_read_by_hand():
    names = DARTS.candidates
    path = (0, 4, 3, 2, 0, 5, *(0,) * 6, *(0,) * 9, 9, 7, 1)
    normal, reduce = cells_of_path(path, DARTS)
    assert normal[:4] == (("sep_conv_3x3", 2, 0), ("skip_connect", 2, 1), ("none", 3, 1), (names[5], 3, 2))
    assert reduce[-2:] == (("dil_conv_5x5", 5, 3), ("max_pool_3x3", 5, 4))


@PROPERTY
@given(PATH, st.randoms(use_true_random=False))
def test_paths_and_genotypes_round_trip(path: tuple[int, ...], random):
    """In any order of the edges; without `none`, the genotype is of the space, and comes back as the same network."""
    cells = cells_of_path(path, DARTS)
    mixed = [tuple(random.sample(edges, len(edges))) for edges in cells]
    assert DARTS.path_of(genotype(*mixed)) == path
    left = [without_none(edges) for edges in cells]
    bare = check_genotype(
        CellGenotype(schema=1, name="g", space="darts", source="", normal=left[0], reduce=left[1]), DARTS, "there"
    )
    again = DARTS.path_of(bare)
    assert [without_none(edges) for edges in cells_of_path(again, DARTS)] == left


def test_a_shipped_genotype_is_a_path():
    found, _ = load_genotype("darts-v2")
    assert [set(edges) for edges in cells_of_path(DARTS.path_of(found), DARTS)] == [
        set(found.normal),
        set(found.reduce),
    ]


def test_all_paths_of_a_small_space_are_different_cells():
    one = smaller(1, ("none", "skip_connect", "sep_conv_3x3"))
    paths = list(product(*(range(len(names)) for names in one.choices)))
    assert len(paths) == 3**4
    assert len({cells_of_path(path, one) for path in paths}) == len(paths)
    two = smaller(2, ("max_pool_3x3", "skip_connect"))
    paths = list(product(*(range(len(names)) for names in two.choices)))
    assert len({cells_of_path(path, two) for path in paths}) == len(paths) == (4 * 4 * 3) ** 2


TWO = (("skip_connect", 2, 0), ("skip_connect", 2, 1))
ONE_NODE = smaller(1, DARTS.candidates)
NO_NONE = smaller(1, S1.candidates)


@pytest.mark.parametrize(
    ("edges", "space", "message"),
    [
        (TWO[:1], NO_NONE, "g: normal: node 2 reads 1 nodes, should be 2 in a path of space darts"),
        ((*TWO, ("skip_connect", 3, 0)), ONE_NODE, "g: normal: node 3 should be from 2 to 2"),
        ((TWO[0], ("max_pool_3x3", 2, 0)), ONE_NODE, "g: normal: node 2 reads node 0 twice, should be two different"),
        ((TWO[0], ("skip_connect", 2, 2)), ONE_NODE, "g: normal: node 2 reads node 2, should be from 0 to 1"),
        ((TWO[0], ("skip_conect", 2, 1)), ONE_NODE, "g: normal: 'skip_conect' is not an operation of space darts (did"),
        ((("none", 2, 0), TWO[1]), NO_NONE, "g: normal: 'none' is not an operation of space darts"),
    ],
)
def test_what_is_no_path(edges: tuple[Edge, ...], space: CellSpace, message: str):
    with pytest.raises(UserError) as refused:
        space.path_of(genotype(edges))
    assert str(refused.value).startswith(message)


def test_a_node_of_three_inputs_is_no_path():
    two = smaller(2, DARTS.candidates)
    three = (*TWO, *(("skip_connect", 3, source) for source in range(3)))
    with pytest.raises(UserError, match="g: normal: node 3 reads 3 nodes, should be 2"):
        two.path_of(genotype(three))
