"""NAS-Bench-101's space: its facts, which paths are cells, how many there are, and how they are drawn."""

from collections import Counter
from functools import cache
from itertools import product
from math import sqrt
from random import Random

import pytest
from bench101 import CONV1, CONV3, POOL, genotype, matrix
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.derive import check_kind
from fairdarts.reading import read_yaml
from fairdarts.resources import find
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.graph import Graph, Matrix
from fairdarts.spaces.nasbench101 import Bench101Space, vertex_channels
from fairdarts.spaces.space import check_genotype, load_space

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
SPACE = load_space("nasbench101")
PATH = st.tuples(*(st.integers(0, len(names) - 1) for names in SPACE.choices))


def smaller(**changes: object) -> Bench101Space:
    return SPACE.model_copy(update=changes)


SMALL = {
    "4 vertices": smaller(vertices=4),
    "4 vertices and 3 edges": smaller(vertices=4, edges=3),
    "5 vertices and 5 edges": smaller(vertices=5, edges=5),
    "5 vertices and 2 operations": smaller(vertices=5, candidates=(POOL, CONV3)),
    "5 vertices, one into the output": smaller(vertices=5, output_edges=1),
    "5 vertices, two into the output": smaller(vertices=5, edges=6, output_edges=2),
}


def test_facts_of_the_paper():
    assert SPACE.candidates == (CONV3, CONV1, POOL)
    assert (SPACE.vertices, SPACE.edges, SPACE.output_edges) == (7, 9, None)
    assert (SPACE.stacks, SPACE.cells, SPACE.widths) == (3, 3, (128, 256, 512))
    assert (SPACE.networks.cifar.image, SPACE.networks.cifar.classes) == (32, 10)


def test_a_path_chooses_operations_and_sets_of_inputs():
    assert [len(names) for names in SPACE.choices] == [3] * 5 + [2, 4, 8, 16, 32, 64]
    assert SPACE.topology == (5, 6, 7, 8, 9, 10)
    assert SPACE.choices[6] == ("none", "0", "1", "0+1")
    assert SPACE.choices[10][0b110010] == "1+4+5"


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("nasbench101", 423_624),  # arXiv:1902.09635, section 2
        ("nasbench101-1", 120_933),  # arXiv:2003.04276, Table 6, and the next ones
        ("nasbench101-2", 201_441),
        ("nasbench101-3", 90_782),
        ("nasbench101-4", 10_467),
    ],
)
def test_the_number_of_different_cells(name: str, cells: int):
    assert load_space(name).distinct() == cells


@cache
def classes(name: str) -> dict[str, list[SinglePath]]:
    """The allowed paths of a small space by their cell, from every path there is."""
    space, hashes, found = SMALL[name], {}, {}
    for path in product(*(range(len(names)) for names in space.choices)):
        graph = space.pruned(path)
        ends = sum(row[-1] for row in graph.matrix[1:]) if graph else 0
        fits = graph and sum(map(sum, graph.matrix)) <= space.edges and space.output_edges in (None, ends)
        assert space.allows(path) == bool(fits)
        if fits:
            if graph not in hashes:
                hashes[graph] = space.canonical(path)
            found.setdefault(hashes[graph], []).append(path)
    return found


@pytest.mark.parametrize("name", SMALL)
def test_counts_are_those_of_going_through_all_paths(name: str):
    space, found = SMALL[name], classes(name)
    assert space.distinct() == len(found)
    assert space.size() == sum(map(len, found.values()))
    for paths in found.values():
        assert {space.equivalent_paths(path) for path in (paths[0], paths[-1])} == {len(paths)}


@pytest.mark.slow
def test_the_number_of_paths_of_the_whole_space():
    inputs = product(*(range(len(names)) for names in SPACE.choices[5:]))
    assert SPACE.size() == 3**5 * sum(SPACE.allows((0,) * 5 + own) for own in inputs)


