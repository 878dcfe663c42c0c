"""What does the network of a genotype cost, and which candidates of its space does it keep?"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from fairdarts.config import UserError
from fairdarts.cost.cost import Cost, Rule
from fairdarts.cost.count import count
from fairdarts.cost.table import Table
from fairdarts.genotype import CELLS, CellGenotype, ChainGenotype, EdgeGenotype, Genotype
from fairdarts.networks.blueprint import build
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.networks.sizes import sizes
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.spaces.space import Space

Kept = list[tuple[int, int]]
"""choice point and candidate of all that a genotype keeps"""


def kept_by(genotype: Genotype, space: Space) -> Kept:
    """The candidates that a genotype keeps, in the order of the choice points."""
    return sorted(KEPT[space.kind](genotype, space))


def _of_cells(genotype: CellGenotype, space: CellSpace) -> Iterator[tuple[int, int]]:
    for cell in CELLS:
        points = dict(zip(space.edges, space.parts[cell].points, strict=True))
        for op, node, source in getattr(genotype, cell):
            yield points[node, source], space.candidates.index(op)


def _of_layers(genotype: ChainGenotype, space: ChainSpace) -> Iterator[tuple[int, int]]:
    for point, (names, kept) in enumerate(zip(space.choices, genotype.layers, strict=True)):
        yield from ((point, names.index(name)) for name in kept)


def _of_edges(genotype: EdgeGenotype, space: Bench201Space) -> Iterator[tuple[int, int]]:
    return enumerate(map(space.candidates.index, genotype.edges))


KEPT: dict[str, Callable[[Any, Any], Iterator[tuple[int, int]]]] = {
    "cell": _of_cells,
    "chain": _of_layers,
    "nasbench201": _of_edges,
}
"""kind of space → the candidates that a genotype keeps, of all whose candidates have a cost each"""


def network_cost(
    genotype: Genotype, space: Space, network: NetworkSettings, channels: int = 3, rule: Rule = "convolutions"
) -> Cost:
    """The cost of a network for the images and classes of its size, with an auxiliary head where it can have one."""
    size = network.size or sizes(space)[0]
    with torch.device("meta"):
        built = build(genotype, space, network, None, channels, auxiliary=True)
    return count(built, channels, getattr(space.networks, size).image, rule)


def cost_of(
    genotype: Genotype,
    space: Space,
    shape: Shape,
    quantity: str,
    network: NetworkSettings = AS_NAMED,
    table: Table | None = None,
) -> float | None:
    """`madds` or `params` of the network, counted, or the `latency` that a table says; None where the genotype makes no
    network."""
    try:
        with torch.device("meta"):
            built = build(genotype, space, network, shape.classes, shape.channels)
    except UserError:
        return None
    if quantity != "latency":
        return float(getattr(count(built, shape.channels, shape.image), quantity))
    assert table is not None, "latency is told by a table"
    return table.fixed + sum(table.choices[point][choice] for point, choice in kept_by(genotype, space))
