"""How DARTS' cells run as a supernet of paths: a node reads the two inputs that are chosen, through one operation each.

Stem, stages and tail are as supernet.bench has them. What passes from cell to cell is a pair, the outputs of the last
two; the first cell reads the stem's output twice.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fairdarts.ops.cell import FactorizedReduce, Zero, relu_conv_bn
from fairdarts.ops.drop_path import drop_path
from fairdarts.ops.ofa import share_kernels
from fairdarts.ops.share import with_own_norms
from fairdarts.spaces.cell import CellSpace, Size
from fairdarts.spaces.cell_paths import input_pairs
from fairdarts.supernet.bench import Chosen
from fairdarts.supernet.cell import candidate
from fairdarts.supernet.factors import Factors

LARGER_KERNEL = {"sep_conv_3x3": "sep_conv_5x5", "dil_conv_3x3": "dil_conv_5x5"}
"""the operation of the larger kernel that another one's may be the centre of"""


class Run(NamedTuple):
    """An edge that runs."""

    node: int
    source: int
    operation: nn.Module


def candidates(space: CellSpace, channels: int, stride: int, factors: Factors) -> list[nn.Module]:
    """All operations of an edge."""
    own = {name: candidate(name, channels, stride, factors.affine) for name in space.candidates}
    if factors.ofa_kernel:
        share_kernels(own, LARGER_KERNEL)
    return list(own.values())


class PathCell(nn.Module):
    """A cell all of whose candidates are there. `candidates[edge][choice]` is an operation, edges as in the space.

    Where operations are on nodes, edges into one node share them, those of another stride apart: the two inputs of a
    reduction cell.
    """

    def __init__(
        self,
        space: CellSpace,
        c_prev_prev: int,
        c_prev: int,
        channels: int,
        reduction: bool,
        reduction_prev: bool,
        factors: Factors,
    ):
        super().__init__()
        points = 3 * space.nodes
        self.points = tuple(range(points, 2 * points) if reduction else range(points))
        self.inputs, self.nodes, self.channels = space.inputs, space.nodes, channels
        self.stride, self.drop = 2 if reduction else 1, factors.path_dropout
        narrow = FactorizedReduce if reduction_prev else relu_conv_bn
        self.preprocess = nn.ModuleList(
            [narrow(c_prev_prev, channels, factors.affine), relu_conv_bn(c_prev, channels, factors.affine)]
        )
        self.rows = {edge: row for row, edge in enumerate(space.edges)}
        self.candidates, first = nn.ModuleList(), {}
        for node, source in space.edges:
            stride = self.stride if source < space.inputs else 1
            if factors.operations == "node" and (node, stride) in first:
                own = [with_own_norms(op) if factors.wsbn else op for op in first[node, stride]]
            else:
                own = candidates(space, channels, stride, factors)
            first.setdefault((node, stride), own)
            self.candidates.append(nn.ModuleList(own))

    def runs(self, chosen: Chosen) -> list[Run]:
        """The edges that run. As in the stand-alone network, `none` does not, nor what reads a node without input."""
        fed, runs = set(range(self.inputs)), []
        for number in range(self.nodes):
            node = self.inputs + number
            (pair,), *operations = chosen[3 * number : 3 * number + 3]
            for source, (choice,) in zip(input_pairs(node)[pair], operations, strict=True):
                operation = self.candidates[self.rows[node, source]][choice]
                if source in fed and not isinstance(operation, Zero):
                    fed.add(node)
                    runs.append(Run(node, source, operation))
        return runs

    def active(self, chosen: Chosen) -> Iterator[nn.Module]:
        """The modules that run: an input that nothing reads needs no preprocessing."""
        runs = self.runs(chosen)
        for source, narrow in enumerate(self.preprocess):
            if any(run.source == source for run in runs):
                yield narrow
        yield from (run.operation for run in runs)

    def forward(self, x: Tensor | tuple[Tensor, Tensor], chosen: Chosen) -> tuple[Tensor, Tensor]:
        """(s0, s1) [B, C, H, W], the outputs of the two cells before → s1 and this cell's [B, nodes · C, H', W'].

        A node without input is zeros.
        """
        before = x if isinstance(x, tuple) else (x, x)
        states: dict[int, Tensor] = {}
        for node, source, operation in self.runs(chosen):
            if source not in states:  # an input, as every other state that is read has been computed
                states[source] = self.preprocess[source](before[source])
            out = operation(states[source])
            if self.training and self.drop:
                out = drop_path(out, self.drop)
            states[node] = states[node] + out if node in states else out
        nodes = range(self.inputs, self.inputs + self.nodes)
        whole = [states[node] if node in states else self.zeros(before[1]) for node in nodes]
        return before[1], torch.cat(whole, dim=1)

    def zeros(self, s1: Tensor) -> Tensor:
        """What a node without input gives [B, C, H', W']."""
        height, width = (-(-size // self.stride) for size in s1.shape[2:])
        return s1.new_zeros(len(s1), self.channels, height, width)


class CellTail(nn.Module):
    """What stands behind the cells: dropout, mean over the pixels, classifier."""

    def __init__(self, width: int, classes: int, dropout: float):
        super().__init__()
        self.dropout, self.classifier = nn.Dropout(dropout), nn.Linear(width, classes)

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        """Logits [B, classes] from the output of the last cell [B, nodes · C, H, W]."""
        return self.classifier(self.dropout(x[1]).mean((2, 3)))


def sized(space: CellSpace, factors: Factors) -> Size:
    """The supernet's size: the space's own, where the factors say nothing else."""
    own = space.supernet
    return Size(cells=factors.cells or own.cells, channels=factors.channels or own.channels)


def cell_stem(space: CellSpace, in_channels: int, factors: Factors) -> nn.Module:
    """x [B, in, H, W] → [B, C, H, W], as in the stand-alone network for small images."""
    width = space.stem_multiplier * sized(space, factors).channels
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))


def cell_stages(space: CellSpace, factors: Factors) -> list[nn.Module]:
    """The cells; all normal cells read the same choice points, and all reduction cells."""
    size = sized(space, factors)
    channels, reductions = size.channels, space.reduction_cells(size.cells)
    c_prev_prev = c_prev = space.stem_multiplier * channels
    reduction_prev, cells = False, []
    for index in range(size.cells):
        reduction = index in reductions
        channels *= 2 if reduction else 1
        cells.append(PathCell(space, c_prev_prev, c_prev, channels, reduction, reduction_prev, factors))
        c_prev_prev, c_prev, reduction_prev = c_prev, space.nodes * channels, reduction
    return cells


def cell_tail(space: CellSpace, classes: int, factors: Factors) -> nn.Module:
    """Logits [B, classes] from what the last cell gives."""
    size = sized(space, factors)
    width = space.nodes * size.channels * 2 ** len(space.reduction_cells(size.cells))
    return CellTail(width, classes, factors.global_dropout)
