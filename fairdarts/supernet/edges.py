"""How a cell whose choice points are its edges runs under gates, node by node.

What edges read of a node is computed once where it is the same for all of them (the ReLU, pooling, skip connections);
all that arrives at a node under weights is one sum.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.ops.cell import FactorizedReduce, Zero
from fairdarts.ops.drop_path import drop_path
from fairdarts.ops.nasbench201 import ReluConvBn
from fairdarts.ops.ofa import share_kernels
from fairdarts.ops.share import with_own_norms
from fairdarts.spaces.gates import Gate, Gates
from fairdarts.supernet.kernels.fused import gated_sum
from fairdarts.supernet.kernels.terms import Term, averaged, averages, plain_sum, units_of
from fairdarts.supernet.partial import parted, passed, shuffled
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.stage import Node, weighted

WEIGHTLESS = (nn.Sequential, nn.MaxPool2d, nn.AvgPool2d, nn.BatchNorm2d, nn.Identity, Zero)


def is_weightless(operation: nn.Module) -> bool:
    """Whether all edges that leave a node may read one result: it has no weights, and is known not to be random."""
    known = all(type(module) in WEIGHTLESS for module in operation.modules())
    return known and next(operation.parameters(), None) is None


def candidates_of_edges(
    edges: Sequence[tuple[int, int]],
    strides: Sequence[int],
    fresh: Callable[[int], dict[str, nn.Module]],
    larger_kernel: Mapping[str, str],
    settings: SupernetSettings,
    tied: bool,
) -> list[list[nn.Module]]:
    """The operations of every edge (node, input); `strides` are those of the edges from each input, and `fresh` makes
    operations of a stride, by name.

    Where operations are on nodes, edges into one node share them, those of another stride apart. Where weightless ones
    are `tied`, all edges that leave a node have the same modules of them.
    """

    def made(stride: int) -> list[nn.Module]:
        operations = fresh(stride)
        if settings.ofa_kernel:
            share_kernels(operations, larger_kernel)
        return list(operations.values())

    shared = [made(stride) for stride in strides] if tied else []
    first: dict[tuple[int, int], list[nn.Module]] = {}
    candidates = []
    for node, source in edges:
        into = node, strides[source]
        if settings.operations == "node" and into in first:
            modules = [with_own_norms(op) if settings.wsbn else op for op in first[into]]
        else:
            modules = made(strides[source])
        if shared:
            modules = [one if is_weightless(one) else op for one, op in zip(shared[source], modules, strict=True)]
        first.setdefault(into, modules)
        candidates.append(modules)
    return candidates


class ActiveEdge(NamedTuple):
    """An edge that runs."""

    row: int
    """its number in the cell"""
    node: int
    source: int
    active: tuple[tuple[int, int], ...]
    """(position among the active candidates, candidate) of those that give something: `none` does not"""


class Arriving(NamedTuple):
    """What edges give a node."""

    terms: list[Term]
    """of candidates"""
    beside: list[Term]
    """of the channels that pass them by, where only a part goes through them"""


class EdgeCell(nn.Module):
    """The edges of a cell with all their candidates: `candidates[edge][column]` is an operation.

    `edges` are (node, input), in the order of their nodes. With `shared`, candidates without weights run once for all
    edges that leave a node. With partial channels they read a part of a node, and the rest of it passes by.
    """

    candidates: Sequence[Sequence[Any]]
    """nn.ModuleLists of operations, some of which know more than a module does"""

    def set_edges(
        self,
        points: tuple[int, ...],
        edges: tuple[tuple[int, int], ...],
        names: tuple[str, ...],
        strides: Sequence[int],
        candidates: Sequence[Sequence[nn.Module]],
        settings: SupernetSettings,
        shared: bool,
        recompute: bool,
    ) -> None:
        """Registers the candidates, behind what a kind of cell has besides. `strides` are as `candidates_of_edges` has
        them."""
        self.points, self.edges, self.names, self.strides = points, edges, names, strides
        self.drop, self.partial, self.recompute = settings.path_dropout, settings.partial, recompute
        held = nn.ModuleList(nn.ModuleList(modules) for modules in candidates)
        self.candidates = cast("Sequence[Sequence[Any]]", held)
        self.shared = [{at for at, op in enumerate(ops) if shared and is_weightless(op)} for ops in candidates]

    def running(self, gates: Gates) -> Iterator[ActiveEdge]:
        """The edges that run, node by node; one on which only `none` is active does not, unless channels pass it by."""
        for row, ((node, source), gate) in enumerate(zip(self.edges, gates, strict=True)):
            active = tuple(pair for pair in enumerate(gate.active) if self.names[pair[1]] != "none")
            if active or (self.partial > 1 and gate.active):
                yield ActiveEdge(row, node, source, active)

    def active(self, gates: Gates) -> Iterator[nn.Module]:
        """The candidates that run, by shared parts of them: a hook on one need not be called."""
        for edge in self.running(gates):
            yield from (self.candidates[edge.row][column] for _, column in edge.active)

    def nodes(
        self, read: Callable[[int], Tensor], gates: Gates, disturbance: Disturbance | None, index: int
    ) -> dict[int, Tensor]:
        """The nodes [B, C, H, W] that are read or arrived at; `read` gives those that nothing has arrived at."""
        disturbance = disturbance if self.training else None
        values: dict[int, Tensor] = {}
        nodes: dict[int, Node] = {}
        others: dict[int, Tensor] = {}
        arriving: dict[int, Arriving] = {}
        for edge in self.running(gates):
            source, gate = edge.source, gates[edge.row]
            if source not in values:  # edges are in the order of their nodes, so nothing more arrives there
                values[source] = read_by = self.sum(arriving.pop(source)) if source in arriving else read(source)
                if self.partial > 1:
                    read_by, rest = parted(read_by, self.partial)
                    others[source] = passed(rest, self.strides[source])
                nodes[source] = Node(read_by)
            gives = Arriving([*self.terms(edge, nodes[source], gate, disturbance, index)], [])
            if self.partial > 1:
                gives.beside.append(Term(others[source], gate.scale))
            if self.drop and self.training:
                gives = self.dropped(gives)
            for terms, new in zip(arriving.setdefault(edge.node, Arriving([], [])), gives, strict=True):
                gather(terms, new)
        return values | {number: self.sum(gives) for number, gives in arriving.items()}

    def terms(
        self, edge: ActiveEdge, node: Node, gate: Gate, disturbance: Disturbance | None, index: int
    ) -> Iterator[Term]:
        """What an edge adds to its node."""
        if not isinstance(gate.weights, Tensor):
            outputs = [self.output(edge.row, column, node, disturbance, index) for _, column in edge.active]
            if outputs:
                yield Term(weighted(outputs, gate), None)
            return
        weights, rectified = gate.weights.unbind(), node.rectified
        for position, column in edge.active:
            op = self.candidates[edge.row][column]
            if position >= len(gate.active) - gate.idle:
                with torch.no_grad():
                    out = self.output(edge.row, column, Node(node.value), disturbance, index)
                yield Term(out, weights[position])
                continue
            touched = disturbance is not None and disturbance.touches(self.names[column])
            units = None if touched or column in self.shared[edge.row] else units_of(op)
            if not touched and averages(op):
                yield Term(node.once(column, partial(averaged, op, node.value)), weights[position])
            elif units is None:
                yield Term(self.output(edge.row, column, node, disturbance, index), weights[position])
            elif type(op) is FactorizedReduce:
                gathered = node.once(FactorizedReduce, partial(op.gather, rectified))
                yield Term(gathered, weights[position], units)
            else:
                entry = op.conv(rectified) if units[0].weight is None else rectified
                yield Term(entry, weights[position], units)

    def output(self, row: int, column: int, node: Node, disturbance: Disturbance | None, index: int) -> Tensor:
        """What a candidate gives, disturbed where it should be."""
        name, op = self.names[column], self.candidates[row][column]
        if column in self.shared[row]:
            out = node.once(column, lambda: op(node.value))
        else:
            out = op.rectified(node.rectified) if isinstance(op, ReluConvBn) else op(node.value)
        if disturbance is not None and disturbance.touches(name):
            return disturbance.of_output(out, name, index, row, column)
        return out

    def dropped(self, gives: Arriving) -> Arriving:
        """What an edge gives, dropped whole, image by image."""
        sums = [plain_sum(terms, self.training) if terms else None for terms in gives]
        like = next(x for x in sums if x is not None)
        kept = drop_path(like.new_ones(len(like), 1, 1, 1), self.drop)
        return Arriving(*([] if x is None else [Term(x * kept, None)] for x in sums))

    def sum(self, gives: Arriving) -> Tensor:
        """What arrives at a node [B, C, H, W]."""
        if not gives.beside:
            return gated_sum(gives.terms, self.training, self.recompute)
        beside = gated_sum(gives.beside, self.training, self.recompute)
        if gives.terms:
            mixed = gated_sum(gives.terms, self.training, self.recompute)
        else:
            mixed = torch.zeros_like(beside[:, : beside.shape[1] // (self.partial - 1)])
        return shuffled(mixed, beside, self.partial)


def gather(terms: list[Term], new: Sequence[Term]) -> None:
    """Puts new terms to those of a node; those without gates are added at once."""
    for term in new:
        if terms and terms[-1].gate is term.gate is None:
            terms[-1] = Term(terms[-1].input + term.input, None)
        else:
            terms.append(term)
