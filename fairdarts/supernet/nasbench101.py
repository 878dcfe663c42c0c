"""How the cells of NAS-Bench-101 run as a supernet: every vertex has all operations, and runs the one that is chosen.

A cell has weights for its largest number of channels (arXiv:2003.04276, section 4.4); a path's graph says which
vertices run, on what, and with how many of them. BatchNorms have torch's own momentum: that of the benchmark is made
for trainings of ten thousands of steps, all of them of one network.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from fairdarts.ops.drop_path import drop_path
from fairdarts.ops.dynamic import CroppedDynamicConv2d, DynamicBatchNorm2d, DynamicConv2d
from fairdarts.ops.nasbench101 import downsample, max_pool
from fairdarts.spaces.graph import bits, kept, matrix_of
from fairdarts.spaces.nasbench101 import Bench101Space, vertex_channels
from fairdarts.supernet.bench import Chosen, Fixed, sized, total
from fairdarts.supernet.factors import Factors

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


class Plan(NamedTuple):
    """What runs in a cell."""

    vertices: tuple[Vertex, ...]
    sources: tuple[int, ...]
    """the vertices that lead into the output, the cell's input (0) first"""


@lru_cache(maxsize=4096)
def planned(inputs: Chosen, channels: int, equal: bool) -> Plan:
    """What runs in a cell of so many output channels, where `inputs` are the masks of all vertices but the first.

    `equal`: all intermediate vertices have ⌊channels / n⌋ channels, for n of them that lead into the output. Raises
    ValueError where nothing does.
    """
    masks = tuple(mask for (mask,) in inputs)
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
    return Plan(tuple(Vertex(number, bits(mask), mask, width) for number, mask, width in inner), into_output)


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


class Choices(nn.ModuleList):
    """All operations of a vertex, in the order of the space's candidates; every one keeps the channels."""

    def __init__(self, space: Bench101Space, vertex: int, channels: int, cut: str, factors: Factors):
        super().__init__()
        self.own_norms = factors.wsbn
        norms = 2**vertex - 1 if factors.wsbn else 1
        kernels = {name: KERNELS[name] for name in space.candidates if name in KERNELS}
        convs: dict[str, nn.Module] = {n: DynamicConv2d(channels, channels, k, cut) for n, k in kernels.items()}
        if factors.ofa_kernel and len(kernels) > 1:
            largest = max(kernels, key=kernels.get)
            convs |= {n: CroppedDynamicConv2d(convs[largest], k) for n, k in kernels.items() if n != largest}
        for name in space.candidates:
            op = ConvBnRelu(convs[name], channels, factors.affine, norms) if name in convs else max_pool()
            self.append(op)

    def run(self, choice: int, x: Tensor, mask: int) -> Tensor:
        """x [B, c, H, W] → the same shape; `mask` holds the vertices that feed this one."""
        op = self[choice]
        return op(x, x.shape[1], self.norm(mask)) if isinstance(op, ConvBnRelu) else op(x)

    def active(self, choice: int, mask: int) -> Iterator[nn.Module]:
        """The parts with weights or memory that run."""
        if isinstance(self[choice], ConvBnRelu):
            yield from self[choice].active(self.norm(mask))

    def norm(self, mask: int) -> int:
        """Which of an operation's BatchNorms runs: one for every set of vertices that feed it, or the only one."""
        return mask - 1 if self.own_norms else 0


class GraphCell(nn.Module):
    """A cell all of whose operations and projections are there: x [B, c_in, H, W] → [B, c_out, H, W].

    `operations[i]` and `projections[i]` are those of vertex i + 1; the last projection is the output's. At every choice
    point one choice runs.
    """

    def __init__(self, space: Bench101Space, c_in: int, width: int, factors: Factors):
        super().__init__()
        self.points = tuple(range(len(space.choices)))
        self.inner, self.width, self.drop = space.vertices - 2, width, factors.path_dropout
        self.equal = factors.dynamic_channels == "disabled"
        self.channels = width
        channels, cut = width, factors.dynamic_channels
        if self.equal:
            channels, cut = width // space.output_edges, "fixed"
            self.channels = channels * space.output_edges
        self.operations = nn.ModuleList(
            Choices(space, vertex, channels, cut, factors) for vertex in range(1, self.inner + 1)
        )
        self.projections = nn.ModuleList(
            ConvBnRelu(DynamicConv2d(c_in, c_out, 1, cut), c_out, factors.affine)
            for c_out in [channels] * self.inner + [self.channels]
        )

    def forward(self, x: Tensor, chosen: Chosen) -> Tensor:
        plan, values = self.plan(chosen), {}

        def carried(into: int, sources: tuple[int, ...], channels: int) -> list[Tensor]:
            """What the edges into a vertex bring, at most so many channels each, dropped image by image in training."""
            projection = self.projections[into - 1]
            terms = [values[source][:, :channels] if source else projection(x, channels) for source in sources]
            return [drop_path(term, self.drop) for term in terms] if self.drop and self.training else terms

        for number, sources, mask, channels in plan.vertices:
            summed = total(carried(number, sources, channels))
            values[number] = self.operations[number - 1].run(chosen[number - 1][0], summed, mask)
        terms = carried(self.inner + 1, plan.sources, self.channels)
        direct = terms[: plan.sources.count(0)]
        others = terms[len(direct) :]
        joined = [torch.cat(others, 1)] if len(others) > 1 else others  # one alone need not be copied
        return total([*joined, *direct])

    def active(self, chosen: Chosen) -> Iterator[nn.Module]:
        """The parts with weights or memory that run, each once."""
        plan = self.plan(chosen)
        for number, sources, mask, _ in plan.vertices:
            if sources[0] == 0:
                yield from self.projections[number - 1].active()
            yield from self.operations[number - 1].active(chosen[number - 1][0], mask)
        if plan.sources[0] == 0:
            yield from self.projections[-1].active()

    def plan(self, chosen: Chosen) -> Plan:
        """What runs."""
        return planned(chosen[self.inner :], self.width, self.equal)


def graph_stem(space: Bench101Space, in_channels: int, factors: Factors) -> nn.Module:
    """3×3 convolution, BatchNorm, ReLU: x [B, in, H, W] → [B, C, H, W]."""
    channels = sized(space, factors).channels
    conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def graph_stages(space: Bench101Space, factors: Factors) -> list[nn.Module]:
    """Cells, and max pooling between stacks; all cells read the same choice points.

    A stack's first cell doubles the channels, but that of the first stack. Where no channels are dynamic, a cell gives
    n·⌊C / n⌋ of C, for n edges into its output.
    """
    stages: list[nn.Module] = []
    space = sized(space, factors)
    channels = space.channels
    for number, width in enumerate(space.widths):
        if number:
            stages.append(Fixed(downsample()))
        for _ in range(space.cells):
            stages.append(GraphCell(space, channels, width, factors))
            channels = stages[-1].channels
    return stages


def graph_tail(space: Bench101Space, classes: int, factors: Factors) -> nn.Module:
    """x [B, C, H, W], what the last cell gives → logits [B, classes]: dropout, mean over the image, linear."""
    width = sized(space, factors).widths[-1]
    if factors.dynamic_channels == "disabled":
        width -= width % space.output_edges
    dropout = [nn.Dropout(factors.global_dropout)] if factors.global_dropout else []
    return nn.Sequential(*dropout, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
