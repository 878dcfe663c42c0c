"""How all candidates of a cell space run under given gates, fast.

A cell runs by source: what reads one state is computed together, and only once where it is the same for every edge that
leaves the state (the ReLU, pooling, skip connections). All else that arrives at a node is one sum of chains.
"""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.ops.again import again
from fairdarts.ops.cell import OPS, FactorizedReduce, Zero, relu_conv_bn
from fairdarts.relaxation import Gates
from fairdarts.spaces.cell import CellSpace
from fairdarts.supernet.chains import Term, chain_of, plain_sum
from fairdarts.supernet.fused import fused_sum


def candidate(name: str, channels: int, stride: int, affine: bool = False) -> nn.Module:
    """An operation as a supernet runs it: a BatchNorm behind every pooling as well; under gates, without weights."""
    op = OPS[name](channels, stride, affine)
    return nn.Sequential(op, nn.BatchNorm2d(channels, affine=affine)) if "pool" in name else op


SHARED = (nn.Sequential, nn.MaxPool2d, nn.AvgPool2d, nn.BatchNorm2d, nn.Identity, Zero)


def is_shared(operation: nn.Module) -> bool:
    """Whether all edges that leave one state may read one result: it has no weights, and is known not to be random."""
    known = all(type(module) in SHARED for module in operation.modules())
    return known and next(operation.parameters(), None) is None


class MixedEdge(nn.Module):
    """The candidates of one edge. Those that are shared are the same modules on all edges that leave one state."""

    def __init__(self, candidates: list[nn.Module]):
        super().__init__()
        self.candidates = nn.ModuleList(candidates)


class SuperCell(nn.Module):
    """A cell whose every edge is mixed; concatenates its intermediate nodes."""

    def __init__(
        self,
        space: CellSpace,
        c_prev_prev: int,
        c_prev: int,
        channels: int,
        reduction: bool,
        reduction_prev: bool,
        recompute: bool,
    ):
        super().__init__()
        self.kind = "reduce" if reduction else "normal"
        self.recompute = recompute
        narrow = FactorizedReduce if reduction_prev else relu_conv_bn
        self.preprocess0 = narrow(c_prev_prev, channels, affine=False)
        self.preprocess1 = relu_conv_bn(c_prev, channels, affine=False)
        self.names = space.candidates
        self.edges, self.inputs, self.states = space.edges, space.inputs, space.inputs + space.nodes
        strides = [2 if reduction and source < space.inputs else 1 for source in range(self.states)]
        first = {
            source: [candidate(name, channels, stride) for name in space.candidates]
            for source, stride in enumerate(strides)
        }
        self.shared = {source: [is_shared(operation) for operation in first[source]] for source in first}
        self.mixed = nn.ModuleList()
        for _, source in self.edges:
            own = [
                operation if shared else candidate(name, channels, strides[source])
                for name, operation, shared in zip(space.candidates, first[source], self.shared[source], strict=True)
            ]
            self.mixed.append(MixedEdge(own))

    def forward(
        self, s0: Tensor, s1: Tensor, gates: Tensor, disturbance: Disturbance | None = None, index: int = 0
    ) -> Tensor:
        """s0, s1: rectified outputs of the two cells before; gates [edges, candidates] → [B, nodes · C, H', W'].

        `index` is the cell's own number, by which a disturbance knows its place.
        """
        terms: dict[int, list[Term]] = {state: [] for state in range(self.states)}
        for state, (x, narrow) in enumerate([(s0, self.preprocess0), (s1, self.preprocess1)]):
            chain, entry = chain_of(narrow), x
            if chain is None:  # its BatchNorm is another, as a synchronized one
                chain, entry = (), narrow(x)
            elif type(narrow) is FactorizedReduce:
                entry = narrow.gather(x)
            terms[state].append(Term(entry, gates.new_ones(()), chain))
        nodes = []
        for state in range(self.states):
            x = self.sum(terms.pop(state))
            if state >= self.inputs:
                nodes.append(x)
            for node, term in self.leaving(state, x, gates, disturbance, index):
                terms[node].append(term)
        return torch.cat(nodes, dim=1)

    def leaving(
        self, state: int, x: Tensor, gates: Tensor, disturbance: Disturbance | None, index: int
    ) -> Iterator[tuple[int, Term]]:
        """What x [B, C, H, W] of a state adds to the nodes that read it."""
        rows = [(row, node) for row, (node, source) in enumerate(self.edges) if source == state]
        if not rows:
            return
        rectified, gathered = F.relu(x), None
        for column, first in enumerate(self.mixed[rows[0][0]].candidates):
            if isinstance(first, Zero):
                continue
            name, shared = self.names[column], first(x) if self.shared[state][column] else None
            disturbed = self.training and disturbance is not None and disturbance.touches(name)
            if type(first) is FactorizedReduce and gathered is None:
                gathered = first.gather(rectified)
            for row, node in rows:
                gate, op = gates[row, column], self.mixed[row].candidates[column]
                if disturbed:
                    out = op(x) if shared is None else shared
                    yield node, Term(disturbance.of_output(out, name, index, row, column), gate, ())
                elif shared is not None:
                    yield node, Term(shared, gate, ())
                elif (chain := chain_of(op)) is None:
                    yield node, Term(op(x), gate, ())
                else:
                    yield node, Term(gathered if type(op) is FactorizedReduce else rectified, gate, chain)

    def sum(self, terms: list[Term]) -> Tensor:
        """What arrives at a state [B, C, H, W]."""
        eager = not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))
        if self.training and eager and terms[0].input.device.type == "cpu":
            return fused_sum(terms, self.recompute)
        return plain_sum(terms, self.training)


class CellSupernet(nn.Module):
    """The supernet of a cell space. It holds weights only: the gates come from outside.

    `forward(x [B, in, H, W], gates, disturbance)` gives logits [B, classes]; in evaluation nothing is disturbed.
    What is kept for the backward pass: with memory `none`, every tensor that would be slow to make again; with
    `recompute`, on the CPU, no tensor inside a chain; with `checkpoint`, the outputs of cells alone. The numbers are
    the same.
    """

    def __init__(
        self,
        space: CellSpace,
        cells: int,
        channels: int,
        classes: int,
        in_channels: int = 3,
        memory: Literal["none", "recompute", "checkpoint"] = "none",
    ):
        super().__init__()
        self.memory, self.candidates = memory, space.candidates
        c_prev_prev = c_prev = space.stem_multiplier * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, c_prev, 3, padding=1, bias=False), nn.BatchNorm2d(c_prev))
        self.cells = nn.ModuleList()
        reductions, reduction_prev = space.reduction_cells(cells), False
        for index in range(cells):
            reduction = index in reductions
            channels *= 2 if reduction else 1
            self.cells.append(
                SuperCell(space, c_prev_prev, c_prev, channels, reduction, reduction_prev, memory == "recompute")
            )
            c_prev_prev, c_prev, reduction_prev = c_prev, space.nodes * channels, reduction
        self.classifier = nn.Linear(c_prev, classes)

    @property
    def blocks(self) -> nn.ModuleList:
        """What is compiled, and computed again, one by one."""
        return self.cells

    def forward(self, x: Tensor, gates: Gates, disturbance: Disturbance | None = None) -> Tensor:
        x = self.stem(x)
        s0 = s1 = F.relu(x)
        for index, cell in enumerate(self.cells):
            run = partial(again, cell) if self.memory == "checkpoint" else cell
            x = run(s0, s1, gates[cell.kind], disturbance, index)
            s0, s1 = s1, F.relu(x)
        return self.classifier(x.mean((2, 3)))
