"""What may be chosen in NAS-Bench-201 (arXiv:2001.00326): facts, architecture strings, which cells are one network."""

import re
from typing import Annotated, Literal, TypeVar

from pydantic import Field, field_validator

from fairdarts.config import Settings, UserError, nearest
from fairdarts.genotype import EdgeGenotype
from fairdarts.ops.cell import SKIP
from fairdarts.ops.nasbench201 import OPS

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""(node, input) of every edge of the cell: node 0 is its input, node 3 its output (section 2.1, Fig. 1)"""
STAGES = 3
"""of equal width and resolution; between them the width doubles and the resolution halves (section 2.1, Fig. 1)"""

T = TypeVar("T")

_EDGE = r"[^|~+\s]+~[0-9]+"
_NODE = rf"\|(?:{_EDGE}\|)+"
ARCH = re.compile(rf"{_NODE}(?:\+{_NODE})*")
"""what the benchmark's architecture strings look like, those of other numbers of nodes among them"""


class Bench201Size(Settings):
    """The images that the stand-alone network is made for."""

    image: int = Field(ge=1, le=8192)
    """height and width of its images"""
    classes: int = Field(ge=2, le=1_000_000)
    """number of classes"""


class Bench201Networks(Settings):
    """The stand-alone networks of the space's genotypes."""

    cifar: Bench201Size
    """for small images"""


class Bench201Space(Settings):
    """The space of NAS-Bench-201: choice points are the edges of one cell, which all cells of a network share."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    """version of this file format"""
    name: str
    """what genotypes and settings call it"""
    kind: Literal["nasbench201"]
    """the kind of space"""
    source: str
    """where it comes from"""
    candidates: Annotated[tuple[str, ...], Field(min_length=1)]
    """the operations of every edge; a path holds indices into them"""
    channels: int = Field(ge=1, le=4096)
    """channels of the first stage's cells; doubled from stage to stage"""
    cells: int = Field(ge=1, le=1000)
    """cells of a stage"""
    networks: Bench201Networks
    """the sizes of stand-alone networks"""

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

    @property
    def parts(self) -> tuple[str, ...]:
        """What would have a matrix of gates each: the edges of the one cell."""
        return ("edges",)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(node, input) of every edge, in the order of paths and genotypes: that of the architecture string."""
        return EDGES

    @property
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """The operations of each edge."""
        return (self.candidates,) * len(EDGES)

    @property
    def topology(self) -> tuple[int, ...]:
        """The points that choose inputs: none."""
        return ()

    @property
    def shape(self) -> tuple[int, int]:
        """[edges, candidates]."""
        return len(EDGES), len(self.candidates)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every stage."""
        return tuple(self.channels * 2**stage for stage in range(STAGES))


def check_edges(genotype: EdgeGenotype, space: Bench201Space, place: str) -> None:
    """Raises UserError naming the place in the file where the space does not allow the genotype."""
    if len(genotype.edges) != len(EDGES):
        raise UserError(f"{place}: edges: {len(genotype.edges)}, should be {len(EDGES)} for space {space.name}")
    for number, name in enumerate(genotype.edges):
        if name not in space.candidates:
            near = nearest(name, space.candidates)
            raise UserError(f"{place}: edges[{number}]: '{name}' is not an operation of space {space.name}{near}")


def names_of_arch(text: str) -> list[str]:
    """The operations of the benchmark's architecture string, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, edge by edge.

    Of every node from 1 on, each edge into it as operation~input. Raises UserError naming what is wrong in it.
    """
    form = "+".join(f"|{'|'.join(into)}|" for into in _by_node([f"op~{source}" for _, source in EDGES]))
    if not ARCH.fullmatch(text):
        raise UserError(f"{text!r}: not an architecture of NAS-Bench-201: should be {form}")
    nodes = [[edge.split("~") for edge in re.findall(_EDGE, node)] for node in text.split("+")]
    found = [(str(node), source) for node, into in enumerate(nodes, start=1) for _, source in into]
    if found != [(str(node), str(source)) for node, source in EDGES]:
        raise UserError(f"{text!r}: its edges are others than those of NAS-Bench-201: should be {form}")
    return [name for into in nodes for name, _ in into]


def path_of_arch(text: str, space: Bench201Space) -> tuple[int, ...]:
    """The path of the benchmark's architecture string. Raises UserError naming what is wrong in it."""
    path = []
    for name in names_of_arch(text):
        if name not in space.candidates:
            near = nearest(name, space.candidates)
            raise UserError(f"{text!r}: '{name}' is not an operation of space {space.name}{near}")
        path.append(space.candidates.index(name))
    return tuple(path)


def arch_of_path(path: tuple[int, ...], space: Bench201Space) -> str:
    """The benchmark's architecture string of a path (see `path_of_arch`)."""
    words = [f"{space.candidates[choice]}~{source}" for choice, (_, source) in zip(path, EDGES, strict=True)]
    return "+".join(f"|{'|'.join(into)}|" for into in _by_node(words))


def canonical(path: tuple[int, ...], space: Bench201Space) -> str:
    """The same text for all paths that are one network to the benchmark (section 2.1), and for no others.

    It is the string by which the authors' code compares cells (`to_unique_str`): a node is the sorted sum of its
    edges, '0' the cell's input, '#' nothing. A skip stands for its input as a whole, and only what reads a node that
    is '#' alone is '#' itself, so some cells that compute the same count as different: there are 6,466 in all.
    """
    nodes = ["0"]
    for into in _by_node([*zip(path, EDGES, strict=True)]):
        terms = []
        for choice, (_, source) in into:
            name = space.candidates[choice]
            if name == "none" or nodes[source] == "#":
                terms.append("#")
            else:
                terms.append(nodes[source] if name == SKIP else f"({nodes[source]})@{name}")
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


def _by_node(of_edges: list[T]) -> list[list[T]]:
    """What is given for every edge, node by node."""
    return [[own for own, (node, _) in zip(of_edges, EDGES, strict=True) if node == into] for into in (1, 2, 3)]
