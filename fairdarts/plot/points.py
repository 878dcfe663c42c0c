"""How are the choice points of a space called and arranged? Edges of a cell by their nodes, layers by their stages."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

from fairdarts.genotype import CELLS
from fairdarts.runtime.shape import Size, size_text, strided
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.spaces.space import Space

COLUMNS = 5
"""layers in a row of panels"""


class Points(NamedTuple):
    """The choice points of a space, in the order of the rows of α."""

    axis: str
    """what they are"""
    labels: tuple[str, ...]
    """of each, on an axis: '(2, 1)' or '3'"""
    titles: tuple[str, ...]
    """of each, on its own: '(2, 1)' or 'layer 3'"""
    places: tuple[tuple[int, int], ...]
    """of each, row and column of its panel"""
    groups: tuple[range, ...]
    """which belong together: the edges of a node, the layers of a stage"""
    notes: tuple[str, ...]
    """of each group, what its points share and their labels do not tell"""


def choice_points(space: Space) -> Points:
    """The edges of a cell, or the layers of a chain.

    All have the numbers of genotypes. In an edge (node, input) both count all nodes, a cell's inputs first: the edge
    (j, k) of FairDARTS (arXiv:1911.12126), supplementary, Table 2, is (j + 2, k). Layers count from 0.
    """
    if space.kind not in POINTS:
        raise ValueError(f"a {space.kind} space has no choice points with gates to draw")
    return POINTS[space.kind](space)


def part_title(part: str) -> str:
    """What is drawn as one (see `joined`), as readers know it: 'normal cell', the one 'cell', or the whole 'chain'."""
    return f"{part} cell" if part in CELLS else {"edges": "cell", "graph": "cell", "layers": "chain"}[part]


def resolutions(space: ChainSpace) -> tuple[Size, ...]:
    """The size behind the stem's convolution and behind every stage, of the images its network is made for."""
    strides = (space.stem.stride, *(stage.stride for stage in space.stages))
    return tuple(accumulate(strides, strided, initial=space.network.image))[1:]


def _edges(space: CellSpace) -> Points:
    labels = tuple(f"({node}, {source})" for node, source in space.edges)
    places = tuple((node - space.inputs, source) for node, source in space.edges)
    groups = _groups([node + space.inputs for node in range(space.nodes)])
    return Points("edge (node, input)", labels, labels, places, groups, ("",) * space.nodes)


def _bench_edges(space: Bench201Space) -> Points:
    labels = tuple(f"({node}, {source})" for node, source in space.edges)
    places = tuple((node - 1, source) for node, source in space.edges)
    groups = _groups([1, 2, 3])
    return Points("edge (node, input)", labels, labels, places, groups, ("",) * len(groups))


def _layers(space: ChainSpace) -> Points:
    numbers = range(len(space.layers))
    places = tuple(divmod(number, COLUMNS) for number in numbers)
    sides = resolutions(space)[1:]
    notes = tuple(f"{stage.channels} ch\n{size_text(side)}" for stage, side in zip(space.stages, sides, strict=True))
    groups = _groups([stage.layers for stage in space.stages])
    labels = tuple(map(str, numbers))
    return Points("layer", labels, tuple(f"layer {number}" for number in numbers), places, groups, notes)


POINTS: dict[str, Callable[[Any], Points]] = {"cell": _edges, "chain": _layers, "nasbench201": _bench_edges}
"""kind of space → its choice points, of those that have α"""


def _groups(sizes: list[int]) -> tuple[range, ...]:
    return tuple(range(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True))
