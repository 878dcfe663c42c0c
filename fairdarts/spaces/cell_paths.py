"""How two DARTS cells are a path: every node has two inputs, and an operation on the edge from each.

The decisions are `CellSpace.choices`. `none` is a choice like any other; genotypes leave it out.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from fairdarts.config import UserError, nearest
from fairdarts.genotype import CELLS, CellGenotype, Edge
from fairdarts.spaces.gates import Gate, Gates, SinglePath

if TYPE_CHECKING:
    from fairdarts.spaces.cell import CellSpace


def input_pairs(node: int) -> list[tuple[int, int]]:
    """The pairs of inputs that a node chooses from, the smaller input first, in the order of its choices."""
    return list(combinations(range(node), 2))


def cells_of_path(path: SinglePath, space: CellSpace) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
    """The edges of a path's normal and of its reduction cell, two of every node, `none` among the operations."""
    cells = []
    for begin in (0, 3 * space.nodes):
        edges: list[Edge] = []
        for number in range(space.nodes):
            node, first = space.inputs + number, begin + 3 * number
            operations = [space.candidates[choice] for choice in path[first + 1 : first + 3]]
            edges += zip(operations, (node, node), input_pairs(node)[path[first]], strict=True)
        cells.append(tuple(edges))
    return cells[0], cells[1]


def gates_of_path(path: SinglePath, space: CellSpace) -> Gates:
    """The gates of a path, an edge a choice point; a chosen `none` is active like any other."""
    gates: list[Gate] = []
    for begin in (0, 3 * space.nodes):
        for number in range(space.nodes):
            node = space.inputs + number
            inputs, *choices = path[begin + 3 * number : begin + 3 * number + 3]
            active = dict(zip(input_pairs(node)[inputs], choices, strict=True))
            gates += [Gate((active[source],) if source in active else ()) for source in range(node)]
    return tuple(gates)


def path_of_cells(genotype: CellGenotype, space: CellSpace) -> SinglePath:
    """The path of a genotype, whose edges may stand in any order.

    Where the space has `none`, a node of fewer than two edges has it on the first inputs that it does not read.
    Raises UserError naming the genotype and the node that has not two different inputs, or the wrong number or name,
    or the cell whose output leaves a node out.
    """
    path: list[int] = []
    for cell in CELLS:
        if getattr(genotype, f"{cell}_concat"):
            every = f"a path of space {space.name} concatenates every node that is fed"
            raise UserError(f"{genotype.name}: {cell}_concat: should be left out, as {every}")
        for node, read in _operations(getattr(genotype, cell), space, f"{genotype.name}: {cell}").items():
            here = f"{genotype.name}: {cell}: node {node}"
            if "none" in space.candidates:
                free = [source for source in range(node) if source not in read]
                read |= dict.fromkeys(free[: max(0, 2 - len(read))], "none")
            if len(read) != 2:
                raise UserError(f"{here} reads {len(read)} nodes, should be 2 in a path of space {space.name}")
            first, second = sorted(read)
            path.append(input_pairs(node).index((first, second)))
            path += [space.candidates.index(read[source]) for source in (first, second)]
    return tuple(path)


def _operations(edges: tuple[Edge, ...], space: CellSpace, place: str) -> dict[int, dict[int, str]]:
    """Of every intermediate node, which operation reads which input."""
    last = space.inputs + space.nodes - 1
    read: dict[int, dict[int, str]] = {node: {} for node in range(space.inputs, last + 1)}
    for op, node, source in edges:
        if op not in space.candidates:
            near = nearest(op, space.candidates)
            raise UserError(f"{place}: '{op}' is not an operation of space {space.name}{near}")
        if node not in read:
            raise UserError(f"{place}: node {node} should be from {space.inputs} to {last}")
        if not 0 <= source < node:
            raise UserError(f"{place}: node {node} reads node {source}, should be from 0 to {node - 1}")
        if source in read[node]:
            raise UserError(f"{place}: node {node} reads node {source} twice, should be two different ones")
        read[node][source] = op
    return read
