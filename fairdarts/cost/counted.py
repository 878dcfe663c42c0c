"""What do the networks of a space cost? One quantity of them, for some images, as a table or a count tells."""

from functools import lru_cache
from typing import NamedTuple, cast

from fairdarts.cost.cells import Live, cell_parts
from fairdarts.cost.derived import cost_of
from fairdarts.cost.part import Part
from fairdarts.cost.table import COUNTED, Table, count_part
from fairdarts.genotype import CELLS, Genotype
from fairdarts.networks.settings import NetworkSettings
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import Space

Case = Live | None
"""what decides the size of a cell; None of other spaces"""


class Counted(NamedTuple):
    """How the networks of a space are counted."""

    quantity: str
    """madds, params or latency"""
    space: Space
    shape: Shape
    network: NetworkSettings
    table: Table

    def of(self, genotype: Genotype) -> float | None:
        """What the network of a genotype costs; None where it makes none."""
        return cost_of(genotype, self.space, self.shape, self.quantity, self.network, self.table)

    def fixed(self, cases: tuple[Case, ...]) -> float:
        """What a network costs besides its operations, given the case of the normal and of the reduction cell, or
        (None,) in other spaces. Its latency is that where all nodes are fed, as a table tells no other."""
        if self.quantity not in COUNTED or None in cases:
            return self.table.fixed
        live = dict(zip(CELLS, cast("tuple[Live, ...]", cases), strict=True))
        parts = cell_parts(cast(CellSpace, self.space), self.shape, self.network, live)
        return sum(_counted(part)[self.quantity] for part in parts.fixed)


@lru_cache(maxsize=4096)
def _counted(part: Part) -> dict[str, int]:
    return count_part(part)
