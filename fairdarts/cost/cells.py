"""The parts of the networks of cells: what all of them have, and what an operation on an edge adds."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import nn

from fairdarts.cost.part import Part, Parts
from fairdarts.genotype import CELLS
from fairdarts.networks.cell import CifarStem, ImageNetStem
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.ops.cell import OPS, FactorizedReduce, relu_conv_bn
from fairdarts.runtime.shape import Shape, Size, strided
from fairdarts.spaces.cell import CellSpace


class Live(NamedTuple):
    """What decides the size of a cell besides its operations."""

    nodes: int
    """nodes that something feeds: the cell's output has so many times its channels"""
    inputs: tuple[int, ...] = (0, 1)
    """which of the two inputs are read; another one has no preprocessing"""


class _Point(NamedTuple):
    """What a cell reads."""

    channels: int
    size: Size
    stride: int


def whole(space: CellSpace) -> dict[str, Live]:
    """Both cells, where all nodes are fed and both inputs are read."""
    return dict.fromkeys(CELLS, Live(space.nodes))


def cell_parts(
    space: CellSpace,
    shape: Shape,
    network: NetworkSettings = AS_NAMED,
    live: Mapping[str, Live] | None = None,
) -> Parts:
    """The parts of the networks of a size; the choices are those of the edges of the normal, then of the reduction
    cell, as in `space.points`. What an operation adds depends on its edge alone, the rest on what is `live`."""
    live = live or whole(space)
    name: str = network.size or next(name for name, size in space.networks if size is not None)
    stated = getattr(space.networks, name)
    cells, channels = network.cells or stated.cells, network.channels or stated.channels
    fixed, before, last = _stem(space, shape, name, channels)
    added: dict[str, list[list[list[Part]]]] = {
        cell: [[[] for _ in space.candidates] for _ in space.edges] for cell in CELLS
    }
    reductions = space.reduction_cells(cells)
    for index in range(cells):
        kind, stride = ("reduce", 2) if index in reductions else ("normal", 1)
        channels *= stride
        narrow = FactorizedReduce if before.stride < last.stride else relu_conv_bn
        if 0 in live[kind].inputs:
            fixed.append(Part(narrow, (before.channels, channels), before.channels, before.size))
        if 1 in live[kind].inputs:
            fixed.append(Part(relu_conv_bn, (last.channels, channels), last.channels, last.size))
        out = strided(last.size, stride)
        for row, (_, source) in enumerate(space.edges):
            own_stride, size = (stride, last.size) if source < space.inputs else (1, out)
            for column, op in enumerate(space.candidates):
                added[kind][row][column].append(Part(OPS[op], (channels, own_stride, True), channels, size))
        before, last = last, _Point(live[kind].nodes * channels, out, last.stride * stride)
    fixed.append(Part(_tail, (last.channels, shape.classes), last.channels, last.size))
    return Parts(tuple(fixed), tuple(tuple(map(tuple, row)) for cell in CELLS for row in added[cell]))


def _stem(space: CellSpace, shape: Shape, name: str, channels: int) -> tuple[list[Part], _Point, _Point]:
    """The stem, and what the first cell reads."""
    size = shape.image
    if name == "cifar":
        width = space.stem_multiplier * channels
        point = _Point(width, size, 1)
        return [Part(CifarStem, (shape.channels, width), shape.channels, size)], point, point
    halves = [strided(size, stride) for stride in (4, 8)]
    stem = Part(ImageNetStem, (shape.channels, channels), shape.channels, size)
    return [stem], _Point(channels, halves[0], 4), _Point(channels, halves[1], 8)


def _tail(channels: int, classes: int) -> nn.Sequential:
    """What stands behind the cells: x [B, C, H, W] → logits [B, classes]."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
