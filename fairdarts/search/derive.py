"""How gates become a genotype, and which operations count as dominant."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fairdarts.config import UserError
from fairdarts.genotype import CELLS, Edge, Genotype
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.sample import EDGES_PER_NODE, SKIP

METHODS = ("argmax", "threshold", "edge")
OPERATIONS_PER_EDGE = 2
"""`edge` keeps at most two candidates an edge, as FairDARTS' released experiments do."""

Matrices = dict[str, np.ndarray]
"""cell kind → gates [edges, candidates]"""


def as_matrices(gates: dict[str, Any], space: CellSpace, place: str) -> Matrices:
    """Gates as checked float64 matrices. Raises UserError where a cell is missing, misshapen, or not from 0 to 1."""
    matrices = {}
    for cell in CELLS:
        if cell not in gates:
            raise UserError(f"{place}: no '{cell}' in it; should hold {' and '.join(CELLS)} {list(space.shape)}")
        try:
            matrix = np.asarray(gates[cell])
        except ValueError:  # rows of unequal length
            matrix = np.asarray("")
        if matrix.dtype.kind not in "fiu":
            raise UserError(f"{place}: {cell}: should be a matrix of numbers")
        matrix = matrix.astype(np.float64)
        if matrix.shape != space.shape:
            raise UserError(
                f"{place}: {cell}: shape {list(matrix.shape)}, should be {list(space.shape)} "
                f"(edges, candidates) for space {space.name}"
            )
        if not np.all((matrix >= 0) & (matrix <= 1)):
            raise UserError(f"{place}: {cell}: should hold gates from 0 to 1 (softmax or sigmoid of α), not α itself")
        matrices[cell] = matrix
    return matrices


def check_records(records: Sequence[dict[str, Any]], space: CellSpace, place: str) -> Sequence[dict[str, Any]]:
    """The records of a run themselves. Raises UserError where there is none, or one lacks the architecture."""
    if not records:
        raise UserError(f"{place}: no record yet")
    for record in records:
        here = f"{place}, epoch {record['epoch']}"
        as_matrices(record.get("gates") or {}, space, here)
        if not all(isinstance(record.get("dominant", {}).get(cell), dict) for cell in CELLS):
            raise UserError(f"{here}: no 'dominant' operations in it")
    return records


def _strongest(values: Sequence[float], allowed: Sequence[int], count: int) -> list[int]:
    """The `count` allowed positions with the largest values, strongest first; ties go to the earlier one."""
    return sorted(allowed, key=lambda position: -values[position])[:count]


def derive_cell(gates: np.ndarray, space: CellSpace, method: str, threshold: float | None) -> tuple[Edge, ...]:
    """The operations of one cell, from gates [edges, candidates]; `none` is never one of them.

    - argmax (DARTS, section 2.4): a node's two edges with the strongest candidates, each with that candidate;
    - threshold (FairDARTS, section 5.1): of these, the candidates that reach the threshold;
    - edge (FairDARTS' released experiments): on every edge, up to two candidates that reach the threshold.

    Ties go to the edge and the candidate that stand first in the space. Nodes may be left without operations.
    """
    allowed = [column for column, name in enumerate(space.candidates) if name != "none"]
    chosen: list[tuple[int, int]] = []  # (row, column)
    for node in range(space.inputs, space.inputs + space.nodes):
        rows = [row for row, edge in enumerate(space.edges) if edge[0] == node]
        if method == "edge":
            chosen += [(row, column) for row in rows for column in _strongest(gates[row], allowed, OPERATIONS_PER_EDGE)]
        else:
            best = {row: _strongest(gates[row], allowed, 1)[0] for row in rows}
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


def derive(
    gates: Matrices,
    space: CellSpace,
    method: str,
    threshold: float | None,
    name: str,
    source: str,
    max_skips: int | None = None,
) -> Genotype:
    """The genotype of both cells (see `derive_cell`), each with at most `max_skips` skip connections."""
    limited = max_skips is not None and SKIP in space.candidates
    cells = {
        cell: limited_cell(gates[cell], space, method, threshold, max_skips)
        if limited
        else derive_cell(gates[cell], space, method, threshold)
        for cell in CELLS
    }
    return Genotype(schema=1, name=name, space=space.name, source=source, **cells)


def dominant(gates: np.ndarray, space: CellSpace, method: str, threshold: float | None) -> dict[str, int]:
    """How many dominant operations each candidate has in one cell, in the order of the space.

    Under argmax they are, for every node, the two strongest candidates of all its incoming edges (FairDARTS, section
    3.2); with a threshold, all candidates that reach it (footnote 5). `none` is never dominant.
    """
    allowed = [column for column, name in enumerate(space.candidates) if name != "none"]
    counts = dict.fromkeys((space.candidates[column] for column in allowed), 0)
    if method == "argmax":
        for node in range(space.inputs, space.inputs + space.nodes):
            rows = [row for row, edge in enumerate(space.edges) if edge[0] == node]
            ranked = sorted(((row, column) for row in rows for column in allowed), key=lambda at: -gates[at])
            for _, column in ranked[:EDGES_PER_NODE]:
                counts[space.candidates[column]] += 1
    else:
        for column in allowed:
            counts[space.candidates[column]] = int((gates[:, column] >= threshold).sum())
    return counts