def assert_uniform(counts: Counter, kinds: int) -> None:
    """χ² at most four standard deviations above what it is on average."""
    assert len(counts) == kinds
    expected = counts.total() / kinds
    chi2 = sum((count - expected) ** 2 for count in counts.values()) / expected
    assert chi2 < kinds - 1 + 4 * sqrt(2 * (kinds - 1))


@pytest.mark.parametrize("name", ["4 vertices and 3 edges", "4 vertices", "5 vertices, two into the output"])
def test_every_cell_is_drawn_as_often(name: str):
    space, found, random = SMALL[name], classes(name), Random(0)
    draws = [space.random_distinct(random.randrange) for _ in range(20 * len(found))]
    assert all(space.allows(path) for path in draws)
    hashes = {path: own for own, paths in found.items() for path in paths}
    assert_uniform(Counter(hashes[path] for path in draws), len(found))


def test_every_path_is_drawn_as_often():
    space, random = SMALL["4 vertices"], Random(0)
    draws = Counter(space.random_path(random.randrange) for _ in range(20 * space.size()))
    assert all(space.allows(path) for path in draws)
    assert_uniform(draws, space.size())


@pytest.mark.parametrize("number", [None, 1, 2, 3, 4])
def test_paths_are_drawn_of_the_space(number: int | None):
    space, random = load_space("nasbench101" + (f"-{number}" if number else "")), Random(1)
    for draw in (Bench101Space.random_path, Bench101Space.random_distinct):
        paths = [draw(space, random.randrange) for _ in range(50)]
        assert len(set(paths)) == 50
        for path in paths:
            assert space.allows(path)
            cell = space.pruned(path)
            assert number in (None, sum(row[-1] for row in cell.matrix[1:]))
            assert sum(map(sum, cell.matrix)) <= 9


@PROPERTY
@given(PATH.filter(lambda path: SPACE.allows(path)))
def test_cells_and_their_paths_say_the_same(path: SinglePath):
    cell = SPACE.pruned(path)
    again = SPACE.path_of_graph(cell)
    assert SPACE.pruned(again) == cell
    assert SPACE.canonical(again) == SPACE.canonical(path)
    assert check_genotype(genotype(cell), SPACE, "my.yaml") == genotype(cell)


def test_the_path_of_a_graph_is_filled_up_before_the_output():
    graph = Graph(matrix(4, "01", "02", "12", "23", "03"), (POOL, CONV1))
    assert SPACE.path_of_graph(graph) == (2, 1, 0, 0, 0, 0b1, 0b11, 0, 0, 0, 0b101)
    loose = Graph(matrix(4, "01", "02", "23"), (POOL, CONV1))  # what is no part of the cell stays where it is
    assert SPACE.path_of_graph(loose) == (2, 1, 0, 0, 0, 0b1, 0b1, 0, 0, 0, 0b100)


@pytest.mark.parametrize(
    ("own", "channels"),
    [
        (matrix(2, "01"), (3, 8)),
        (matrix(4, "01", "13", "02", "23"), (3, 4, 4, 8)),
        (matrix(4, "01", "12", "23"), (3, 8, 8, 8)),
        (matrix(4, "01", "12", "13", "23", "03"), (3, 4, 4, 8)),
    ],
)
def test_vertices_share_the_channels_of_the_output(own: Matrix, channels: tuple[int, ...]):
    assert vertex_channels(3, 8, own) == channels


