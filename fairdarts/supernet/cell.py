"""How all candidates of a cell space run under given gates."""

import torch
from torch import Tensor, nn

from fairdarts.ops.cell import OPS, FactorizedReduce, relu_conv_bn
from fairdarts.relaxation import Gates
from fairdarts.spaces.cell import CellSpace


def candidate(name: str, channels: int, stride: int) -> nn.Module:
    """An operation as a supernet runs it: BatchNorm without affine weights, and one behind every pooling as well."""
    op = OPS[name](channels, stride, False)
    if "pool" in name:
        return nn.Sequential(op, nn.BatchNorm2d(channels, affine=False))
    return op


class MixedEdge(nn.Module):
    """All candidates of one edge, summed under their gates (FairDARTS, eq. 2 and 6)."""

    def __init__(self, names: tuple[str, ...], channels: int, stride: int):
        super().__init__()
        self.candidates = nn.ModuleList(candidate(name, channels, stride) for name in names)

    def forward(self, x: Tensor, gates: Tensor) -> Tensor:
        """x [B, C, H, W], gates [candidates] → [B, C, H/stride, W/stride]."""
        return sum(gate * op(x) for gate, op in zip(gates, self.candidates, strict=True))


class SuperCell(nn.Module):
    """A cell whose every edge is mixed; concatenates its intermediate nodes."""

    def __init__(
        self, space: CellSpace, c_prev_prev: int, c_prev: int, channels: int, reduction: bool, reduction_prev: bool
    ):
        super().__init__()
        self.kind = "reduce" if reduction else "normal"
        narrow = FactorizedReduce if reduction_prev else relu_conv_bn
        self.preprocess0 = narrow(c_prev_prev, channels, affine=False)
        self.preprocess1 = relu_conv_bn(c_prev, channels, affine=False)
        self.edges = space.edges
        self.mixed = nn.ModuleList(
            MixedEdge(space.candidates, channels, 2 if reduction and source < space.inputs else 1)
            for _, source in self.edges
        )

    def forward(self, s0: Tensor, s1: Tensor, gates: Tensor) -> Tensor:
        """s0, s1: outputs of the two cells before; gates [edges, candidates] → [B, nodes · C, H', W']."""
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        for mixed, row, (node, source) in zip(self.mixed, gates, self.edges, strict=True):
            out = mixed(states[source], row)
            if node == len(states):
                states.append(out)
            else:
                states[node] = states[node] + out
        return torch.cat(states[2:], dim=1)


class CellSupernet(nn.Module):
    """The supernet of a cell space. It holds weights only: the gates come from outside.

    `forward(x [B, in, H, W], gates)` gives logits [B, classes].
    """

    def __init__(self, space: CellSpace, cells: int, channels: int, classes: int, in_channels: int = 3):
        super().__init__()
        c_prev_prev = c_prev = space.stem_multiplier * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, c_prev, 3, padding=1, bias=False), nn.BatchNorm2d(c_prev))
        self.cells = nn.ModuleList()
        reductions, reduction_prev = space.reduction_cells(cells), False
        for index in range(cells):
            reduction = index in reductions
            channels *= 2 if reduction else 1
            self.cells.append(SuperCell(space, c_prev_prev, c_prev, channels, reduction, reduction_prev))
            c_prev_prev, c_prev, reduction_prev = c_prev, space.nodes * channels, reduction
        self.classifier = nn.Linear(c_prev, classes)

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        s0 = s1 = self.stem(x)
        for cell in self.cells:
            s0, s1 = s1, cell(s0, s1, gates[cell.kind])
        return self.classifier(s1.mean((2, 3)))
