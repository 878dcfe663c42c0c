"""What a path is: one architecture of a space, as the index of one choice per choice point.

A space has paths where its `choices` are all there is to choose: chains and NAS-Bench-201, not DARTS' cells, where a
node chooses its inputs, too.
"""

from collections import Counter
from collections.abc import Hashable
from functools import lru_cache
from itertools import groupby, product
from math import prod
from random import Random

from fairdarts.config import UserError
from fairdarts.genotype import ChainGenotype, EdgeGenotype, Genotype
from fairdarts.ops.cell import SKIP
from fairdarts.spaces import nasbench201
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.spaces.space import Space

Path = tuple[int, ...]
"""Of every choice point, the index of its choice."""

PathSpace = ChainSpace | Bench201Space


def path_space(space: Space, place: str) -> PathSpace:
    """The space itself, if it has paths. Raises UserError naming the place where it is named."""
    if isinstance(space, CellSpace):
        raise UserError(f"{place}: {space.name}: its nodes choose inputs, too; should be a chain, or nasbench201")
    return space


def size(space: PathSpace) -> int:
    """The number of paths."""
    return prod(map(len, space.choices))


def random_path(space: PathSpace, random: Random) -> Path:
    """A path, each as likely as any other."""
    return tuple(random.randrange(len(names)) for names in space.choices)


def canonical(path: Path, space: PathSpace) -> Hashable:
    """The same for two paths if they are the same stand-alone network.

    In a chain, a skip that keeps the shape is no layer at all, so it does not matter where it stands among others of
    its kind: NAS-Bench-Macro trains one network for all such paths.
    """
    if isinstance(space, Bench201Space):
        return nasbench201.canonical(path, space)
    names = [names[index] for names, index in zip(space.choices, path, strict=True)]
    layers = zip(names, space.layers, strict=True)
    return tuple((name, layer) for name, layer in layers if name != SKIP or not layer.keeps_shape)


def twins(path: Path, space: PathSpace) -> int:
    """How many paths are the same stand-alone network as this one, itself included."""
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


def path_of(genotype: Genotype, space: PathSpace) -> Path:
    """The path of a genotype that the space allows. Raises UserError where a layer has not exactly one choice."""
    if isinstance(genotype, EdgeGenotype):
        return tuple(names.index(name) for names, name in zip(space.choices, genotype.edges, strict=True))
    path = []
    for number, (names, chosen) in enumerate(zip(space.choices, genotype.layers, strict=True)):
        if len(chosen) != 1:
            raise UserError(f"{genotype.name}: layers[{number}]: {len(chosen)} choices, should be 1 to be a path")
        path.append(names.index(chosen[0]))
    return tuple(path)


def genotype_of(path: Path, space: PathSpace, name: str, source: str) -> Genotype:
    """The genotype of a path."""
    names = [names[index] for names, index in zip(space.choices, path, strict=True)]
    about = {"schema": 1, "name": name, "space": space.name, "source": source}
    if isinstance(space, Bench201Space):
        return EdgeGenotype(**about, edges=tuple(names))
    return ChainGenotype(**about, layers=tuple((name,) for name in names))
