"""What may be chosen in a cell: the facts of S1 and its kin, their paths, and which genotypes they allow."""

from collections.abc import Hashable
from fractions import Fraction
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fairdarts.config import Settings, UserError, nearest
from fairdarts.genotype import CELLS, CellGenotype, Edge, live
from fairdarts.ops import names
from fairdarts.own import OWN
from fairdarts.spaces import cell_paths
from fairdarts.spaces.base import Images, SearchSpace, known_operations
from fairdarts.spaces.gates import Gates, Part, SinglePath, Subnet, only_path


class Size(Settings):
    """How deep and wide the cells are stacked."""

    cells: int = Field(ge=1, le=1000)
    """number of cells"""
    channels: int = Field(ge=2, le=4096)
    """channels of the first cell's nodes; doubled at every reduction"""


class NetworkSize(Images, Size):
    """A stand-alone network of the literature, and the images it is counted on."""


class Networks(Settings):
    """The stand-alone networks of a space's genotypes."""

    cifar: NetworkSize
    """for small images"""
    imagenet: NetworkSize
    """for large images"""


class CellSpace(SearchSpace):
    """A space of cells: choice points are the edges of the normal cell, then those of the reduction cell.

    A path has two edges into every node (see `choices`): what its decisions leave out has no active candidate.
    """

    kind: Literal["cell"]
    """the kind of space"""
    inputs: Literal[2]
    """a cell reads the two cells before it"""
    nodes: int = Field(ge=1, le=16)
    """intermediate nodes; each has an edge from every node before it"""
    candidates: Annotated[tuple[str, ...], Field(min_length=1), known_operations(names.CELL, OWN["operation"])]
    """the operations of every edge, in the order of the columns of α"""
    reductions: Annotated[tuple[str, ...], Field(max_length=8)]
    """where the cells that halve the resolution stand, as shares of the depth"""
    stem_multiplier: int = Field(ge=1, le=64)
    """channels of the stem, in units of the first cell's"""
    supernet: Size
    """the supernet's size"""
    networks: Networks
    """the sizes of derived networks"""

    @field_validator("reductions")
    @classmethod
    def _shares(cls, reductions: tuple[str, ...]) -> tuple[str, ...]:
        for share in reductions:
            try:
                inside = 0 <= Fraction(share) < 1
            except (ValueError, ZeroDivisionError):
                inside = False
            if not inside:
                raise ValueError(f"'{share}' should be a fraction from 0 to below 1, such as 1/3")
        return reductions

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(node, input) of every edge, in the order of the rows of α (FairDARTS, supplementary, Table 2).

        Nodes have the numbers of genotypes: the table's (j, k) is (j + inputs, k) here.
        """
        nodes = range(self.inputs, self.inputs + self.nodes)
        return tuple((node, source) for node in nodes for source in range(node))

    @property
    def parts(self) -> dict[str, Part]:
        """The edges of the normal cell, then those of the reduction cell."""
        count = len(self.edges)
        points = (tuple(range(first, first + count)) for first in (0, count))
        return {cell: Part(numbers, self.candidates) for cell, numbers in zip(CELLS, points, strict=True)}

    @property
    def points(self) -> tuple[tuple[str, ...], ...]:
        """The candidates of every edge, of the normal cell first."""
        return (self.candidates,) * (len(CELLS) * len(self.edges))

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of all paths that has each edge: a node keeps two of the edges into it."""
        return tuple(2 / node for node, _ in self.edges) * len(CELLS)

    @property
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """The decisions of a path, the normal cell first: of every node its inputs and two operations.

        A pair of inputs is named `0+1`, the smaller one first; the operations are those of its edges, in this order.
        """
        cell: list[tuple[str, ...]] = []
        for node in range(self.inputs, self.inputs + self.nodes):
            pairs = tuple(f"{first}+{second}" for first, second in combinations(range(node), 2))
            cell += [pairs, self.candidates, self.candidates]
        return tuple(cell) * len(CELLS)

    @property
    def topology(self) -> tuple[int, ...]:
        """The decisions that choose a node's pair of inputs."""
        return tuple(range(0, 3 * self.nodes * len(CELLS), 3))

    @property
    def depth(self) -> str:
        return f"{self.network.cells} cells, {self.network.channels} channels"

    def reduction_cells(self, cells: int) -> set[int]:
        """Which of `cells` cells are reduction cells."""
        return {int(cells * Fraction(share)) for share in self.reductions}

    def canonical(self, path: SinglePath) -> Hashable:
        """What runs of both cells, without edges of `none` and nodes without an input.

        Cells whose nodes only stand in another order are not recognized.
        """
        return tuple(live(edges, self.inputs) for edges in self._operations(path))

    def equivalent_paths(self, path: SinglePath) -> int:
        raise UserError(f"space {self.name}: how many paths are one network is not counted for cells")

    def path_of(self, genotype: CellGenotype) -> SinglePath:
        """The path of a genotype. Raises UserError where a node has not exactly two inputs."""
        return cell_paths.path_of_cells(genotype, self)

    def genotype_of(self, path: SinglePath, name: str, source: str) -> CellGenotype:
        """The genotype of a path, without edges of `none`."""
        return CellGenotype(**self._about(name, source), **dict(zip(CELLS, self._operations(path), strict=True)))

    def gates(self, chosen: Subnet) -> Gates:
        """The gates of a subnet that is one path: an edge that it leaves out has no active candidate.

        Raises ValueError where a decision has not one active choice.
        """
        return cell_paths.gates_of_path(only_path(chosen), self)

    def check(self, genotype: CellGenotype, place: str) -> None:
        """Raises UserError naming the place in the file where the space does not allow the genotype."""
        last = self.inputs + self.nodes - 1
        operations = [name for name in self.candidates if name != "none"]
        for cell in CELLS:
            for position, (op, node, source) in enumerate(getattr(genotype, cell)):
                here = f"{place}: {cell}[{position}]"
                if op not in operations:
                    raise UserError(f"{here}: '{op}' is not an operation of space {self.name}{nearest(op, operations)}")
                if not self.inputs <= node <= last:
                    raise UserError(f"{here}: node {node} should be from {self.inputs} to {last}")
                if source == node:
                    raise UserError(f"{here}: node {node} reads itself")
                if not 0 <= source < node:
                    raise UserError(f"{here}: node {node} reads node {source}, should be from 0 to {node - 1}")
            self._check_concat(genotype, cell, place)

    def _check_concat(self, genotype: CellGenotype, cell: str, place: str) -> None:
        """Raises UserError where a cell's output names a node that is not fed, or leaves one out that nothing reads."""
        key = f"{cell}_concat"
        if (concat := getattr(genotype, key)) is None:
            return
        edges, fed = live(getattr(genotype, cell), self.inputs)
        if not concat or list(concat) != sorted(set(concat) & set(fed)):
            every = ", ".join(map(str, fed))
            raise UserError(f"{place}: {key}: {[*concat]}: should be nodes that are fed, in their order: of {every}")
        if unused := set(fed) - set(concat) - {source for _, _, source in edges}:
            raise UserError(f"{place}: {key}: leaves out node {min(unused)}, which no operation reads either")

    def _operations(self, path: SinglePath) -> list[tuple[Edge, ...]]:
        """The edges of a path's normal and of its reduction cell, without those of `none`."""
        return [tuple(edge for edge in edges if edge[0] != "none") for edges in cell_paths.cells_of_path(path, self)]
