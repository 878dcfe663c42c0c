"""The kinds of search space, and how one is read. What a space knows of itself stands in `base`."""

from functools import cache
from pathlib import Path
from typing import Any

from fairdarts.checking import check
from fairdarts.config import UserError, nearest
from fairdarts.genotype import CellGenotype, ChainGenotype, EdgeGenotype, Genotype, GraphGenotype
from fairdarts.reading import read_yaml
from fairdarts.resources import find, folder
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.base import SearchSpace
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench101 import Bench101Space
from fairdarts.spaces.nasbench201 import Bench201Space

Space = CellSpace | ChainSpace | Bench101Space | Bench201Space

KINDS: dict[str, type[Space]] = {
    "cell": CellSpace,
    "chain": ChainSpace,
    "nasbench101": Bench101Space,
    "nasbench201": Bench201Space,
}
"""`kind` of a file → what it holds"""

FORMS: dict[str, type[Genotype]] = {
    "cell": CellGenotype,
    "chain": ChainGenotype,
    "nasbench101": GraphGenotype,
    "nasbench201": EdgeGenotype,
}
"""kind of a space → what its genotypes are"""


SPACES: dict[str, Space] = {}
"""name → a space of a user's own"""


def load_space(name: str, place: str = "") -> Space:
    """A shipped space, one of the user's own, or one from a YAML file. Raises UserError naming the file and the key, or
    where it is named.

    >>> fairdarts.load_space("s1").candidates
    """
    if name in SPACES:
        return SPACES[name]
    path = find("search_spaces", name, place)
    return _shipped(path) if path.parent == folder("search_spaces") else space_from(read_yaml(path), path)


@cache
def _shipped(path: Path) -> Space:
    """A shipped space, which is read once."""
    return space_from(read_yaml(path), path)


def space_from(content: dict[str, Any], place: str | Path) -> Space:
    """A space from keys and values. Raises UserError naming the place, which is what they were read from."""
    kind = content.get("kind")
    if kind not in KINDS:
        problem = f"'{kind}' is not a kind of space" if "kind" in content else "is missing"
        raise UserError(f"{place}: kind: {problem}{nearest(str(kind), KINDS)}")
    return check(KINDS[kind], content, place)


def stated_shape(space: Space) -> Shape:
    """The images that a space was made for."""
    return Shape(space.network.image, 3, space.network.classes)


def sized(space: Space, shape: Shape | None) -> Space:
    """The space, whose networks are for such images; None: for those that it was made for."""
    if shape is None:
        return space
    images = {"image": shape.image, "classes": shape.classes}
    sizes = {name: size and size.model_copy(update=images) for name, size in space.networks}
    return space.model_copy(update={"networks": space.networks.model_copy(update=sizes)})


def check_genotype(genotype: Genotype, space: SearchSpace, place: str) -> Genotype:
    """The genotype itself, if the space allows it. Raises UserError naming the place in the file."""
    if type(genotype) is not FORMS[space.kind]:
        raise UserError(f"{place}: holds {genotype.holds}, but space {space.name} is a {space.kind} space")
    space.check(genotype, place)
    return genotype
