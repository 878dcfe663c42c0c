"""What a path is: one architecture of a space, as the index of one choice per choice point.

Most points choose an operation. In some spaces paths choose inputs, too: `space.topology` are the numbers of the points
that do, none in chains and NAS-Bench-201.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from functools import lru_cache
from itertools import groupby, product
from math import prod

from fairdarts.config import UserError
from fairdarts.genotype import CELLS, CellGenotype, ChainGenotype, EdgeGenotype, Genotype, GraphGenotype, live
from fairdarts.ops.cell import SKIP
from fairdarts.spaces import nasbench101, nasbench201
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.cell_paths import cells_of_path, path_of_cells
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench101 import Bench101Space, Graph
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.spaces.space import Space

Path = tuple[int, ...]
"""Of every choice point, the index of its choice."""

Below = Callable[[int], int]
"""Draws a number from 0 to below the given one, each as likely as any other."""


FixedSpace = ChainSpace | Bench201Space
"""A space whose paths choose operations alone."""


def fixed_topology(space: Space, place: str) -> FixedSpace:
    """The space itself, if its paths choose operations alone. Raises UserError naming the place where it is named."""
    if space.topology:
        raise UserError(f"{place}: {space.name}: its paths choose inputs, too; should be a chain, or nasbench201")
    return space


def operation_points(space: Space) -> list[int]:
    """The numbers of the points that choose an operation."""
    return [point for point in range(len(space.choices)) if point not in space.topology]


def size(space: Space) -> int:
    """The number of paths."""
    if isinstance(space, Bench101Space):
        return nasbench101.size(space)
    return prod(map(len, space.choices))


def random_path(space: Space, below: Below) -> Path:
    """A path, each as likely as any other."""
    if isinstance(space, Bench101Space):
        return nasbench101.random_path(space, below)
    return tuple(below(len(names)) for names in space.choices)


def random_distinct(space: Space, below: Below) -> Path:
    """A path, each stand-alone network as likely as any other; not for spaces of cells, where this is not known."""
    if isinstance(space, Bench101Space):
        return nasbench101.random_distinct(space, below)
    while True:
        path = random_path(space, below)
        if below(twins(path, space)) == 0:
            return path


def canonical(path: Path, space: Space) -> Hashable:
    """The same for two paths if they are the same stand-alone network.

    In a chain, a skip that keeps the shape is no layer at all, so it does not matter where it stands among others of
    its kind: NAS-Bench-Macro trains one network for all such paths. Of cells, edges of `none` and nodes without an
    input are left out; cells whose nodes only stand in another order are not recognized.
    """
    match space:
        case Bench101Space():
            return nasbench101.canonical(path, space)
        case Bench201Space():
            return nasbench201.canonical(path, space)
        case CellSpace():
            return tuple(live(edges, space.inputs) for edges in map(_of_operations, cells_of_path(path, space)))
    names = [names[index] for names, index in zip(space.choices, path, strict=True)]
    layers = zip(names, space.layers, strict=True)
    return tuple((name, layer) for name, layer in layers if name != SKIP or not layer.keeps_shape)


def _of_operations(edges: tuple) -> tuple:
    return tuple(edge for edge in edges if edge[0] != "none")


def twins(path: Path, space: ChainSpace | Bench101Space | Bench201Space) -> int:
    """How many paths are the same stand-alone network as this one, itself included."""
    if isinstance(space, Bench101Space):
        return nasbench101.twins(path, space)
    if isinstance(space, Bench201Space):
        return _bench_twins(space)[nasbench201.canonical(path, space)]
    number = 1
    for layer, run in groupby(zip(path, space.choices, space.layers, strict=True), key=lambda point: point[2]):
        if layer.keeps_shape:
            number *= _placings(*zip(*((names[index], names) for index, names, _ in run), strict=True))
    return number


def _placings(chosen: tuple[str, ...], choices: tuple[tuple[str, ...], ...]) -> int:
    """In how many ways the chosen blocks can stand in layers of one shape, in their order and with skips between."""
    blocks = [name for name in chosen if name != SKIP]
    ways = [1, *[0] * len(blocks)]  # to have placed none, one, two, … of them in the layers so far
    for names in choices:
        placed = [0, *(way if block in names else 0 for way, block in zip(ways, blocks, strict=False))]
        ways = [(way if SKIP in names else 0) + new for way, new in zip(ways, placed, strict=True)]
    return ways[-1]


@lru_cache(maxsize=4)
def _bench_twins(space: Bench201Space) -> Counter[Hashable]:
    every = product(*(range(len(names)) for names in space.choices))
    return Counter(nasbench201.canonical(path, space) for path in every)


def path_of(genotype: Genotype, space: Space) -> Path:
    """The path of a genotype that the space allows.

    Raises UserError where a layer has not exactly one choice, or a node of a cell not exactly two inputs.
    """
    match genotype:
        case GraphGenotype():
            return nasbench101.path_of_graph(Graph(genotype.matrix, genotype.operations), space)
        case CellGenotype():
            return path_of_cells(genotype, space)
        case EdgeGenotype():
            return tuple(names.index(name) for names, name in zip(space.choices, genotype.edges, strict=True))
    path = []
    for number, (names, chosen) in enumerate(zip(space.choices, genotype.layers, strict=True)):
        if len(chosen) != 1:
            raise UserError(f"{genotype.name}: layers[{number}]: {len(chosen)} choices, should be 1 to be a path")
        path.append(names.index(chosen[0]))
    return tuple(path)


def genotype_of(path: Path, space: Space, name: str, source: str) -> Genotype:
    """The genotype of a path."""
    about = {"schema": 1, "name": name, "space": space.name, "source": source}
    match space:
        case Bench101Space():
            return GraphGenotype(**about, **nasbench101.pruned(path, space)._asdict())
        case CellSpace():
            cells = map(_of_operations, cells_of_path(path, space))
            return CellGenotype(**about, **dict(zip(CELLS, cells, strict=True)))
    names = [names[index] for names, index in zip(space.choices, path, strict=True)]
    if isinstance(space, Bench201Space):
        return EdgeGenotype(**about, edges=tuple(names))
    return ChainGenotype(**about, layers=tuple((name,) for name in names))
