"""The modules that a stand-alone network consists of, and what each candidate of a choice point adds to them."""

from collections.abc import Callable
from typing import Any

from torch import nn

from fairdarts.config import UserError
from fairdarts.cost.cells import cell_parts
from fairdarts.cost.part import Part, Parts
from fairdarts.genotype import SKIP
from fairdarts.networks import chain, nasbench201
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.networks.sizes import OF_CELLS
from fairdarts.ops.mbconv import choice
from fairdarts.ops.nasbench201 import OPS, Reduction
from fairdarts.runtime.shape import Shape, strided
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.spaces.space import Space, stated_shape


def parts_of(space: Space, shape: Shape | None = None, network: NetworkSettings = AS_NAMED) -> Parts:
    """The parts of the networks that `networks.blueprint.build` makes for such images; None: those that the space was
    made for. `network` is their size, which those of cells have.

    Of cells they are those of networks whose nodes are all fed (see `cost.cells`). Raises UserError where a choice
    decides what others cost, or where the settings are not for the space.
    """
    if space.kind not in PARTS:
        decides = "what a vertex reads decides its channels, so that no choice has a cost of its own"
        raise UserError(f"parts: {space.name}: its paths choose inputs, too: {decides}")
    sized = {"size", *OF_CELLS} if space.kind == "cell" else set()
    for key, value in network.model_dump(exclude_defaults=True, exclude=sized).items():
        plain = f"costs are counted for the plain networks of space {space.name}"
        raise UserError(f"network.{key}: {value}: {plain}; leave it out")
    return PARTS[space.kind](space, shape or stated_shape(space), network)


def _chain_parts(space: ChainSpace, shape: Shape, _: NetworkSettings) -> Parts:
    size = shape.image
    stem = Part(chain.stem, (space.stem, shape.channels), shape.channels, size)
    size = strided(size, space.stem.stride)
    points = []
    for names, layer in zip(space.choices, space.layers, strict=True):
        points.append(tuple((Part(choice, (name, *layer, True), layer.c_in, size),) for name in names))
        size = strided(size, layer.stride)
    last = layer.c_out
    return Parts((stem, Part(_tail, (last, space.head, shape.classes), last, size)), tuple(points))


def _tail(channels: int, head: int, classes: int) -> nn.Sequential:
    """What ChainNetwork has behind its layers: x [B, C, H, W] → logits [B, classes]."""
    mean = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(chain.conv_bn(channels, head, 1, 1, "relu6"), *mean, nn.Linear(head, classes))


def _bench_parts(space: Bench201Space, shape: Shape, _: NetworkSettings) -> Parts:
    stages = [(width, strided(shape.image, 2**number)) for number, width in enumerate(space.widths)]

    def added(name: str) -> tuple[Part, ...]:
        return tuple(Part(OPS[name], (width, True), width, size) for width, size in stages) * space.cells

    stem = Part(nasbench201.stem, (space, shape.channels), shape.channels, shape.image)
    reductions = (Part(Reduction, (width,), width, size) for width, size in stages[:-1])
    # A cell of skips is what all cells have in common: the sums of its nodes.
    skips = (SKIP,) * len(space.edges)
    sums = [Part(nasbench201.Cell, (skips, space.edges, width), width, size) for width, size in stages] * space.cells
    tail = Part(nasbench201.tail, (space, shape.classes), *stages[-1])
    return Parts((stem, *reductions, *sums, tail), tuple(tuple(map(added, names)) for names in space.choices))


PARTS: dict[str, Callable[[Any, Shape, NetworkSettings], Parts]] = {
    "cell": cell_parts,
    "chain": _chain_parts,
    "nasbench201": _bench_parts,
}
"""kind of space → the parts of its networks, of all whose candidates have a cost each"""
