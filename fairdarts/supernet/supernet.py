"""Which kinds of supernet there are, and how one is made."""

from typing import Literal

from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.space import Space
from fairdarts.supernet.cell import CellSupernet
from fairdarts.supernet.chain import ChainSupernet

Supernet = CellSupernet | ChainSupernet


def make_supernet(
    space: Space,
    cells: int | None,
    channels: int | None,
    classes: int,
    in_channels: int,
    memory: Literal["none", "recompute", "checkpoint"],
) -> Supernet:
    """A fresh supernet; `cells` and `channels` are for cell spaces, and None takes the space's own."""
    if isinstance(space, ChainSpace):
        return ChainSupernet(space, classes, in_channels, memory)
    cells, channels = cells or space.supernet.cells, channels or space.supernet.channels
    return CellSupernet(space, cells, channels, classes, in_channels, memory)