def test_channels_that_do_not_come_out_even():
    # 1 feeds 2 and 5, 2 feeds 3 and 4; 3, 4 and 5 lead into the output
    assert vertex_channels(64, 128, matrix(7, "01", "12", "15", "23", "24", "36", "46", "56")) == (
        *(64, 43, 43, 43, 43, 42),
        128,
    )
    # 1 feeds 4 alone, the last of three
    assert vertex_channels(64, 128, matrix(6, "01", "02", "03", "14", "25", "35", "45")) == (64, 42, 43, 43, 42, 128)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (Graph(matrix(3, "01", "12"), (CONV3, CONV1)), "matrix: 3 rows, should be 4: 2 operations, the input and"),
        (Graph(((0, 1), (0, 0, 1), (0, 0, 0)), (CONV3,)), "matrix[0]: 2 numbers, should be 3: 1 operations"),
        (Graph(((0, 1, 2), (0, 0, 1), (0, 0, 0)), (CONV3,)), "matrix[0][2]: 2: should be 0 or 1"),
        (Graph(matrix(3, "01", "12", "21"), (CONV3,)), "matrix[2][1]: 1: should be 0, as edges lead to later vertices"),
        (Graph(matrix(3, "01", "12", "11"), (CONV3,)), "matrix[1][1]: 1: should be 0, as edges lead to later vertices"),
        (
            Graph(matrix(3, "01", "12"), ("conv3x3",)),
            f"operations[0]: 'conv3x3' is not an operation of space nasbench101 (did you mean '{CONV3}'?)",
        ),
        (Graph(matrix(8, "07"), (POOL,) * 6), "operations: 6, should be at most 5 for space nasbench101"),
        (Graph(matrix(3, "01"), (CONV3,)), "matrix: no way leads from the input to the output"),
        (
            Graph(matrix(5, *(f"{a}{b}" for b in range(5) for a in range(b))), (POOL,) * 3),
            "matrix: 10 edges, should be at most 9 for space nasbench101",
        ),
    ],
)
def test_what_the_space_does_not_allow_is_named(graph: Graph, message: str):
    with pytest.raises(UserError) as refused:
        SPACE.path_of_graph(graph)
    assert str(refused.value).startswith(message)
    with pytest.raises(UserError) as refused:
        check_genotype(genotype(graph), SPACE, "my.yaml")
    assert str(refused.value).startswith(f"my.yaml: {message}")


def test_a_sub_space_has_its_number_of_edges_into_the_output():
    graph = Graph(matrix(4, "01", "02", "13", "23", "03"), (POOL, POOL))
    assert SPACE.allows(load_space("nasbench101-2").path_of_graph(graph))
    with pytest.raises(UserError) as refused:
        load_space("nasbench101-1").path_of_graph(graph)
    assert str(refused.value) == "matrix: 2 vertices lead into the output, should be 1 for space nasbench101-1"


def test_genotypes_of_another_kind_are_named():
    with pytest.raises(UserError, match=r"holds a graph \(operations, matrix\), but space s1 is a cell space"):
        check_genotype(genotype(Graph(matrix(2, "01"), ())), load_space("s1"), "my.yaml")


def test_gates_make_no_graph():
    with pytest.raises(UserError, match="space: nasbench101: is searched by paths"):
        check_kind(SPACE, "space: nasbench101")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": ["conv3x3"]}, f"candidates: 'conv3x3' is not an operation (did you mean '{CONV3}'?)"),
        ({"candidates": [POOL, POOL]}, "candidates: an operation stands twice"),
        ({"vertices": 8}, "vertices: 8: should be less than or equal to 7"),
        ({"output_edges": 6}, "output_edges: 6: no cell of 7 vertices and 9 edges has so many"),
        ({"networks": {}}, "networks.cifar: is missing"),
    ],
)
def test_bad_files_name_the_key(change: dict, message: str):
    content = read_yaml(find("search_spaces", "nasbench101")) | change
    with pytest.raises(UserError) as refused:
        check(Bench101Space, content, "my.yaml")
    assert str(refused.value).startswith(f"my.yaml: {message}")


def test_most_cells_have_all_vertices_and_hardly_any_uniform_path_has():
    """Why Random-A and Random-NAS train such different cells."""
    random, shares = Random(0), []
    for draw in (Bench101Space.random_path, Bench101Space.random_distinct):
        graphs = [SPACE.pruned(draw(SPACE, random.randrange)) for _ in range(500)]
        shares.append(sum(len(graph.matrix) == 7 for graph in graphs) / 500)
    assert shares[0] < 0.02
    assert shares[1] > 0.75
