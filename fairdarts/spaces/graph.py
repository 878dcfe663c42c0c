"""When are two cells of NAS-Bench-101 (arXiv:1902.09635) the same? Pruning, its hash, and all its wirings.

Vertices are numbered so that edges lead from smaller to larger ones; 0 is the cell's input, the last one its output.
`inputs` holds of every vertex but 0 a bit mask of those it reads: bit s is an edge from s.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations, product
from typing import NamedTuple

import numpy as np

Matrix = tuple[tuple[int, ...], ...]
"""[from][to] of a graph's vertices, 1 for an edge: upper triangular"""


class Graph(NamedTuple):
    """A cell: which vertices lead to which, and what those between input and output do."""

    matrix: Matrix
    operations: tuple[str, ...]


class Wiring(NamedTuple):
    """The cells that differ by their operations alone, whatever the order of their vertices."""

    vertices: int
    """with input and output; all of them are on a way from the one to the other"""
    codes: tuple[int, ...]
    """of all its orders of vertices, the bits of `inputs`, one after another (see `unpacked`)"""
    cells: int
    """how many different cells it has: choices of operations that no symmetry makes alike"""

    @property
    def ends(self) -> int:
        """How many vertices other than the input lead into the output."""
        return (unpacked(self.codes[0], self.vertices)[-1] & ~1).bit_count()


def kept(inputs: Sequence[int]) -> int:
    """Bit mask of the vertices on a way from the input to the output; 0 where there is none."""
    last, reached = len(inputs), 1
    for vertex, sources in enumerate(inputs, start=1):
        if sources & reached:
            reached |= 1 << vertex
    if not reached >> last:
        return 0
    needed = 1 << last
    for vertex in range(last, 0, -1):
        if needed >> vertex & 1:
            needed |= inputs[vertex - 1]
    return reached & needed


def bits(mask: int) -> tuple[int, ...]:
    """The numbers of the bits that are set, from the smallest."""
    return tuple(bit for bit in range(mask.bit_length()) if mask >> bit & 1)


def matrix_of(inputs: Sequence[int], keep: int) -> Matrix:
    """The graph of the vertices in the bit mask `keep`, and of the edges between them."""
    vertices = bits(keep)
    reads = (0, *inputs)
    return tuple(tuple(reads[target] >> source & 1 for target in vertices) for source in vertices)


def prune(inputs: Sequence[int], operations: Sequence[str]) -> Graph | None:
    """The cell without vertices on no way from the input to the output; None where there is no such way."""
    keep = kept(inputs)
    if not keep:
        return None
    return Graph(matrix_of(inputs, keep), tuple(operations[vertex - 1] for vertex in bits(keep)[1:-1]))


def inputs_of(matrix: Matrix) -> tuple[int, ...]:
    """Of every vertex but the first, the bit mask of those it reads."""
    columns = [*zip(*matrix, strict=True)][1:]
    return tuple(sum(edge << source for source, edge in enumerate(column)) for column in columns)


def unpacked(code: int, vertices: int) -> tuple[int, ...]:
    """The `inputs` of so many vertices, from an integer of as many bits as there are places for edges."""
    return tuple(code >> _bit(0, target) & (1 << target) - 1 for target in range(1, vertices))


def shape_problem(graph: Graph) -> str | None:
    """What keeps rows of numbers from being the matrix of a cell of these operations; None where nothing does."""
    vertices = len(graph.operations) + 2
    fits = f"should be {vertices}: {len(graph.operations)} operations, the input and the output"
    if len(graph.matrix) != vertices:
        return f"matrix: {len(graph.matrix)} rows, {fits}"
    for source, row in enumerate(graph.matrix):
        if len(row) != vertices:
            return f"matrix[{source}]: {len(row)} numbers, {fits}"
        for target, edge in enumerate(row):
            if edge not in (0, 1):
                return f"matrix[{source}][{target}]: {edge}: should be 0 or 1"
            if edge and target <= source:
                return f"matrix[{source}][{target}]: 1: should be 0, as edges lead to later vertices (upper triangular)"
    return None


def fingerprint(matrix: Matrix, labels: Sequence[int]) -> str:
    """The benchmark's hash of a pruned cell (arXiv:1902.09635, section 2; the authors' `hash_module`).

    `labels` has a number for every vertex. A vertex begins with a digest of its degrees and its label, and as often as
    there are vertices takes up those of its neighbours; what comes of it does not depend on the order of the vertices.
    """
    columns = tuple(zip(*matrix, strict=True))
    degrees = zip(matrix, columns, labels, strict=True)
    digests = [_md5(str((sum(row), sum(column), label))) for row, column, label in degrees]
    for _ in labels:
        before, behind = ([_joined(digests, row) for row in edges] for edges in (columns, matrix))
        digests = [_md5("|".join(around)) for around in zip(before, behind, digests, strict=True)]
    return _md5(str(sorted(digests)))


def orders(graph: Graph) -> set[tuple[tuple[int, ...], tuple[str, ...]]]:
    """(inputs, operations) of the same cell with its vertices in every order, edges leading to larger numbers."""
    forms = set()
    edges = [(source, target) for source, row in enumerate(graph.matrix) for target in _ones(row)]
    for place in _places(len(graph.matrix)):
        if all(place[source] < place[target] for source, target in edges):
            inputs = [0] * (len(place) - 1)
            for source, target in edges:
                inputs[place[target] - 1] |= 1 << place[source]
            moved = sorted(zip(place[1:-1], graph.operations, strict=True))
            forms.add((tuple(inputs), tuple(name for _, name in moved)))
    return forms


