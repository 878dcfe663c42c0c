"""Which kinds of search space there are, and how one is read.

Of every space the rest of the library knows `candidates`, the operations of a choice point; `parts`, the groups of
choice points, each with a matrix of α; and `shape`, that of such a matrix: [choice points, candidates].
"""

from fairdarts.config import UserError, check, nearest, read_yaml
from fairdarts.genotype import CellGenotype, Genotype
from fairdarts.resources import find
from fairdarts.spaces.cell import CellSpace, check_cells
from fairdarts.spaces.chain import ChainSpace, check_layers

Space = CellSpace | ChainSpace

KINDS: dict[str, type[CellSpace] | type[ChainSpace]] = {"cell": CellSpace, "chain": ChainSpace}
"""`kind` of a file → what it holds"""


def load_space(name: str, place: str = "") -> Space:
    """A shipped space, or one from a YAML file. Raises UserError naming the file and the key, or where it is named."""
    path = find("search_spaces", name, place)
    content = read_yaml(path)
    kind = content.get("kind")
    if kind not in KINDS:
        problem = f"'{kind}' is not a kind of space" if "kind" in content else "is missing"
        raise UserError(f"{path}: kind: {problem}{nearest(str(kind), KINDS)}")
    return check(KINDS[kind], content, path)


def check_genotype(genotype: Genotype, space: Space, place: str) -> Genotype:
    """The genotype itself, if the space allows it. Raises UserError naming the place in the file."""
    cells = isinstance(genotype, CellGenotype)
    if cells != isinstance(space, CellSpace):
        holds = "cells (normal, reduce)" if cells else "layers"
        raise UserError(f"{place}: holds {holds}, but space {space.name} is a {space.kind} space")
    (check_cells if cells else check_layers)(genotype, space, place)
    return genotype
