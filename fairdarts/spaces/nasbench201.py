"""What may be chosen in NAS-Bench-201 (arXiv:2001.00326): facts, architecture strings, which cells are one network."""

import re
from collections import Counter
from functools import lru_cache
from itertools import product
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field

from fairdarts.config import UserError, nearest
from fairdarts.genotype import SKIP, EdgeGenotype
from fairdarts.ops.names import NASBENCH201
from fairdarts.own import OWN
from fairdarts.spaces.base import SearchSpace, SmallNetworks, known_operations
from fairdarts.spaces.gates import Part, SinglePath

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""(node, input) of every edge of the cell: node 0 is its input, node 3 its output (section 2.1, Fig. 1)"""
STAGES = 3
"""of equal width and resolution; between them the width doubles and the resolution halves (section 2.1, Fig. 1)"""

T = TypeVar("T")

_EDGE = r"[^|~+\s]+~[0-9]+"
_NODE = rf"\|(?:{_EDGE}\|)+"
ARCH = re.compile(rf"{_NODE}(?:\+{_NODE})*")
"""what the benchmark's architecture strings look like, those of other numbers of nodes among them"""


class Bench201Space(SearchSpace):
    """The space of NAS-Bench-201: choice points are the edges of one cell, which all cells of a network share."""

    kind: Literal["nasbench201"]
    """the kind of space"""
    candidates: Annotated[tuple[str, ...], Field(min_length=1), known_operations(NASBENCH201, OWN["operation"])]
    """the operations of every edge; a path holds indices into them"""
    channels: int = Field(ge=1, le=4096)
    """channels of the first stage's cells; doubled from stage to stage"""
    cells: int = Field(ge=1, le=1000)
    """cells of a stage"""
    networks: SmallNetworks
    """the sizes of stand-alone networks"""

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(node, input) of every edge, in the order of paths and genotypes: that of the architecture string."""
        return EDGES

    @property
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """The operations of each edge."""
        return (self.candidates,) * len(EDGES)

    @property
    def parts(self) -> dict[str, Part]:
        """The edges of the one cell."""
        return {"edges": Part(tuple(range(len(EDGES))), self.candidates)}

    @property
    def depth(self) -> str:
        return f"{STAGES * self.cells} cells, {self.channels} channels"

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every stage."""
        return tuple(self.channels * 2**stage for stage in range(STAGES))

    @property
    def benchmarked(self) -> Self:
        return self.model_copy(update={"candidates": tuple(dict.fromkeys((*self.candidates, *NASBENCH201)))})

    def canonical(self, path: SinglePath) -> str:
        """The same text for all paths that are one network to the benchmark (section 2.1), and for no others.

        It is the string by which the authors' code compares cells (`to_unique_str`): a node is the sorted sum of its
        edges, '0' the cell's input, '#' nothing. A skip stands for its input as a whole, and only what reads a node
        that is '#' alone is '#' itself, so some cells that compute the same count as different: there are 6,466 in all.
        """
        nodes = ["0"]
        for into in _by_node([*zip(path, EDGES, strict=True)]):
            terms = []
            for choice, (_, source) in into:
                name = self.candidates[choice]
                if name == "none" or nodes[source] == "#":
                    terms.append("#")
                else:
                    terms.append(nodes[source] if name == SKIP else f"({nodes[source]})@{name}")
            nodes.append("+".join(sorted(terms)))
        return nodes[-1]

    def equivalent_paths(self, path: SinglePath) -> int:
        """How many paths are the same network to the benchmark as this one, itself included."""
        return _class_sizes(self)[self.canonical(path)]

    def arch(self, path: SinglePath) -> str:
        """The benchmark's architecture string of a path (see `names_of_arch`)."""
        words = [f"{name}~{source}" for name, (_, source) in zip(self.chosen(path), EDGES, strict=True)]
        return "+".join(f"|{'|'.join(into)}|" for into in _by_node(words))

    def path_of(self, genotype: EdgeGenotype) -> SinglePath:
        """The path of a genotype that the space allows."""
        return tuple(map(self.candidates.index, genotype.edges))

    def genotype_of(self, path: SinglePath, name: str, source: str) -> EdgeGenotype:
        """The genotype of a path."""
        return EdgeGenotype(**self._about(name, source), edges=self.chosen(path))

    def check(self, genotype: EdgeGenotype, place: str) -> None:
        """Raises UserError naming the place in the file where the space does not allow the genotype."""
        if len(genotype.edges) != len(EDGES):
            raise UserError(f"{place}: edges: {len(genotype.edges)}, should be {len(EDGES)} for space {self.name}")
        for number, name in enumerate(genotype.edges):
            if name not in self.candidates:
                near = nearest(name, self.candidates)
                raise UserError(f"{place}: edges[{number}]: '{name}' is not an operation of space {self.name}{near}")


def names_of_arch(text: str) -> list[str]:
    """The operations of the benchmark's architecture string, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, edge by edge.

    Of every node from 1 on, each edge into it as operation~input. Raises UserError naming what is wrong in it.
    """
    if not ARCH.fullmatch(text):
        raise UserError(f"{text!r}: not an architecture of NAS-Bench-201: should be {_form()}")
    nodes = [[edge.split("~") for edge in re.findall(_EDGE, node)] for node in text.split("+")]
    edges = [(str(node), source) for node, into in enumerate(nodes, start=1) for _, source in into]
    if edges != [(str(node), str(source)) for node, source in EDGES]:
        raise UserError(f"{text!r}: its edges are others than those of NAS-Bench-201: should be {_form()}")
    return [name for into in nodes for name, _ in into]


def _form() -> str:
    return "+".join(f"|{'|'.join(into)}|" for into in _by_node([f"op~{source}" for _, source in EDGES]))


@lru_cache(maxsize=4)
def _class_sizes(space: Bench201Space) -> Counter[str]:
    """How many paths are each network."""
    return Counter(map(space.canonical, product(*(range(len(names)) for names in space.choices))))


def _by_node(of_edges: list[T]) -> list[list[T]]:
    """What is given for every edge, node by node."""
    return [[thing for thing, (node, _) in zip(of_edges, EDGES, strict=True) if node == into] for into in (1, 2, 3)]
