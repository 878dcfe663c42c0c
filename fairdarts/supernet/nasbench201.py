"""How the cells of NAS-Bench-201 run under gates: every edge has all candidates, and runs those that are active."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.networks.nasbench201 import stem, tail
from fairdarts.ops.cell import Zero
from fairdarts.ops.drop_path import drop_path
from fairdarts.ops.nasbench201 import OPS, Reduction, ReluConvBn
from fairdarts.ops.ofa import share_kernels
from fairdarts.ops.share import with_own_norms
from fairdarts.spaces.gates import Gate, Gates
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.stage import Fixed, Node, Parts, total, weighted

LARGER_KERNEL = {"nor_conv_1x1": "nor_conv_3x3"}
"""the operation of the larger kernel that another one's may be the centre of"""


class BenchCell(nn.Module):
    """A cell all of whose candidates are there: `candidates[edge][column]` is an operation."""

    def __init__(self, space: Bench201Space, channels: int, settings: SupernetSettings):
        super().__init__()
        self.points = tuple(range(len(space.edges)))
        self.edges, self.names, self.drop = space.edges, space.candidates, settings.path_dropout
        self.candidates, first = nn.ModuleList(), {}
        for (node, _), names in zip(space.edges, space.choices, strict=True):
            if settings.operations == "node" and node in first:
                own = [with_own_norms(op) if settings.wsbn else op for op in first[node]]
            else:
                own = [OPS[name](channels, settings.affine) for name in names]
                if settings.ofa_kernel:
                    share_kernels(dict(zip(names, own, strict=True)), LARGER_KERNEL)
            first.setdefault(node, own)
            self.candidates.append(nn.ModuleList(own))

    def forward(self, x: Tensor, gates: Gates, disturbance: Disturbance | None = None, index: int = 0) -> Tensor:
        """x [B, C, H, W] → the same shape. Node 0 is x, every other node the sum of its edges; `none` is a zero."""
        disturbance = disturbance if self.training else None
        nodes, arrived = {0: Node(x)}, {}
        for row, ((node, source), gate) in enumerate(zip(self.edges, gates, strict=True)):
            if source not in nodes:  # edges are in the order of their nodes, so nothing more arrives there
                nodes[source] = Node(arrived[source] if source in arrived else torch.zeros_like(x))
            value = self.edge(row, nodes[source], gate, disturbance, index)
            if value is not None:
                if self.drop and self.training:
                    value = drop_path(value, self.drop)
                arrived[node] = arrived[node] + value if node in arrived else value
        return arrived[node] if node in arrived else torch.zeros_like(x)

    def edge(self, row: int, node: Node, gate: Gate, disturbance: Disturbance | None, index: int) -> Tensor | None:
        """What the active candidates of an edge give together; None where they give nothing."""
        outputs, places = [], []
        for place, column in enumerate(gate.active):
            name, op = self.names[column], self.candidates[row][column]
            if isinstance(op, Zero):
                continue
            out = through(op, node)
            if disturbance is not None and disturbance.touches(name):
                out = disturbance.of_output(out, name, index, row, column)
            outputs.append(out)
            places.append(place)
        if not outputs:
            return None
        if isinstance(gate.weights, Tensor):
            weights = gate.weights.unbind()
            return total([weights[place] * out for place, out in zip(places, outputs, strict=True)])
        return weighted(outputs, gate)

    def active(self, gates: Gates) -> Iterator[nn.Module]:
        """The candidates that run, by shared parts of them: a hook on one need not be called. `none` never runs."""
        for own, gate in zip(self.candidates, gates, strict=True):
            yield from (own[column] for column in gate.active if not isinstance(own[column], Zero))


def through(op: nn.Module, node: Node) -> Tensor:
    """op(node) [B, C, H, W]; edges that leave a node share its ReLU and its pooling."""
    if isinstance(op, ReluConvBn):
        return op.rectified(node.rectified)
    if isinstance(op, nn.AvgPool2d):
        return node.once(nn.AvgPool2d, lambda: op(node.value))
    return op(node.value)


def nasbench201_parts(
    space: Bench201Space, classes: int, in_channels: int, settings: SupernetSettings, recompute: bool
) -> Parts:
    """Stem, cells, reductions and tail as in the stand-alone network, with dropout before the mean; all cells read the
    same choice points."""
    size = {"cells": settings.cells or space.cells, "channels": settings.channels or space.channels}
    space = space.model_copy(update=size)
    entry = stem(space, in_channels)
    stages: list[nn.Module] = []
    for number, width in enumerate(space.widths):
        if number:
            stages.append(Fixed(Reduction(width // 2, settings.affine)))
        stages += [BenchCell(space, width, settings) for _ in range(space.cells)]
    ending = [*tail(space, classes)]
    if settings.global_dropout:
        ending.insert(2, nn.Dropout(settings.global_dropout))
    return Parts(entry, stages, nn.Sequential(*ending))
