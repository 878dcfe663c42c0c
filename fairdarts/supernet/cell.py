"""How the cells of S1 and its kin run under gates.

What passes from cell to cell is a pair, the outputs of the last two, rectified for all that read them.
"""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.networks.cell import ImageNetStem
from fairdarts.ops.cell import OPS, FactorizedReduce, Separable, relu_conv_bn
from fairdarts.ops.own import own_name
from fairdarts.spaces.cell import CellSpace, Size
from fairdarts.spaces.gates import Gates
from fairdarts.supernet.edges import ActiveEdge, Arriving, EdgeCell, candidates_of_edges
from fairdarts.supernet.kernels.terms import Term, units_of
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.stage import SupernetParts

Pair = tuple[Tensor, Tensor]

LARGER_KERNEL = {"sep_conv_3x3": "sep_conv_5x5", "dil_conv_3x3": "dil_conv_5x5"}
"""the operation of the larger kernel that another one's may be the centre of"""


def candidate(name: str, channels: int, stride: int, affine: bool) -> nn.Module:
    """An operation as a supernet runs it: a BatchNorm behind every pooling of the library as well."""
    op = OPS[name](channels, stride, affine)
    return nn.Sequential(op, nn.BatchNorm2d(channels, affine=affine)) if "pool" in name and not own_name(op) else op


class SuperCell(EdgeCell):
    """A cell all of whose candidates are there; it concatenates its nodes."""

    preprocess: Sequence[Separable | FactorizedReduce]
    """an nn.ModuleList: what brings each input to the cell's width"""

    def __init__(
        self,
        space: CellSpace,
        c_prev_prev: int,
        c_prev: int,
        channels: int,
        reduction: bool,
        reduction_prev: bool,
        last: bool,
        settings: SupernetSettings,
        recompute: bool,
    ):
        super().__init__()
        narrow = FactorizedReduce if reduction_prev else relu_conv_bn
        entries = [narrow(c_prev_prev, channels, settings.affine), relu_conv_bn(c_prev, channels, settings.affine)]
        self.preprocess = cast("Sequence[Separable | FactorizedReduce]", nn.ModuleList(entries))
        points, stride = space.parts["reduce" if reduction else "normal"].points, 2 if reduction else 1
        strides = [stride if source < space.inputs else 1 for source in range(space.inputs + space.nodes)]

        def fresh(stride: int) -> dict[str, nn.Module]:
            return {
                name: candidate(name, channels // settings.partial, stride, settings.affine)
                for name in space.candidates
            }

        candidates = candidates_of_edges(space.edges, strides, fresh, LARGER_KERNEL, settings, settings.tied)
        self.set_edges(points, space.edges, space.candidates, strides, candidates, settings, settings.tied, recompute)
        self.inputs, self.own_nodes = space.inputs, range(space.inputs, space.inputs + space.nodes)
        self.channels, self.stride, self.last = channels, stride, last

    def running(self, gates: Gates) -> Iterator[ActiveEdge]:
        """The edges that run, node by node. As in the stand-alone network, `none` does not, nor what reads a node
        without input."""
        fed = set(range(self.inputs))
        for edge in super().running(gates):
            if edge.source in fed:
                fed.add(edge.node)
                yield edge

    def active(self, gates: Gates) -> Iterator[nn.Module]:
        """The modules that run: an input that nothing reads needs no preprocessing."""
        read = {edge.source for edge in self.running(gates)}
        yield from (narrow for source, narrow in enumerate(self.preprocess) if source in read)
        yield from super().active(gates)

    def forward(self, x: Tensor | Pair, gates: Gates, disturbance: Disturbance | None = None, index: int = 0) -> Pair:
        """The rectified outputs of the two cells before, or what the stem gave → the second of them, and this cell's
        [B, nodes · C, H', W']: rectified, but that of the last cell. A node without input is zeros."""
        pair = x if isinstance(x, tuple) else (F.relu(x),) * 2
        one = next((gate.weights.new_ones(()) for gate in gates if isinstance(gate.weights, Tensor)), None)
        values = self.nodes(lambda source: self.entered(source, pair[source], one), gates, disturbance, index)
        nodes = [values[node] if node in values else self.zeros(pair[1]) for node in self.own_nodes]
        out = torch.cat(nodes, dim=1)
        return pair[1], out if self.last else F.relu(out)

    def entered(self, source: int, x: Tensor, one: Tensor | None) -> Tensor:
        """What preprocessing makes of an output of the cells before [B, C, H, W]; `one` where gates are tensors."""
        narrow = self.preprocess[source]
        units = units_of(narrow) if one is not None else None
        if units is None:
            return narrow.rectified(x)
        entry = narrow.gather(x) if type(narrow) is FactorizedReduce else x
        return self.sum(Arriving([Term(entry, one, units)], []))

    def zeros(self, s1: Tensor) -> Tensor:
        """What a node without input gives [B, C, H', W']."""
        height, width = (-(-size // self.stride) for size in s1.shape[2:])
        return s1.new_zeros(len(s1), self.channels, height, width)


def small_stem(c_in: int, c_out: int) -> nn.Sequential:
    """The stem of the stand-alone network for small images: x [B, in, H, W] → [B, out, H, W]."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))


class LargeStem(ImageNetStem):
    """The stem of the stand-alone network for large images: x [B, in, H, W] → [B, out, H/4, W/4], [B, out, H/8, W/8],
    rectified as cells pass them on."""

    def forward(self, x: Tensor) -> Pair:
        s0 = F.relu(self.stem0(x))
        return s0, F.relu(self.stem1(s0))


class CellTail(nn.Module):
    """What stands behind the cells: dropout, mean over the pixels, classifier."""

    def __init__(self, width: int, classes: int, dropout: float):
        super().__init__()
        self.dropout, self.classifier = nn.Dropout(dropout), nn.Linear(width, classes)

    def forward(self, x: Pair) -> Tensor:
        """Logits [B, classes] from the output of the last cell [B, nodes · C, H, W]."""
        return self.classifier(self.dropout(x[1]).mean((2, 3)))


def cell_parts(
    space: CellSpace, classes: int, in_channels: int, settings: SupernetSettings, recompute: bool
) -> SupernetParts:
    """Stem and tail as in the stand-alone network, for small images or for large ones; all normal cells read the same
    choice points, and all reduction cells."""
    stated = space.supernet
    size = Size(cells=settings.cells or stated.cells, channels=settings.channels or stated.channels)
    channels, reductions = size.channels, space.reduction_cells(size.cells)
    large = settings.stem == "imagenet"
    c_prev_prev = c_prev = channels if large else space.stem_multiplier * channels
    stem = LargeStem(in_channels, c_prev) if large else small_stem(in_channels, c_prev)
    reduction_prev, cells = large, []
    for index in range(size.cells):
        reduction, last = index in reductions, index == size.cells - 1
        channels *= 2 if reduction else 1
        widths = c_prev_prev, c_prev, channels
        cells.append(SuperCell(space, *widths, reduction, reduction_prev, last, settings, recompute))
        c_prev_prev, c_prev, reduction_prev = c_prev, space.nodes * channels, reduction
    return SupernetParts(stem, cells, CellTail(c_prev, classes, settings.global_dropout))
