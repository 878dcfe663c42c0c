"""How the cells of NAS-Bench-201 run under gates: every edge has all candidates, and runs those that are active."""

import torch
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.networks.nasbench201 import stem, tail
from fairdarts.ops.nasbench201 import OPS, Reduction
from fairdarts.spaces.gates import Gates
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.supernet.edges import EdgeCell, candidates_of_edges
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.stage import Fixed, SupernetParts

LARGER_KERNEL = {"nor_conv_1x1": "nor_conv_3x3"}
"""the operation of the larger kernel that another one's may be the centre of"""


class BenchCell(EdgeCell):
    """A cell all of whose candidates are there; its last node is its output."""

    def __init__(self, space: Bench201Space, channels: int, settings: SupernetSettings, recompute: bool):
        super().__init__()

        def fresh(_: int) -> dict[str, nn.Module]:
            return {name: OPS[name](channels // settings.partial, settings.affine) for name in space.candidates}

        strides, points = [1] * space.edges[-1][0], tuple(range(len(space.edges)))
        candidates = candidates_of_edges(space.edges, strides, fresh, LARGER_KERNEL, settings, tied=False)
        self.set_edges(points, space.edges, space.candidates, strides, candidates, settings, True, recompute)

    def forward(self, x: Tensor, gates: Gates, disturbance: Disturbance | None = None, index: int = 0) -> Tensor:
        """x [B, C, H, W] → the same shape. Node 0 is x; one that nothing arrives at is zeros, which operations read."""
        nodes = self.nodes(lambda node: torch.zeros_like(x) if node else x, gates, disturbance, index)
        last = self.edges[-1][0]
        return nodes[last] if last in nodes else torch.zeros_like(x)


def nasbench201_parts(
    space: Bench201Space, classes: int, in_channels: int, settings: SupernetSettings, recompute: bool
) -> SupernetParts:
    """Stem, cells, reductions and tail as in the stand-alone network, with dropout before the mean; all cells read the
    same choice points."""
    size = {"cells": settings.cells or space.cells, "channels": settings.channels or space.channels}
    space = space.model_copy(update=size)
    entry = stem(space, in_channels)
    stages: list[nn.Module] = []
    for number, width in enumerate(space.widths):
        if number:
            stages.append(Fixed(Reduction(width // 2, settings.affine)))
        stages += [BenchCell(space, width, settings, recompute) for _ in range(space.cells)]
    ending = [*tail(space, classes)]
    if settings.global_dropout:
        ending.insert(2, nn.Dropout(settings.global_dropout))
    return SupernetParts(entry, stages, nn.Sequential(*ending))
