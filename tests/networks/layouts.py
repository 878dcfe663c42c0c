"""The networks of the released files, rendered plainly: modules called as the files call them, run one by one.

They share nothing with fairdarts, so that a file made of one and read into ours shows that both compute the same.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Edges = list[tuple[str, int, int]]
"""operation, node, input"""


class Op(nn.Module):
    """What DARTS writes as `self.op = nn.Sequential(…)`."""

    def __init__(self, *modules: nn.Module):
        super().__init__()
        self.op = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Halve(nn.Module):
    """FactorizedReduce, of even sizes."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.conv_1 = nn.Conv2d(c_in, c_out // 2, 1, bias=False)
        self.conv_2 = nn.Conv2d(c_in, c_out // 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        return self.bn(torch.cat([self.conv_1(x[:, :, ::2, ::2]), self.conv_2(x[:, :, 1::2, 1::2])], 1))


def relu_conv_bn(c_in: int, c_out: int) -> Op:
    return Op(nn.ReLU(), nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))


def operation(name: str, channels: int, stride: int) -> nn.Module:
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halve(channels, channels)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    kernel, dilation = int(name[-1]), 2 if name.startswith("dil") else 1
    modules = []
    for step in (stride,) if dilation == 2 else (stride, 1):
        padding = dilation * (kernel // 2)
        deep = nn.Conv2d(channels, channels, kernel, step, padding, dilation, groups=channels, bias=False)
        modules += [nn.ReLU(), deep, nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)]
    return Op(*modules)


class Cell(nn.Module):
    """A cell with all its preprocessing and operations, also those that take no part."""

    def __init__(self, edges: Edges, c_pp: int, c_p: int, channels: int, reduction: bool, halved: bool):
        super().__init__()
        self.edges, self.channels, self.reduction = edges, channels, reduction
        self.preprocess0 = Halve(c_pp, channels) if halved else relu_conv_bn(c_pp, channels)
        self.preprocess1 = relu_conv_bn(c_p, channels)
        fed = {0, 1}
        for node in range(2, 6):
            fed |= {to for _, to, source in edges if to == node and source in fed}
        self.width = channels * (len(fed) - 2)

    def operation(self, name: str, source: int) -> nn.Module:
        return operation(name, self.channels, 2 if self.reduction and source < 2 else 1)

    def forward(self, s0: Tensor, s1: Tensor) -> Tensor:
        states = {0: self.preprocess0(s0), 1: self.preprocess1(s1)}
        for node in range(2, 6):
            arriving = [op(states[source]) for source, op in self.into(node) if source in states]
            if arriving:
                states[node] = sum(arriving)
        return torch.cat([states[node] for node in range(2, 6) if node in states], 1)


class DartsCell(Cell):
    def __init__(self, edges: Edges, *rest):
        super().__init__(edges, *rest)
        self._ops = nn.ModuleList(self.operation(name, source) for name, _, source in edges)

    def into(self, node: int) -> list[tuple[int, nn.Module]]:
        return [(self.edges[k][2], self._ops[k]) for k in (2 * node - 4, 2 * node - 3)]


class FairDartsCell(Cell):
    def __init__(self, edges: Edges, *rest):
        super().__init__(edges, *rest)
        self._ops = nn.ModuleDict()
        for name, node, source in edges:
            if str(node) not in self._ops:
                self._ops[str(node)] = nn.ModuleDict()
            if str(source) not in self._ops[str(node)]:
                self._ops[str(node)][str(source)] = nn.ModuleList()
            self._ops[str(node)][str(source)].append(self.operation(name, source))

    def into(self, node: int) -> list[tuple[int, nn.Module]]:
        if str(node) not in self._ops:
            return []
        return [(int(source), op) for source, ops in self._ops[str(node)].items() for op in ops]


class Auxiliary(nn.Module):
    def __init__(self, channels: int, classes: int, large: bool):
        super().__init__()
        last = [] if large else [nn.BatchNorm2d(768)]
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, 2 if large else 3, padding=0, count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            *last,
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class CellNetwork(nn.Module):
    """DARTS' NetworkCIFAR or, `large`, NetworkImageNet; with FairDARTS' cells where `cell` is FairDartsCell."""

    def __init__(
        self, cell: type[Cell], normal: Edges, reduce: Edges, cells: int, channels: int, classes: int, large: bool
    ):
        super().__init__()
        if large:
            half = channels // 2
            first = nn.Conv2d(3, half, 3, 2, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU()
            self.stem0 = nn.Sequential(*first, nn.Conv2d(half, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels))
            second = nn.Conv2d(channels, channels, 3, 2, 1, bias=False)
            self.stem1 = nn.Sequential(nn.ReLU(), second, nn.BatchNorm2d(channels))
            width = channels
        else:
            width = 3 * channels
            self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.large, self.cells = large, nn.ModuleList()
        c_pp = c_p = width
        halved = large
        for index in range(cells):
            reduction = index in (cells // 3, 2 * cells // 3)
            channels *= 2 if reduction else 1
            edges = reduce if reduction else normal
            self.cells.append(cell(edges, c_pp, c_p, channels, reduction, halved))
            halved, c_pp, c_p = reduction, c_p, self.cells[-1].width
            if index == 2 * cells // 3:
                self.auxiliary_head = Auxiliary(c_p, classes, large)
        self.classifier = nn.Linear(c_p, classes)

    def forward(self, x: Tensor) -> Tensor:
        s0 = self.stem0(x) if self.large else self.stem(x)
        s1 = self.stem1(s0) if self.large else s0
        for cell in self.cells:
            s0, s1 = s1, cell(s0, s1)
        return self.classifier(s1.mean((2, 3)))


class Inverted(nn.Module):
    """FairNAS' inverted bottleneck."""

    def __init__(self, c_in: int, c_out: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        wide = expansion * c_in
        self.conv1 = nn.Conv2d(c_in, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.conv3 = nn.Conv2d(wide, c_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c_out)
        self.adds = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu6(self.bn2(self.conv2(y)))))
        return x + y if self.adds else y


class FairNas(nn.Module):
    """stem and separable: output channels; layers: c_out, expansion, kernel, stride."""

    def __init__(self, stem: int, separable: int, layers: list[tuple[int, int, int, int]], head: int, classes: int):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU6())
        deep = nn.Conv2d(stem, stem, 3, 1, 1, groups=stem, bias=False)
        point = nn.Conv2d(stem, separable, 1, bias=False)
        self.separable_conv = nn.Sequential(deep, nn.BatchNorm2d(stem), nn.ReLU6(), point, nn.BatchNorm2d(separable))
        self.mb_module = nn.ModuleList()
        c_in = separable
        for c_out, *rest in layers:
            self.mb_module.append(Inverted(c_in, c_out, *rest))
            c_in = c_out
        last = nn.Conv2d(c_in, head, 1, bias=False)
        self.conv_before_pooling = nn.Sequential(last, nn.BatchNorm2d(head), nn.ReLU6())
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(head, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.separable_conv(self.stem(x))
        for block in self.mb_module:
            x = block(x)
        return self.classifier(self.conv_before_pooling(x).mean((2, 3)))
