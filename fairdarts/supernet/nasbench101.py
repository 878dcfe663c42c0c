"""How the cells of NAS-Bench-101 run under gates: every vertex has all operations, and runs the one that is active.

Paths only: what a vertex reads, and with how many channels, follows from the whole graph, so that several active
inputs of a vertex would be networks of different widths, which no weights add up.
A cell has weights for its largest number of channels (arXiv:2003.04276, section 4.4); a path's graph says which
vertices run, on what, and with how many of them. BatchNorms have torch's own momentum: that of the benchmark is made
for trainings of ten thousands of steps, all of them of one network.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from fairdarts.disturbance import Disturbance
from fairdarts.ops.drop_path import drop_path
from fairdarts.ops.dynamic import CroppedDynamicConv2d, DynamicBatchNorm2d, DynamicConv2d
from fairdarts.ops.nasbench101 import downsample, max_pool
from fairdarts.spaces.gates import Gates, SinglePath
from fairdarts.spaces.graph import bits, kept, matrix_of
from fairdarts.spaces.nasbench101 import Bench101Space, vertex_channels
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.stage import Fixed, SupernetParts, total

KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}
"""of the operations that are convolutions; the other one is max pooling"""


class Vertex(NamedTuple):
    """An intermediate vertex that runs."""

    number: int
    """in the whole cell: 1 is the first one behind the input"""
    sources: tuple[int, ...]
    """the vertices that feed it, the cell's input (0) first"""
    mask: int
    """the same as bits"""
    channels: int


class CellPlan(NamedTuple):
    """What runs in a cell."""

    vertices: tuple[Vertex, ...]
    sources: tuple[int, ...]
    """the vertices that lead into the output, the cell's input (0) first"""


