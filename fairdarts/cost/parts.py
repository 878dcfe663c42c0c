"""Which modules does a path's stand-alone network consist of, and which of them does each choice add?"""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from torch import nn

from fairdarts.genotype import SKIP
from fairdarts.networks import chain, nasbench201
from fairdarts.ops.mbconv import choice
from fairdarts.ops.nasbench201 import OPS, Reduction
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.spaces.space import Space


class Part(NamedTuple):
    """A module at its place, build(*arguments) for an input [channels, size, size]. Equal parts cost the same."""

    build: Callable[..., nn.Module]
    arguments: tuple[Hashable, ...]
    channels: int
    size: int


class Parts(NamedTuple):
    """All that a space's networks are made of. A part that a network has several times stands there as often."""

    fixed: tuple[Part, ...]
    """what every network has"""
    choices: tuple[tuple[tuple[Part, ...], ...], ...]
    """what a choice adds [points][choices]"""

    @property
    def distinct(self) -> tuple[Part, ...]:
        """Every part once."""
        added = (part for point in self.choices for parts in point for part in parts)
        return tuple(dict.fromkeys((*self.fixed, *added)))


def stated_shape(space: Space) -> Shape:
    """The images that a space was made for."""
    return Shape(space.network.image, 3, space.network.classes)


def parts_of(space: Space, shape: Shape | None = None) -> Parts:
    """The parts of the networks that `networks.blueprint.build` makes for such images; None: those that the space was
    made for. Raises UserError where paths choose inputs, too."""
    return PARTS[space.fixed_topology("parts").kind](space, shape or stated_shape(space))


def _chain_parts(space: ChainSpace, shape: Shape) -> Parts:
    size = shape.image
    stem = Part(chain.stem, (space.stem, shape.channels), shape.channels, size)
    size = -(-size // space.stem.stride)  # convolutions round up
    points = []
    for names, layer in zip(space.choices, space.layers, strict=True):
        points.append(tuple((Part(choice, (name, *layer, True), layer.c_in, size),) for name in names))
        size = -(-size // layer.stride)
    last = layer.c_out
    return Parts((stem, Part(_tail, (last, space.head, shape.classes), last, size)), tuple(points))


def _tail(channels: int, head: int, classes: int) -> nn.Sequential:
    """What ChainNetwork has behind its layers: x [B, C, H, W] → logits [B, classes]."""
    mean = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(chain.conv_bn(channels, head, 1, 1, "relu6"), *mean, nn.Linear(head, classes))


def _bench_parts(space: Bench201Space, shape: Shape) -> Parts:
    stages = [(width, -(-shape.image // 2**number)) for number, width in enumerate(space.widths)]

    def added(name: str) -> tuple[Part, ...]:
        return tuple(Part(OPS[name], (width, True), width, size) for width, size in stages) * space.cells

    stem = Part(nasbench201.stem, (space, shape.channels), shape.channels, shape.image)
    reductions = (Part(Reduction, (width,), width, size) for width, size in stages[:-1])
    # A cell of skips is what all cells have in common: the sums of its nodes.
    skips = (SKIP,) * len(space.edges)
    sums = [Part(nasbench201.Cell, (skips, space.edges, width), width, size) for width, size in stages] * space.cells
    tail = Part(nasbench201.tail, (space, shape.classes), *stages[-1])
    return Parts((stem, *reductions, *sums, tail), tuple(tuple(map(added, names)) for names in space.choices))


PARTS: dict[str, Callable[[Any, Shape], Parts]] = {"chain": _chain_parts, "nasbench201": _bench_parts}
"""kind of space → the parts of its networks, of all whose paths choose operations alone"""
