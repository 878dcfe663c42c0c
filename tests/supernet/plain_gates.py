"""What arrives at a choice point under gates, in a plain form: for the tests of every kind of space."""

import copy

import torch
from torch import Tensor, nn

from fairdarts.spaces.gates import Gate, Gates
from fairdarts.supernet.nasbench201 import BenchCell
from fairdarts.supernet.supernet import Supernet


def weighted(candidates: nn.ModuleList, x: Tensor, gate: Gate) -> Tensor | None:
    """Σ weight · candidate(x) of the active ones, their mean where there are no weights; None where none is active."""
    outputs = [candidates[column](x) for column in gate.active]
    if not outputs:
        return None
    if isinstance(gate.weights, Tensor):
        return sum(gate.weights[at] * out for at, out in enumerate(outputs))
    whole = sum(outputs)
    return whole / len(outputs) if gate.weights is None else whole * gate.weights


class Plain(nn.Module):
    """A supernet of layers, or of NAS-Bench-201's cells, in loops over its points and what is active there."""

    def __init__(self, supernet: Supernet):
        super().__init__()
        self.own = copy.deepcopy(supernet)

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        x = self.own.stem(x)
        for stage in self.own.stages:
            if isinstance(stage, BenchCell):
                x = self.cell(stage, x, gates)
            elif stage.points:
                x = weighted(stage.candidates, x, gates[stage.points[0]])
            else:
                x = stage.module(x)
        return self.own.tail(x)

    def cell(self, cell: BenchCell, x: Tensor, gates: Gates) -> Tensor:
        states = [x, *[torch.zeros_like(x)] * 3]
        for (node, source), candidates, gate in zip(cell.edges, cell.candidates, gates, strict=True):
            arriving = weighted(candidates, states[source], gate)
            states[node] = states[node] if arriving is None else states[node] + arriving
        return states[-1]
