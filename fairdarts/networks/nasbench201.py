"""The stand-alone network of a NAS-Bench-201 genotype (arXiv:2001.00326, section 2.1, Fig. 1)."""

from torch import Tensor, nn

from fairdarts.genotype import EdgeGenotype
from fairdarts.ops.nasbench201 import OPS, Reduction
from fairdarts.spaces.nasbench201 import Bench201Space


def stem(space: Bench201Space, in_channels: int) -> nn.Sequential:
    """3×3 convolution and BatchNorm: x [B, in, H, W] → [B, C, H, W]."""
    conv = nn.Conv2d(in_channels, space.channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(space.channels))


def tail(space: Bench201Space, classes: int) -> nn.Sequential:
    """BatchNorm, ReLU, mean over the image, linear: x [B, 4C, H, W] → logits [B, classes]."""
    width = space.widths[-1]
    mean = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), *mean, nn.Linear(width, classes))


class Cell(nn.Module):
    """x [B, C, H, W] is node 0; every other node is the sum of its edges' operations; the last one is the output."""

    def __init__(self, names: tuple[str, ...], edges: tuple[tuple[int, int], ...], channels: int):
        super().__init__()
        self.edges = edges
        self.ops = nn.ModuleList(OPS[name](channels, True) for name in names)

    def forward(self, x: Tensor) -> Tensor:
        states = {0: x}
        for op, (node, source) in zip(self.ops, self.edges, strict=True):
            out = op(states[source])
            states[node] = states[node] + out if node in states else out
        return states[node]


class Bench201Network(nn.Module):
    """x [B, in, H, W] → logits [B, classes].

    An operation whose result never reaches the output is there all the same, as the benchmark counts its parameters.
    """

    def __init__(self, genotype: EdgeGenotype, space: Bench201Space, classes: int, in_channels: int = 3):
        super().__init__()
        self.stem = stem(space, in_channels)
        self.stages = nn.Sequential()
        for number, width in enumerate(space.widths):
            if number:
                self.stages.append(Reduction(width // 2))
            self.stages.extend(Cell(genotype.edges, space.edges, width) for _ in range(space.cells))
        self.tail = tail(space, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.stages(self.stem(x)))
