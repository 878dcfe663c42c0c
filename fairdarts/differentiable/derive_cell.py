"""How the gates of a cell become its operations, and which of them count as dominant."""

from collections.abc import Sequence

import numpy as np

from fairdarts.genotype import SKIP, Edge
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.sample import EDGES_PER_NODE

OPERATIONS_PER_EDGE = 2
"""`edge` keeps at most two candidates an edge, as FairDARTS' released experiments do."""


def strongest(values: Sequence[float], allowed: Sequence[int], count: int) -> list[int]:
    """The `count` allowed positions with the largest values, strongest first; ties go to the one allowed first."""
    return sorted(allowed, key=lambda position: -values[position])[:count]


def derive_cell(gates: np.ndarray, space: CellSpace, method: str, threshold: float | None) -> tuple[Edge, ...]:
    """The operations of one cell, from gates [edges, candidates]; `none` is never one of them.

    - argmax (DARTS, section 2.4): a node's two edges with the strongest candidates, each with that candidate;
    - threshold (FairDARTS, section 5.1): of these, the candidates that reach the threshold;
    - edge (FairDARTS' released experiments): on every edge, up to two candidates that reach the threshold.

    Ties go to the edge and the candidate that stand first in the space, but under `edge` to the candidate that stands
    last, as in the released experiments. Nodes may be left without operations.
    """
    allowed = [column for column, name in enumerate(space.candidates) if name != "none"]
    chosen: list[tuple[int, int]] = []  # (row, column)
    for node in range(space.inputs, space.inputs + space.nodes):
        rows = [row for row, edge in enumerate(space.edges) if edge[0] == node]
        if method == "edge":
            later = allowed[::-1]
            chosen += [(row, column) for row in rows for column in strongest(gates[row], later, OPERATIONS_PER_EDGE)]
        else:
            best = {row: strongest(gates[row], allowed, 1)[0] for row in rows}
            rows = sorted(rows, key=lambda row: -gates[row][best[row]])[:EDGES_PER_NODE]
            chosen += [(row, best[row]) for row in rows]
    floor = 0.0 if method == "argmax" else threshold  # a gate below zero is one that was taken away
    return tuple((space.candidates[column], *space.edges[row]) for row, column in chosen if gates[row][column] >= floor)


def limited_cell(
    gates: np.ndarray, space: CellSpace, method: str, threshold: float | None, max_skips: int
) -> tuple[Edge, ...]:
    """As `derive_cell`, with at most so many skip connections.

    While there are more, the weakest of them loses its gate and the cell is derived again (P-DARTS, arXiv:1904.12760,
    section 3.3).
    """
    gates, column = gates.copy(), space.candidates.index(SKIP)
    while True:
        edges = derive_cell(gates, space, method, threshold)
        rows = [space.edges.index((node, source)) for op, node, source in edges if op == SKIP]
        if len(rows) <= max_skips:
            return edges
        gates[min(rows, key=lambda row: gates[row, column]), column] = -1


def strongest_of_nodes(gates: np.ndarray, space: CellSpace) -> dict[str, int]:
    """How often each candidate of a cell, in the order of the space, is among the two strongest of all edges into a
    node, its dominant operations (FairDARTS, section 3.2). `none` is never dominant."""
    allowed = [column for column, name in enumerate(space.candidates) if name != "none"]
    counts = dict.fromkeys((space.candidates[column] for column in allowed), 0)
    for node in range(space.inputs, space.inputs + space.nodes):
        rows = [row for row, edge in enumerate(space.edges) if edge[0] == node]
        ranked = sorted(((row, column) for row in rows for column in allowed), key=lambda at: -gates[at])
        for _, column in ranked[:EDGES_PER_NODE]:
            counts[space.candidates[column]] += 1
    return counts
