"""How the cells of NAS-Bench-201 run as a supernet: every edge has all candidates, and runs those that are chosen.

A supernet of paths is a stem, stages and a tail. A stage has `points`, the choice points it reads; `forward(x,
chosen)`, where `chosen` holds the active choices of each of these points; and `active(chosen)`, the modules that run.
"""

from collections.abc import Iterator
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.networks.nasbench201 import stem, tail
from fairdarts.ops.cell import Zero
from fairdarts.ops.drop_path import drop_path
from fairdarts.ops.nasbench201 import OPS, Reduction, ReluConvBn
from fairdarts.ops.ofa import share_kernels
from fairdarts.ops.share import with_own_norms
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.supernet.factors import Factors

Chosen = tuple[tuple[int, ...], ...]
"""of every choice point of a stage, the indices of its active choices"""

LARGER_KERNEL = {"nor_conv_1x1": "nor_conv_3x3"}
"""the operation of the larger kernel that another one's may be the centre of"""


class Node:
    """The value of a cell's node [B, C, H, W], and what all edges that leave it may share."""

    def __init__(self, value: Tensor):
        self.value = value
        self.pooled: Tensor | None = None

    @cached_property
    def rectified(self) -> Tensor:
        return F.relu(self.value)

    def through(self, op: nn.Module) -> Tensor | None:
        """op(value) [B, C, H, W]; None for `none`."""
        if isinstance(op, Zero):
            return None
        if isinstance(op, ReluConvBn):
            return op.rectified(self.rectified)
        if not isinstance(op, nn.AvgPool2d):
            return op(self.value)
        if self.pooled is None:
            self.pooled = op(self.value)
        return self.pooled


class BenchCell(nn.Module):
    """A cell all of whose candidates are there. `candidates[point][choice]` is an operation."""

    def __init__(self, space: Bench201Space, channels: int, factors: Factors):
        super().__init__()
        self.points = tuple(range(len(space.edges)))
        self.edges, self.drop = space.edges, factors.path_dropout
        self.candidates, first = nn.ModuleList(), {}
        for (node, _), names in zip(space.edges, space.choices, strict=True):
            if factors.operations == "node" and node in first:
                own = [with_own_norms(op) if factors.wsbn else op for op in first[node]]
            else:
                own = [OPS[name](channels, factors.affine) for name in names]
                if factors.ofa_kernel:
                    share_kernels(dict(zip(names, own, strict=True)), LARGER_KERNEL)
            first.setdefault(node, own)
            self.candidates.append(nn.ModuleList(own))

    def forward(self, x: Tensor, chosen: Chosen) -> Tensor:
        """x [B, C, H, W] → the same shape. An edge gives the mean of its active choices' outputs, `none` is a zero."""
        nodes, arrived = {0: Node(x)}, {}
        for own, active, (node, source) in zip(self.candidates, chosen, self.edges, strict=True):
            if source not in nodes:  # edges are in the order of their nodes, so nothing more arrives there
                nodes[source] = Node(arrived[source] if source in arrived else torch.zeros_like(x))
            outs = [out for choice in active if (out := nodes[source].through(own[choice])) is not None]
            if outs:
                value = total(outs) / len(active) if len(active) > 1 else outs[0]
                if self.drop and self.training:
                    value = drop_path(value, self.drop)
                arrived[node] = arrived[node] + value if node in arrived else value
        return arrived[node] if node in arrived else torch.zeros_like(x)

    def active(self, chosen: Chosen) -> Iterator[nn.Module]:
        """The candidates that run, by shared parts of them: a hook on one need not be called. `none` never runs."""
        for own, active in zip(self.candidates, chosen, strict=True):
            yield from (own[choice] for choice in active if not isinstance(own[choice], Zero))


class Fixed(nn.Module):
    """A stage without choices."""

    points: tuple[int, ...] = ()

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, chosen: Chosen = ()) -> Tensor:
        return self.module(x)

    def active(self, chosen: Chosen = ()) -> Iterator[nn.Module]:
        """The module itself."""
        yield self.module


def total(terms: list[Tensor]) -> Tensor:
    """The sum of one or more tensors of one shape."""
    whole = terms[0]
    for term in terms[1:]:
        whole = whole + term
    return whole


def sized(space: Bench201Space, factors: Factors) -> Bench201Space:
    """The space in the supernet's size."""
    update = {"cells": factors.cells or space.cells, "channels": factors.channels or space.channels}
    return space.model_copy(update=update)


def bench_stem(space: Bench201Space, in_channels: int, factors: Factors) -> nn.Module:
    """x [B, in, H, W] → [B, C, H, W], as in the stand-alone network."""
    return stem(sized(space, factors), in_channels)


def bench_stages(space: Bench201Space, factors: Factors) -> list[nn.Module]:
    """Cells and reductions, as in the stand-alone network; all cells read the same choice points."""
    space = sized(space, factors)
    stages: list[nn.Module] = []
    for number, width in enumerate(space.widths):
        if number:
            stages.append(Fixed(Reduction(width // 2, factors.affine)))
        stages += [BenchCell(space, width, factors) for _ in range(space.cells)]
    return stages


def bench_tail(space: Bench201Space, classes: int, factors: Factors) -> nn.Module:
    """x [B, 4C, H, W] → logits [B, classes], as in the stand-alone network, with dropout before the mean."""
    parts = [*tail(sized(space, factors), classes)]
    if factors.global_dropout:
        parts.insert(2, nn.Dropout(factors.global_dropout))
    return nn.Sequential(*parts)
