"""What may be chosen in a cell: the facts of S1 and its kin, and which genotypes they allow."""

from fractions import Fraction
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fairdarts.config import Settings, UserError, nearest
from fairdarts.genotype import CELLS, CellGenotype
from fairdarts.ops.cell import OPS


class Size(Settings):
    """How deep and wide the cells are stacked."""

    cells: int = Field(ge=1, le=1000)
    """number of cells"""
    channels: int = Field(ge=2, le=4096)
    """channels of the first cell's nodes; doubled at every reduction"""


class NetworkSize(Size):
    """A stand-alone network of the literature, and the images it is counted on."""

    image: int = Field(ge=1, le=8192)
    """height and width of its images"""
    classes: int = Field(ge=2, le=1_000_000)
    """number of classes"""


class Networks(Settings):
    """The stand-alone networks of a space's genotypes."""

    cifar: NetworkSize
    """for small images"""
    imagenet: NetworkSize
    """for large images"""


class CellSpace(Settings):
    """A space of cells: choice points are the edges of a cell, one set for normal and one for reduction cells."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    """version of this file format"""
    name: str
    """what genotypes and settings call it"""
    kind: Literal["cell"]
    """the kind of space"""
    source: str
    """where it comes from"""
    inputs: Literal[2]
    """a cell reads the two cells before it"""
    nodes: int = Field(ge=1, le=16)
    """intermediate nodes; each has an edge from every node before it"""
    candidates: Annotated[tuple[str, ...], Field(min_length=1)]
    """the operations of every edge, in the order of the columns of α"""
    reductions: Annotated[tuple[str, ...], Field(max_length=8)]
    """where the cells that halve the resolution stand, as shares of the depth"""
    stem_multiplier: int = Field(ge=1, le=64)
    """channels of the stem, in units of the first cell's"""
    supernet: Size
    """the supernet's size"""
    networks: Networks
    """the sizes of derived networks"""

    @field_validator("candidates")
    @classmethod
    def _known(cls, candidates: tuple[str, ...]) -> tuple[str, ...]:
        for name in candidates:
            if name not in OPS:
                raise ValueError(f"'{name}' is not an operation{nearest(name, OPS)}")
        if len(set(candidates)) < len(candidates):
            raise ValueError("an operation stands twice")
        if set(candidates) == {"none"}:
            raise ValueError("none is the only operation")
        return candidates

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
    def parts(self) -> tuple[str, ...]:
        """What has a matrix of α each."""
        return CELLS

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(node, input) of every edge, in the order of the rows of α (FairDARTS, supplementary, Table 2).

        Nodes have the numbers of genotypes: the table's (j, k) is (j + inputs, k) here.
        """
        nodes = range(self.inputs, self.inputs + self.nodes)
        return tuple((node, source) for node in nodes for source in range(node))

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one cell's α: [edges, candidates]."""
        return len(self.edges), len(self.candidates)

    @property
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """What a path chooses (see cell_paths), the normal cell first: of every node its inputs and two operations.

        A pair of inputs is named `0+1`, the smaller one first; the operations are those of its edges, in this order.
        """
        cell: list[tuple[str, ...]] = []
        for node in range(self.inputs, self.inputs + self.nodes):
            pairs = tuple(f"{first}+{second}" for first, second in combinations(range(node), 2))
            cell += [pairs, self.candidates, self.candidates]
        return tuple(cell) * len(CELLS)

    @property
    def topology(self) -> tuple[int, ...]:
        """Which of `choices` are inputs, not operations."""
        return tuple(range(0, 3 * self.nodes * len(CELLS), 3))

    def reduction_cells(self, cells: int) -> set[int]:
        """Which of `cells` cells are reduction cells."""
        return {int(cells * Fraction(share)) for share in self.reductions}


def check_cells(genotype: CellGenotype, space: CellSpace, place: str) -> None:
    """Raises UserError naming the place in the file where the space does not allow the genotype."""
    last = space.inputs + space.nodes - 1
    operations = [name for name in space.candidates if name != "none"]
    for cell in CELLS:
        for position, (op, node, source) in enumerate(getattr(genotype, cell)):
            here = f"{place}: {cell}[{position}]"
            if op not in operations:
                raise UserError(f"{here}: '{op}' is not an operation of space {space.name}{nearest(op, operations)}")
            if not space.inputs <= node <= last:
                raise UserError(f"{here}: node {node} should be from {space.inputs} to {last}")
            if source == node:
                raise UserError(f"{here}: node {node} reads itself")
            if not 0 <= source < node:
                raise UserError(f"{here}: node {node} reads node {source}, should be from 0 to {node - 1}")
