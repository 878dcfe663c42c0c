"""Cells of NAS-Bench-101 as graphs: pruning, the benchmark's hash, and the orders of their vertices."""

from collections import Counter
from itertools import product
from random import Random

import pytest
from bench101 import CONV1, CONV3, POOL, matrix, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.graph import (
    Graph,
    Matrix,
    arrangements,
    bits,
    fingerprint,
    inputs_of,
    matrix_of,
    orders,
    symmetries,
    unpacked,
    wirings,
)
from fairdarts.spaces.nasbench101 import LABELS
from fairdarts.spaces.space import load_space

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
SPACE = load_space("nasbench101")
PATH = st.tuples(*(st.integers(0, len(names) - 1) for names in SPACE.choices))
CHAIN = Graph(matrix(4, "01", "12", "23"), (CONV3, POOL))
FORK = Graph(matrix(4, "01", "02", "13", "23"), (CONV3, POOL))


def on_a_way(path: SinglePath) -> set[int]:
    """The vertices on any way from the input to the output, from all ways there are."""
    inputs = dict(enumerate(path[5:], start=1))

    def ways(vertex: int) -> list[set[int]]:
        if vertex == 0:
            return [{0}]
        before = [source for source in range(vertex) if inputs[vertex] >> source & 1]
        return [way | {vertex} for source in before for way in ways(source)]

    return set().union(*ways(6))


@PROPERTY
@given(PATH)
def test_what_is_on_no_way_is_no_part_of_the_cell(path: SinglePath):
    keep, cell = sorted(on_a_way(path)), SPACE.pruned(path)
    if not keep:
        assert cell is None
        assert not SPACE.allows(path)
        return
    assert cell.operations == tuple(SPACE.candidates[path[vertex - 1]] for vertex in keep[1:-1])
    for row, source in enumerate(keep):
        for column, target in enumerate(keep):
            assert cell.matrix[row][column] == (target > source and path[4 + target] >> source & 1)
    assert SPACE.allows(path) == (sum(map(sum, cell.matrix)) <= 9)


def test_a_matrix_is_its_inputs():
    assert inputs_of(matrix(4, "01", "02", "13", "23", "03")) == (0b1, 0b1, 0b111)
    assert bits(0b10110) == (1, 2, 4)
    assert unpacked(0b111_01_1, 4) == (0b1, 0b01, 0b111)
    assert matrix_of((0b1, 0b1, 0b111), 0b1101) == matrix(3, "01", "12", "02")


def assert_hashes(told: list) -> None:
    for row in told:
        path = SPACE.path_of_graph(row.graph)
        assert SPACE.canonical(path) == row.hash
        assert SPACE.pruned(path) == row.graph


def test_hashes_are_those_of_the_benchmark():
    assert_hashes(Random(0).sample(rows(), 500))


@pytest.mark.slow
def test_all_hashes_are_those_of_the_benchmark():
    told = rows()
    assert len(told) == 13_385
    assert_hashes(told)


@PROPERTY
@given(PATH.filter(lambda path: SPACE.allows(path)))
def test_all_orders_of_vertices_have_one_hash(path: SinglePath):
    cell = SPACE.pruned(path)
    for inputs, operations in orders(cell):
        whole = matrix_of(inputs, (1 << len(cell.matrix)) - 1)
        labels = [LABELS[name] for name in ("input", *operations, "output")]
        assert fingerprint(whole, labels) == SPACE.canonical(path)
        assert Counter(operations) == Counter(cell.operations)


@pytest.mark.parametrize(
    ("graph", "number"),
    [
        (CHAIN, 1),
        (FORK, 2),
        (FORK._replace(operations=(POOL, POOL)), 1),
        (Graph(matrix(5, "01", "12", "24", "03", "34"), (CONV3, CONV1, POOL)), 3),
        (Graph(matrix(5, "01", "12", "24", "03", "34"), (POOL, POOL, POOL)), 3),
        (Graph(matrix(2, "01"), ()), 1),
    ],
)
def test_orders_that_can_be_told_apart_are_counted(graph: Graph, number: int):
    assert len(orders(graph)) == number


def full(own: Matrix) -> bool:
    """Whether every vertex reads and is read, where it can be."""
    return all(map(any, own[:-1])) and all(any(column) for column in [*zip(*own, strict=True)][1:])


@pytest.mark.parametrize(("vertices", "edges"), [(2, 9), (3, 9), (4, 4), (5, 6)])
def test_wirings_are_all_graphs_by_their_orders(vertices: int, edges: int):
    whole, found = (1 << vertices) - 1, wirings(vertices, edges, 3)
    every = [unpacked(code, vertices) for code in range(1 << vertices * (vertices - 1) // 2)]
    matrices = [own for own in (matrix_of(inputs, whole) for inputs in every) if full(own)]
    fitting = {own for own in matrices if sum(map(sum, own)) <= edges}
    members = [{matrix_of(unpacked(code, vertices), whole) for code in wiring.codes} for wiring in found]
    assert set().union(*members) == fitting
    assert sum(map(len, members)) == len(fitting)
    for own, wiring in zip(members, found, strict=True):
        alike = (POOL,) * (vertices - 2)
        assert {matrix_of(inputs, whole) for inputs, _ in orders(Graph(min(own), alike))} == own
        ways = product(range(3), repeat=vertices - 2)
        assert wiring.cells == len({fingerprint(min(own), (-1, *labels, -2)) for labels in ways})


def test_symmetries_leave_a_graph_as_it_is():
    def code(graph: Graph) -> int:
        return sum(inputs << target * (target - 1) // 2 for target, inputs in enumerate(inputs_of(graph.matrix), 1))

    assert symmetries(code(CHAIN), 4) == ((0, 1, 2, 3),)
    assert symmetries(code(FORK), 4) == ((0, 1, 2, 3), (0, 2, 1, 3))
    three = Graph(matrix(5, "01", "02", "03", "14", "24", "34"), ())
    assert len(symmetries(code(three), 5)) == 6


def test_arrangements():
    assert arrangements(4, 4, 3) == 1
    # A vertex beside input and output: fed by the input and leading nowhere, or fed by nothing, leading there or not
    assert arrangements(2, 3, 1) == 3
    assert arrangements(2, 3, 5) == 15