@lru_cache(maxsize=4096)
def planned(masks: tuple[int, ...], channels: int, equal: bool) -> CellPlan:
    """What runs in a cell of so many output channels, where `masks` are the inputs of all vertices but the first.

    `equal`: all intermediate vertices have ⌊channels / n⌋ channels, for n of them that lead into the output. Raises
    ValueError where nothing does.
    """
    keep = kept(masks)
    if not keep:
        raise ValueError(f"inputs {masks}: no way leads from the cell's input to its output")
    numbers = bits(keep)
    feeding = [masks[number - 1] & keep for number in numbers[1:]]
    into_output = bits(feeding.pop())
    if equal:
        widths = (channels // max(sum(map(bool, into_output)), 1),) * len(feeding)
    else:
        widths = vertex_channels(channels, channels, matrix_of(masks, keep))[1:-1]
    inner = zip(numbers[1:-1], feeding, widths, strict=True)
    return CellPlan(tuple(Vertex(number, bits(mask), mask, width) for number, mask, width in inner), into_output)


class ConvBnRelu(nn.Module):
    """Convolution, one of its BatchNorms, ReLU: x [B, c ≤ c_in, H, W] → [B, channels ≤ c_out, H, W]."""

    def __init__(self, conv: nn.Module, c_out: int, affine: bool, norms: int = 1):
        super().__init__()
        self.conv = conv
        self.norms = nn.ModuleList(DynamicBatchNorm2d(c_out, affine=affine) for _ in range(norms))

    def forward(self, x: Tensor, channels: int, norm: int = 0) -> Tensor:
        # in place, as the backward pass of a BatchNorm needs its input alone
        return relu(self.norms[norm](self.conv(x, channels)), inplace=True)

    def active(self, norm: int = 0) -> Iterator[nn.Module]:
        """The parts that run with one of the BatchNorms."""
        yield self.conv
        yield self.norms[norm]


class VertexOperations(nn.ModuleList):
    """All operations of a vertex, in the order of the space's candidates; every one keeps the channels."""

    def __init__(self, space: Bench101Space, vertex: int, channels: int, cut: str, settings: SupernetSettings):
        super().__init__()
        self.own_norms = settings.wsbn
        norms = 2**vertex - 1 if settings.wsbn else 1
        kernels = {name: KERNELS[name] for name in space.candidates if name in KERNELS}
        wholes = {n: DynamicConv2d(channels, channels, k, cut) for n, k in kernels.items()}
        convs: dict[str, nn.Module] = {**wholes}
        if settings.ofa_kernel and len(kernels) > 1:
            largest = max(kernels, key=kernels.__getitem__)
            convs |= {n: CroppedDynamicConv2d(wholes[largest], k) for n, k in kernels.items() if n != largest}
        for name in space.candidates:
            op = ConvBnRelu(convs[name], channels, settings.affine, norms) if name in convs else max_pool()
            self.append(op)

    def run(self, choice: int, x: Tensor, mask: int) -> Tensor:
        """x [B, c, H, W] → the same shape; `mask` holds the vertices that feed this one."""
        op = self[choice]
        return op(x, x.shape[1], self.norm(mask)) if isinstance(op, ConvBnRelu) else op(x)

    def active(self, choice: int, mask: int) -> Iterator[nn.Module]:
        """The parts with weights or statistics that run."""
        if isinstance(op := self[choice], ConvBnRelu):
            yield from op.active(self.norm(mask))

    def norm(self, mask: int) -> int:
        """Which of an operation's BatchNorms runs: one for every set of vertices that feed it, or the only one."""
        return mask - 1 if self.own_norms else 0


class GraphCell(nn.Module):
    """A cell all of whose operations and projections are there: x [B, c_in, H, W] → [B, c_out, H, W].

    `operations[i]` and `projections[i]` are those of vertex i + 1; the last projection is the output's. At every choice
    point one choice runs.
    """

    operations: Sequence[VertexOperations]
    projections: Sequence[ConvBnRelu]

    def __init__(self, space: Bench101Space, c_in: int, width: int, settings: SupernetSettings):
        super().__init__()
        self.points = tuple(range(len(space.choices)))
        self.inner, self.width, self.drop = space.vertices - 2, width, settings.path_dropout
        self.equal = settings.dynamic_channels == "disabled"
        self.channels = width
        channels, cut = width, settings.dynamic_channels
        if self.equal:
            assert space.output_edges is not None, "check_nasbench101 refuses it"
            channels, cut = width // space.output_edges, "fixed"
            self.channels = channels * space.output_edges
        numbers, widths = range(1, self.inner + 1), [channels] * self.inner + [self.channels]
        operations = [VertexOperations(space, number, channels, cut, settings) for number in numbers]
        projections = [ConvBnRelu(DynamicConv2d(c_in, c_out, 1, cut), c_out, settings.affine) for c_out in widths]
        self.operations = cast("Sequence[VertexOperations]", nn.ModuleList(operations))
        self.projections = cast("Sequence[ConvBnRelu]", nn.ModuleList(projections))

    def forward(self, x: Tensor, gates: Gates, disturbance: Disturbance | None = None, index: int = 0) -> Tensor:
        chosen = chosen_of(gates)
        values: dict[int, Tensor] = {}
        plan = self.plan(chosen)

        def carried(into: int, sources: tuple[int, ...], channels: int) -> list[Tensor]:
            """What the edges into a vertex bring, at most so many channels each, dropped image by image in training."""
            projection = self.projections[into - 1]
            terms = [values[source][:, :channels] if source else projection(x, channels) for source in sources]
            return [drop_path(term, self.drop) for term in terms] if self.drop and self.training else terms

        for number, sources, mask, channels in plan.vertices:
            summed = total(carried(number, sources, channels))
            values[number] = self.operations[number - 1].run(chosen[number - 1], summed, mask)
        terms = carried(self.inner + 1, plan.sources, self.channels)
        direct = terms[: plan.sources.count(0)]
        others = terms[len(direct) :]
        joined = [torch.cat(others, 1)] if len(others) > 1 else others  # one alone need not be copied
        return total([*joined, *direct])

    def active(self, gates: Gates) -> Iterator[nn.Module]:
        """The parts with weights or statistics that run, each once."""
        chosen = chosen_of(gates)
        plan = self.plan(chosen)
        for number, sources, mask, _ in plan.vertices:
            if sources[0] == 0:
                yield from self.projections[number - 1].active()
            yield from self.operations[number - 1].active(chosen[number - 1], mask)
        if plan.sources[0] == 0:
            yield from self.projections[-1].active()

    def plan(self, chosen: SinglePath) -> CellPlan:
        """What runs."""
        return planned(chosen[self.inner :], self.width, self.equal)


def chosen_of(gates: Gates) -> SinglePath:
    """The path whose gates these are. Raises ValueError where a point has several active candidates, or weights."""
    if any(len(gate.active) != 1 or gate.weights is not None for gate in gates):
        raise ValueError("NAS-Bench-101 runs paths only: one active candidate at every choice point, without weights")
    return tuple(gate.active[0] for gate in gates)


def nasbench101_parts(
    space: Bench101Space, classes: int, in_channels: int, settings: SupernetSettings, recompute: bool
) -> SupernetParts:
    """Stem, cells, max pooling between stacks, and tail; all cells read the same choice points.

    A stack's first cell doubles the channels, but that of the first stack. Where no channels are dynamic, a cell gives
    n·⌊C / n⌋ of C, for n edges into its output.
    """
    size = {"cells": settings.cells or space.cells, "channels": settings.channels or space.channels}
    space = space.model_copy(update=size)
    channels = space.channels
    conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    stem = nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())
    stages: list[nn.Module] = []
    for number, width in enumerate(space.widths):
        if number:
            stages.append(Fixed(downsample()))
        for _ in range(space.cells):
            cell = GraphCell(space, channels, width, settings)
            stages.append(cell)
            channels = cell.channels
    dropout = [nn.Dropout(settings.global_dropout)] if settings.global_dropout else []
    tail = nn.Sequential(*dropout, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    return SupernetParts(stem, stages, tail)
