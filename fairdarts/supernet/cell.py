"""How the cells of S1 and its kin run under gates.

A cell runs node by node. What its edges read of a node is computed once where it is the same for all of them (the ReLU,
pooling, skip connections); all that arrives at a node is one sum. What passes from cell to cell is a pair, the outputs
of the last two, rectified for all that read them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.ops.cell import OPS, FactorizedReduce, Separable, Zero, relu_conv_bn
from fairdarts.ops.drop_path import drop_path
from fairdarts.ops.ofa import share_kernels
from fairdarts.ops.share import with_own_norms
from fairdarts.spaces.cell import CellSpace, Size
from fairdarts.spaces.gates import Gate, Gates
from fairdarts.supernet.kernels.fused import fused_sum
from fairdarts.supernet.kernels.terms import Term, plain_sum, units_of
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.stage import Node, Parts, weighted

Pair = tuple[Tensor, Tensor]

LARGER_KERNEL = {"sep_conv_3x3": "sep_conv_5x5", "dil_conv_3x3": "dil_conv_5x5"}
"""the operation of the larger kernel that another one's may be the centre of"""

WEIGHTLESS = (nn.Sequential, nn.MaxPool2d, nn.AvgPool2d, nn.BatchNorm2d, nn.Identity, Zero)


def candidate(name: str, channels: int, stride: int, affine: bool) -> nn.Module:
    """An operation as a supernet runs it: a BatchNorm behind every pooling as well."""
    op = OPS[name](channels, stride, affine)
    return nn.Sequential(op, nn.BatchNorm2d(channels, affine=affine)) if "pool" in name else op


def is_weightless(operation: nn.Module) -> bool:
    """Whether all edges that leave a node may read one result: it has no weights, and is known not to be random."""
    known = all(type(module) in WEIGHTLESS for module in operation.modules())
    return known and next(operation.parameters(), None) is None


def candidates_of_edges(
    space: CellSpace, channels: int, stride: int, settings: SupernetSettings
) -> list[list[nn.Module]]:
    """The operations of every edge, in the order of `space.edges`; `stride` is that of edges from the cell's inputs.

    Where operations are on nodes, edges into one node share them, those of another stride apart. Where weightless ones
    are tied, all edges that leave a node have the same modules of them.
    """

    def fresh(stride: int) -> list[nn.Module]:
        made = {name: candidate(name, channels, stride, settings.affine) for name in space.candidates}
        if settings.ofa_kernel:
            share_kernels(made, LARGER_KERNEL)
        return list(made.values())

    strides = [stride if source < space.inputs else 1 for source in range(space.inputs + space.nodes)]
    tied = [fresh(own) for own in strides] if settings.tied else []
    first: dict[tuple[int, int], list[nn.Module]] = {}
    found = []
    for node, source in space.edges:
        into = node, strides[source]
        if settings.operations == "node" and into in first:
            own = [with_own_norms(op) if settings.wsbn else op for op in first[into]]
        else:
            own = fresh(strides[source])
        if tied:
            own = [one if is_weightless(one) else op for one, op in zip(tied[source], own, strict=True)]
        first.setdefault(into, own)
        found.append(own)
    return found


class Edge(NamedTuple):
    """An edge that runs."""

    row: int
    """its number in the cell"""
    node: int
    source: int
    active: tuple[tuple[int, int], ...]
    """(position among the active candidates, candidate) of those that give something: `none` does not"""