def as_trained(graph: Graph, names: Sequence[str]) -> Graph:
    """The cell in the order of vertices that the benchmark trained it in: that which its enumeration meets first.

    `names` are the operations in the benchmark's order. Of three vertices that lead into the output, the first ones
    have a channel more than the last, so that networks of one cell differ where the order does.
    """
    order = min(orders(graph), key=lambda form: (form[0][::-1], [names.index(name) for name in form[1]]))
    return Graph(matrix_of(order[0], (1 << len(graph.matrix)) - 1), order[1])


def symmetries(code: int, vertices: int) -> tuple[tuple[int, ...], ...]:
    """Of every vertex its new place, in all renumberings of a graph that leave the graph as it is."""
    edges = {(s, target) for target, mask in enumerate(unpacked(code, vertices), start=1) for s in bits(mask)}
    places = _places(vertices)
    return tuple(place for place in places if all((place[s], place[target]) in edges for s, target in edges))


def wirings(vertices: int, edges: int, operations: int) -> tuple[Wiring, ...]:
    """All wirings of so many vertices and at most so many edges, with the cells that so many operations make of them.

    It goes through all upper triangular matrices, two million for 7 vertices, in some hundredths of a second.
    """
    codes = _full(vertices, edges)
    bit = {(s, target): codes >> _bit(s, target) & 1 for target in range(vertices) for s in range(target)}
    least, same, fixed = codes.copy(), np.zeros_like(codes), np.zeros_like(codes)
    for place in _places(vertices):
        moved = np.zeros_like(codes)
        for (s, target), edge in bit.items():
            start, end = place[s], place[target]
            moved |= edge << _bit(start, end) if start < end else -edge  # -1, and it stays so: an edge leads back
        least = np.where(moved < 0, least, np.minimum(least, moved))
        same += moved == codes
        fixed += (moved == codes) * operations ** (_cycles(place) - 2)
    order = np.argsort(least, kind="stable")
    starts = np.flatnonzero(np.diff(least[order], prepend=-1))
    cells = (fixed // same)[order][starts]  # Burnside: the mean, over all symmetries, of what each leaves as it is
    groups = (group.tolist() for group in np.split(codes[order], starts[1:]))
    return tuple(Wiring(vertices, tuple(group), int(number)) for group, number in zip(groups, cells, strict=True))


def arrangements(inner: int, vertices: int, operations: int) -> int:
    """In how many ways the `inner` vertices of a cell, in their order, can stand among more that are no part of it.

    The others lie between input and output, too, each has one of so many operations and edges to and from any, but is
    on no way from the input to the output. So one that the input reaches, itself or by others, leads into no vertex of
    the cell; one that it does not reach may lead anywhere, and reads its like alone.
    """
    ways, others = 0, vertices - inner
    for places in combinations(range(1, vertices - 1), inner - 2):
        for reached in product((False, True), repeat=others):
            beside, number = iter(reached), 1
            fed, unfed = 1, 0  # how many vertices so far the input reaches, itself among them; and how many it does not
            for vertex in range(1, vertices):
                part = vertex in places or vertex == vertices - 1
                reachable = part or next(beside)
                number *= 2**unfed * (2**fed - 1 if reachable and not part else 1)
                fed, unfed = fed + reachable, unfed + (not reachable)
            ways += number
    return ways * operations**others


def _full(vertices: int, edges: int) -> np.ndarray:
    """The codes of all graphs whose vertices are all on a way from the input to the output."""
    codes: np.ndarray = np.arange(1 << _bit(0, vertices), dtype=np.int32)
    codes = codes[np.bitwise_count(codes) <= edges]
    for vertex in range(vertices):
        reads = sum(1 << _bit(source, vertex) for source in range(vertex))
        feeds = sum(1 << _bit(vertex, target) for target in range(vertex + 1, vertices))
        # As edges lead to larger numbers only, it is enough that every vertex is read, and reads, another.
        for mask in filter(None, (reads, feeds)):
            codes = codes[codes & mask != 0]
    return codes


def _bit(source: int, target: int) -> int:
    """The place of an edge in a code."""
    return target * (target - 1) // 2 + source


def _places(vertices: int) -> Iterator[tuple[int, ...]]:
    """Of every vertex its new place, in all renumberings that leave input and output where they are."""
    return ((0, *between, vertices - 1) for between in permutations(range(1, vertices - 1)))


def _cycles(place: tuple[int, ...]) -> int:
    """The number of cycles of a permutation."""
    left, number = set(range(len(place))), 0
    while left:
        number += 1
        at = next(iter(left))
        while at in left:
            left.remove(at)
            at = place[at]
    return number


def _ones(row: Sequence[int]) -> tuple[int, ...]:
    """Where a row of a matrix has an edge."""
    return tuple(number for number, edge in enumerate(row) if edge)


def _joined(digests: Sequence[str], row: Sequence[int]) -> str:
    return "".join(sorted(digests[number] for number in _ones(row)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
