"""The stand-alone network of a NAS-Bench-101 genotype (arXiv:1902.09635, section 2, Fig. 1)."""

import torch
from torch import Tensor, nn

from fairdarts.genotype import GraphGenotype
from fairdarts.ops.nasbench101 import OPS, ConvBnRelu, downsample
from fairdarts.spaces.graph import Graph, inputs_of, prune
from fairdarts.spaces.nasbench101 import Bench101Space, vertex_channels


def stem(space: Bench101Space, in_channels: int) -> nn.Module:
    """3×3 convolution, BatchNorm, ReLU: x [B, in, H, W] → [B, C, H, W]."""
    return ConvBnRelu(in_channels, space.channels, 3)


def tail(space: Bench101Space, classes: int) -> nn.Sequential:
    """Mean over the image, linear: x [B, C of the last stack, H, W] → logits [B, classes]."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(space.widths[-1], classes))


class Cell(nn.Module):
    """x [B, c_in, H, W] is vertex 0; the output [B, c_out, H, W] concatenates the vertices that lead into it.

    `graph` is a pruned one. A vertex adds up what it reads and applies its operation. It reads the first of another
    vertex's channels, as many as it has itself, and of x a projection, a 1×1 convolution, to as many. Where x leads
    into the output, its projection is added to the concatenation.
    """

    def __init__(self, graph: Graph, c_in: int, c_out: int):
        super().__init__()
        self.matrix = graph.matrix
        self.channels = vertex_channels(c_in, c_out, graph.matrix)
        readers = [vertex for vertex, edge in enumerate(graph.matrix[0]) if edge]
        self.projections = nn.ModuleDict(
            {str(vertex): ConvBnRelu(c_in, self.channels[vertex], 1) for vertex in readers}
        )
        widths = self.channels[1:-1]
        self.ops = nn.ModuleList(OPS[name](width, True) for name, width in zip(graph.operations, widths, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        values: dict[int, Tensor] = {}
        for vertex, op in enumerate(self.ops, start=1):
            read = [value[:, : self.channels[vertex]] for value in self._read(vertex, values)]
            values[vertex] = op(_total(self._projected(x, vertex) + read))
        last = len(self.matrix) - 1
        read = self._read(last, values)
        return _total(([torch.cat(read, dim=1)] if read else []) + self._projected(x, last))

    def _projected(self, x: Tensor, vertex: int) -> list[Tensor]:
        """What vertex 0 gives to this one, if there is an edge."""
        return [self.projections[str(vertex)](x)] if self.matrix[0][vertex] else []

    def _read(self, vertex: int, values: dict[int, Tensor]) -> list[Tensor]:
        """The values of the other vertices that lead into this one."""
        return [value for source, value in values.items() if self.matrix[source][vertex]]


def _total(terms: list[Tensor]) -> Tensor:
    return sum(terms[1:], terms[0])


class Bench101Network(nn.Module):
    """x [B, in, H, W] → logits [B, classes]. A vertex on no way from the cell's input to its output is not there."""

    def __init__(self, genotype: GraphGenotype, space: Bench101Space, classes: int, in_channels: int = 3):
        super().__init__()
        graph = prune(inputs_of(genotype.matrix), genotype.operations)
        assert graph is not None, "the space allows no genotype without a way from input to output"
        self.stem = stem(space, in_channels)
        self.stages, channels = nn.Sequential(), space.channels
        for number, width in enumerate(space.widths):
            if number:
                self.stages.append(downsample())
            for _ in range(space.cells):
                self.stages.append(Cell(graph, channels, width))
                channels = width
        self.tail = tail(space, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.stages(self.stem(x)))