class SuperCell(nn.Module):
    """A cell all of whose candidates are there: `candidates[edge][column]` is an operation, edges as in the space."""

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
        self.points = space.parts["reduce" if reduction else "normal"].points
        self.edges, self.inputs, self.nodes, self.names = space.edges, space.inputs, space.nodes, space.candidates
        self.channels, self.stride, self.last = channels, 2 if reduction else 1, last
        self.drop, self.recompute = settings.path_dropout, recompute
        narrow = FactorizedReduce if reduction_prev else relu_conv_bn
        self.preprocess = nn.ModuleList(
            [narrow(c_prev_prev, channels, settings.affine), relu_conv_bn(c_prev, channels, settings.affine)]
        )
        self.candidates = nn.ModuleList(
            nn.ModuleList(own) for own in candidates_of_edges(space, channels, self.stride, settings)
        )
        self.weightless = [
            {column for column, op in enumerate(own) if settings.tied and is_weightless(op)} for own in self.candidates
        ]

    def running(self, gates: Gates) -> Iterator[Edge]:
        """The edges that run, node by node. As in the stand-alone network, `none` does not, nor what reads a node
        without input."""
        fed = set(range(self.inputs))
        for row, ((node, source), gate) in enumerate(zip(self.edges, gates, strict=True)):
            active = tuple(own for own in enumerate(gate.active) if self.names[own[1]] != "none")
            if active and source in fed:
                fed.add(node)
                yield Edge(row, node, source, active)

    def active(self, gates: Gates) -> Iterator[nn.Module]:
        """The modules that run: an input that nothing reads needs no preprocessing."""
        edges = [*self.running(gates)]
        for source, narrow in enumerate(self.preprocess):
            if any(edge.source == source for edge in edges):
                yield narrow
        for row, _, _, active in edges:
            yield from (self.candidates[row][column] for _, column in active)

    def forward(self, x: Tensor | Pair, gates: Gates, disturbance: Disturbance | None = None, index: int = 0) -> Pair:
        """The rectified outputs of the two cells before, or what the stem gave → the second of them, and this cell's
        [B, nodes · C, H', W']: rectified, but that of the last cell. A node without input is zeros."""
        s0, s1 = x if isinstance(x, tuple) else (F.relu(x),) * 2
        disturbance = disturbance if self.training else None
        one = next((gate.weights.new_ones(()) for gate in gates if isinstance(gate.weights, Tensor)), None)
        nodes: dict[int, Node] = {}
        arriving: dict[int, list[Term]] = {}
        for edge in self.running(gates):
            if edge.source not in nodes:  # edges are in the order of their nodes, so nothing more arrives there
                entry = edge.source < self.inputs
                value = self.entered(edge.source, (s0, s1), one) if entry else self.sum(arriving.pop(edge.source))
                nodes[edge.source] = Node(value)
            terms = self.terms(edge, nodes[edge.source], gates[edge.row], disturbance, index)
            if self.drop and self.training:
                terms = [Term(drop_path(plain_sum([*terms], self.training), self.drop), None)]
            arriving.setdefault(edge.node, []).extend(terms)
        for node, terms in arriving.items():
            nodes[node] = Node(self.sum(terms))
        every = range(self.inputs, self.inputs + self.nodes)
        out = torch.cat([nodes[node].value if node in nodes else self.zeros(s1) for node in every], dim=1)
        return s1, out if self.last else F.relu(out)

    def entered(self, source: int, pair: Pair, one: Tensor | None) -> Tensor:
        """What preprocessing makes of an output of the cells before [B, C, H, W]; `one` where gates are tensors."""
        narrow, x = self.preprocess[source], pair[source]
        units = units_of(narrow) if one is not None else None
        if units is None:
            return narrow.rectified(x)
        return self.sum([Term(narrow.gather(x) if type(narrow) is FactorizedReduce else x, one, units)])

    def terms(self, edge: Edge, node: Node, gate: Gate, disturbance: Disturbance | None, index: int) -> Iterator[Term]:
        """What an edge adds to its node."""
        if not isinstance(gate.weights, Tensor):
            outputs = [self.output(edge.row, column, node, disturbance, index) for _, column in edge.active]
            yield Term(weighted(outputs, gate), None)
            return
        weights, rectified = gate.weights.unbind(), node.rectified
        for position, column in edge.active:
            op = self.candidates[edge.row][column]
            touched = disturbance is not None and disturbance.touches(self.names[column])
            units = None if touched or column in self.weightless[edge.row] else units_of(op)
            if units is None:
                yield Term(self.output(edge.row, column, node, disturbance, index), weights[position])
            else:
                gathers = type(op) is FactorizedReduce
                entry = node.once("gathered", lambda op=op: op.gather(rectified)) if gathers else rectified
                yield Term(entry, weights[position], units)

    def output(self, row: int, column: int, node: Node, disturbance: Disturbance | None, index: int) -> Tensor:
        """What a candidate gives, disturbed where it should be."""
        name, op = self.names[column], self.candidates[row][column]
        weightless = column in self.weightless[row]
        out = node.once(column, lambda: op(node.value)) if weightless else op(node.value)
        touched = disturbance is not None and disturbance.touches(name)
        return disturbance.of_output(out, name, index, row, column) if touched else out

    def sum(self, terms: list[Term]) -> Tensor:
        """What arrives at a node [B, C, H, W]."""
        eager = not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))
        gated = all(term.gate is not None for term in terms)
        if gated and self.training and eager and terms[0].input.device.type == "cpu":
            return fused_sum(terms, self.recompute)
        return plain_sum(terms, self.training)

    def zeros(self, s1: Tensor) -> Tensor:
        """What a node without input gives [B, C, H', W']."""
        height, width = (-(-size // self.stride) for size in s1.shape[2:])
        return s1.new_zeros(len(s1), self.channels, height, width)


class CellTail(nn.Module):
    """What stands behind the cells: dropout, mean over the pixels, classifier."""

    def __init__(self, width: int, classes: int, dropout: float):
        super().__init__()
        self.dropout, self.classifier = nn.Dropout(dropout), nn.Linear(width, classes)

    def forward(self, x: Pair) -> Tensor:
        """Logits [B, classes] from the output of the last cell [B, nodes · C, H, W]."""
        return self.classifier(self.dropout(x[1]).mean((2, 3)))


def cell_parts(space: CellSpace, classes: int, in_channels: int, settings: SupernetSettings, recompute: bool) -> Parts:
    """Stem and tail as in the stand-alone network for small images; all normal cells read the same choice points, and
    all reduction cells."""
    own = space.supernet
    size = Size(cells=settings.cells or own.cells, channels=settings.channels or own.channels)
    channels, reductions = size.channels, space.reduction_cells(size.cells)
    c_prev_prev = c_prev = space.stem_multiplier * channels
    stem = nn.Sequential(nn.Conv2d(in_channels, c_prev, 3, padding=1, bias=False), nn.BatchNorm2d(c_prev))
    reduction_prev, cells = False, []
    for index in range(size.cells):
        reduction, last = index in reductions, index == size.cells - 1
        channels *= 2 if reduction else 1
        widths = c_prev_prev, c_prev, channels
        cells.append(SuperCell(space, *widths, reduction, reduction_prev, last, settings, recompute))
        c_prev_prev, c_prev, reduction_prev = c_prev, space.nodes * channels, reduction
    return Parts(stem, cells, CellTail(c_prev, classes, settings.global_dropout))
