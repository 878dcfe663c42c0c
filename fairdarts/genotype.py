"""What a discrete architecture is, and how it is read and written: plain data that knows nothing of supernets."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from fairdarts.checking import check
from fairdarts.config import Settings
from fairdarts.reading import read_yaml

Edge = tuple[str, int, int]
"""(operation, node, input): nodes 0 and 1 are the outputs of the two cells before, intermediate nodes follow."""

CELLS = ("normal", "reduce")

SKIP = "skip_connect"
"""the operation whose unfair advantage DARTS suffers from (FairDARTS, arXiv:1911.12126, section 3.2)"""


class _Architecture(Settings, ABC):
    holds: ClassVar[str]
    """what its file holds, in words"""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    """version of this file format"""
    name: str
    """what it is called"""
    space: str
    """the search space it was found in"""
    source: str
    """where it comes from: paper and table, or the run"""

    def __str__(self) -> str:
        return to_yaml(self).rstrip("\n")  # type: ignore[arg-type]  # of one of the kinds

    @property
    def empty_cells(self) -> list[str]:
        """The cells that nothing leads through: no operation takes part in them."""
        return []

    @property
    def remarks(self) -> tuple[str, ...]:
        """What its derivation had to decide."""
        return ()

    @abstractmethod
    def elements(self) -> set[tuple]:
        """What it consists of, to be counted and compared."""

    @abstractmethod
    def skips(self) -> dict[str, int]:
        """How many skip connections it has, by part: normal, reduce, layers, edges, vertices."""

    @abstractmethod
    def yaml_lines(self) -> list[str]:
        """The lines of YAML behind name, space and source: one operation, one layer or one row a line."""


class CellGenotype(_Architecture):
    """An architecture of two cells. A node may have any number of inputs."""

    holds = "cells (normal, reduce)"

    normal: tuple[Edge, ...]
    """the normal cell: operation, node, input"""
    reduce: tuple[Edge, ...]
    """the reduction cell: operation, node, input"""
    normal_concat: tuple[int, ...] | None = None
    """the nodes that the normal cell's output concatenates; all that are fed where it is null"""
    reduce_concat: tuple[int, ...] | None = None
    """the same of the reduction cell"""

    @property
    def empty_cells(self) -> list[str]:
        return [cell for cell in CELLS if not live(getattr(self, cell))[0]]

    def concat(self, cell: str) -> tuple[int, ...]:
        """The nodes that a cell's output concatenates."""
        return getattr(self, f"{cell}_concat") or live(getattr(self, cell))[1]

    def elements(self) -> set[tuple]:
        """(cell, operation, node, input) of every edge."""
        return {(cell, *edge) for cell in CELLS for edge in getattr(self, cell)}

    def skips(self) -> dict[str, int]:
        return {cell: sum(edge[0] == SKIP for edge in getattr(self, cell)) for cell in CELLS}

    def yaml_lines(self) -> list[str]:
        lines = []
        for cell in CELLS:
            lines += _listed(cell, (f"[{_quoted(op)}, {node}, {source}]" for op, node, source in getattr(self, cell)))
        chosen = {key: getattr(self, key) for key in (f"{cell}_concat" for cell in CELLS)}
        return lines + [f"{key}: {[*nodes]}" for key, nodes in chosen.items() if nodes]


class ChainGenotype(_Architecture):
    """An architecture of layers, one after another."""

    holds = "layers"

    notes: tuple[str, ...] = ()
    """what its derivation had to decide, layer by layer"""
    layers: tuple[tuple[str, ...], ...]
    """of every layer its choices, whose outputs are summed; none where the layer is removed"""

    @property
    def remarks(self) -> tuple[str, ...]:
        return self.notes

    def elements(self) -> set[tuple]:
        """(layer, choice) of every choice."""
        return {(number, choice) for number, layer in enumerate(self.layers) for choice in layer}

    def skips(self) -> dict[str, int]:
        """A layer that is removed is one."""
        return {"layers": sum(SKIP in layer or not layer for layer in self.layers)}

    def yaml_lines(self) -> list[str]:
        notes = _listed("notes", map(_quoted, self.notes)) if self.notes else []
        return notes + _listed("layers", (f"[{', '.join(map(_quoted, layer))}]" for layer in self.layers))


