"""Genotypes drawn at random from a cell space."""

from random import Random

from fairdarts.genotype import SKIP, CellGenotype, Edge
from fairdarts.spaces.cell import CellSpace

EDGES_PER_NODE = 2
"""DARTS keeps two incoming edges a node, and FairDARTS follows it (footnote 8)."""


def random_cell(space: CellSpace, random: Random, skips: int | None = None) -> tuple[Edge, ...]:
    """Two different inputs for every node, and an operation for each; `none` is never drawn.

    Uniform over all such cells, or over those with so many skip connections.
    """
    nodes = range(space.inputs, space.inputs + space.nodes)
    places = [(node, source) for node in nodes for source in random.sample(range(node), EDGES_PER_NODE)]
    operations = [name for name in space.candidates if name != "none"]
    if skips is None:
        return tuple((random.choice(operations), *place) for place in places)
    chosen, others = set(random.sample(range(len(places)), skips)), [name for name in operations if name != SKIP]
    return tuple((SKIP if number in chosen else random.choice(others), *place) for number, place in enumerate(places))


def random_genotype(space: CellSpace, random: Random, skips: int | None, name: str, source: str) -> CellGenotype:
    """Two random cells; `skips` is the number of skip connections of the normal cell, if it matters.

    All fourteen random genotypes that FairDARTS prints (supplementary, Tables 7 and 8, M = 2) have two in the normal
    cell, and zero to three in the reduction cell.
    """
    cells = {"normal": random_cell(space, random, skips), "reduce": random_cell(space, random)}
    return CellGenotype(schema=1, name=name, space=space.name, source=source, **cells)