class EdgeGenotype(_Architecture):
    """An architecture of one cell, of every edge of which an operation is chosen, `none` included."""

    holds = "edges"

    edges: tuple[str, ...]
    """the operation of every edge, in the space's order"""

    @property
    def empty_cells(self) -> list[str]:
        """Its one cell, called `edges`, where no way leads from the cell's input to its output but by `none`."""
        node, source, reached = 1, 0, {0}  # the edges into every node stand together, from its first input on
        for name in self.edges:
            if name != "none" and source in reached:
                reached.add(node)
            node, source = (node, source + 1) if source + 1 < node else (node + 1, 0)
        return [] if node - 1 in reached else ["edges"]

    def elements(self) -> set[tuple]:
        """(edge, operation) of every edge."""
        return set(enumerate(self.edges))

    def skips(self) -> dict[str, int]:
        return {"edges": self.edges.count(SKIP)}

    def yaml_lines(self) -> list[str]:
        return _listed("edges", map(_quoted, self.edges))


class GraphGenotype(_Architecture):
    """An architecture of one cell, whose vertices have an operation each and choose what they read."""

    holds = "a graph (operations, matrix)"

    operations: tuple[str, ...]
    """of every vertex between the cell's input and output, in their order"""
    matrix: tuple[tuple[int, ...], ...]
    """of every vertex, input and output too, a row with a 1 where an edge leads to another; upper triangular"""

    def elements(self) -> set[tuple]:
        """(vertex, operation) of every vertex between input and output, and (from, to) of every edge."""
        edges = {(row, to) for row, marks in enumerate(self.matrix) for to, mark in enumerate(marks) if mark}
        return edges | set(enumerate(self.operations, start=1))

    def skips(self) -> dict[str, int]:
        """Edges from the cell's input to its output: the benchmark has no operation that is one."""
        return {"vertices": self.matrix[0][-1]}

    def yaml_lines(self) -> list[str]:
        rows = _listed("matrix", (str([*row]) for row in self.matrix))
        return _listed("operations", map(_quoted, self.operations)) + rows


Genotype = CellGenotype | ChainGenotype | EdgeGenotype | GraphGenotype


def live(edges: tuple[Edge, ...], inputs: int = 2) -> tuple[tuple[Edge, ...], tuple[int, ...]]:
    """The operations that take part and the nodes that are fed, which a cell concatenates where nothing else is said.

    A node that no operation feeds is left out, and so is every operation that reads it, node after node.
    """
    fed = set(range(inputs))
    kept: list[Edge] = []
    for node in sorted({edge[1] for edge in edges}):
        incoming = [edge for edge in edges if edge[1] == node and edge[2] in fed]
        if incoming:
            fed.add(node)
            kept += incoming
    return tuple(kept), tuple(sorted(fed - set(range(inputs))))


def _quoted(text: str) -> str:
    """Text in YAML's double quotes, with what YAML may not hold plainly escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _listed(key: str, items: Iterable[str]) -> list[str]:
    """The lines of a list in YAML, an item each."""
    lines = [f"  - {item}" for item in items]
    return [f"{key}:", *lines] if lines else [f"{key}: []"]


def to_yaml(genotype: Genotype) -> str:
    """The genotype as a YAML document, one operation, one layer or one row a line."""
    lines = ["schema: 1"]
    lines += [f"{key}: {_quoted(getattr(genotype, key))}" for key in ("name", "space", "source")]
    return "\n".join(lines + genotype.yaml_lines()) + "\n"


def to_darts_text(genotype: CellGenotype, nodes: int = 4, inputs: int = 2) -> str:
    """The line that DARTS code prints: pairs where every node has two inputs, else FairDARTS' triples."""
    order = [node for node in range(inputs, inputs + nodes) for _ in range(2)]
    paired = all([edge[1] for edge in getattr(genotype, cell)] == order for cell in CELLS)
    parts = []
    for cell in CELLS:
        edges = [(op, source) if paired else (op, node, source) for op, node, source in getattr(genotype, cell)]
        chosen = getattr(genotype, f"{cell}_concat")
        parts.append(f"{cell}={edges}, {cell}_concat={[*chosen] if chosen else f'range({inputs}, {inputs + nodes})'}")
    return f"Genotype({', '.join(parts)})"


def read(path: Path) -> Genotype:
    """A genotype from a YAML file. What other code prints is read by networks/printed.py."""
    return from_content(read_yaml(path), path)


def from_content(content: dict[str, Any], place: str | Path) -> Genotype:
    """A genotype from keys and values. Raises UserError naming the place, which is what they were read from."""
    kinds: dict[str, type[Genotype]] = {
        "layers": ChainGenotype,
        "edges": EdgeGenotype,
        "matrix": GraphGenotype,
        "operations": GraphGenotype,
    }
    return check(next((kinds[key] for key in kinds if key in content), CellGenotype), content, place)
