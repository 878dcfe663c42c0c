"""The search step as the papers write it: the reference that `search_step.py` measures the library against.

A loop over edges or layers and their candidates, in the contiguous layout, with what the released experiments of
FairDARTS compute and throw away: weight gradients in the architecture step, α gradients in the weight step. Modules are
named as the library's, so that both hold the same weights.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.runtime.device import autocast
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace, Layer
from fairdarts.spaces.nasbench201 import Bench201Space


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, affine=False)


def relu_conv_bn(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(c_in, c_out, 1, bias=False), norm(c_out))


class Halve(nn.Module):
    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.conv_1 = nn.Conv2d(c_in, c_out // 2, 1, bias=False)
        self.conv_2 = nn.Conv2d(c_in, c_out // 2, 1, bias=False)
        self.bn = norm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)  # the pixels first: 1×1 convolutions of a stride damage memory on the CPU (ops/cell.py)
        return self.bn(torch.cat([self.conv_1(x[:, :, ::2, ::2]), self.conv_2(x[:, :, 1::2, 1::2])], dim=1))


def separable(channels: int, kernel: int, stride: int, dilation: int) -> list[nn.Module]:
    padding = dilation * (kernel - 1) // 2
    depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
    return [nn.ReLU(), depthwise, nn.Conv2d(channels, channels, 1, bias=False), norm(channels)]


def operation(name: str, channels: int, stride: int) -> nn.Module:
    if name == "max_pool_3x3":
        return nn.Sequential(nn.MaxPool2d(3, stride, padding=1), norm(channels))
    if name == "avg_pool_3x3":
        return nn.Sequential(nn.AvgPool2d(3, stride, padding=1, count_include_pad=False), norm(channels))
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halve(channels, channels)
    kernel = int(name[-1])
    if name.startswith("sep_conv"):
        return nn.Sequential(*separable(channels, kernel, stride, 1), *separable(channels, kernel, 1, 1))
    return nn.Sequential(*separable(channels, kernel, stride, 2))


def gated(candidates: nn.ModuleList, x: Tensor, gates: Tensor) -> Tensor:
    return sum(gate * op(x) for gate, op in zip(gates, candidates, strict=True))


def arrived(cell: nn.Module, node: int, states: list[Tensor], gates: Tensor) -> Tensor:
    """A node of a cell: the sum of the edges into it, each of its candidates under their gates."""
    into = [(row, source) for row, (target, source) in enumerate(cell.edges) if target == node]
    return sum(gated(cell.candidates[row], states[source], gates[row]) for row, source in into)


class Cell(nn.Module):
    def __init__(self, space: CellSpace, c_prev_prev: int, c_prev: int, channels: int, halves: bool, halved: bool):
        super().__init__()
        self.kind, self.edges = "reduce" if halves else "normal", space.edges
        narrow = Halve if halved else relu_conv_bn
        self.preprocess = nn.ModuleList([narrow(c_prev_prev, channels), relu_conv_bn(c_prev, channels)])
        strides = [2 if halves and source < 2 else 1 for _, source in space.edges]
        self.candidates = nn.ModuleList(
            nn.ModuleList(operation(name, channels, stride) for name in space.candidates) for stride in strides
        )
        self.nodes = space.nodes

    def forward(self, s0: Tensor, s1: Tensor, gates: Tensor) -> Tensor:
        states = [narrow(s) for narrow, s in zip(self.preprocess, (s0, s1), strict=True)]
        for node in range(2, 2 + self.nodes):
            states.append(arrived(self, node, states, gates))
        return torch.cat(states[2:], dim=1)


class Network(nn.Module):
    def __init__(self, space: CellSpace, cells: int, channels: int, classes: int):
        super().__init__()
        c_prev_prev = c_prev = space.stem_multiplier * channels
        self.stem = nn.Sequential(nn.Conv2d(3, c_prev, 3, padding=1, bias=False), nn.BatchNorm2d(c_prev))
        self.stages, halved = nn.ModuleList(), False
        for index in range(cells):
            halves = index in space.reduction_cells(cells)
            channels *= 2 if halves else 1
            self.stages.append(Cell(space, c_prev_prev, c_prev, channels, halves, halved))
            c_prev_prev, c_prev, halved = c_prev, space.nodes * channels, halves
        self.tail = nn.ModuleDict({"classifier": nn.Linear(c_prev, classes)})

    def forward(self, x: Tensor, gates: dict[str, Tensor]) -> Tensor:
        s0 = s1 = self.stem(x)
        for cell in self.stages:
            s0, s1 = s1, cell(s0, s1, gates[cell.kind])
        return self.tail["classifier"](F.adaptive_avg_pool2d(s1, 1).flatten(1))


class Nothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul(0)


class ReluConvBn(nn.Module):
    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False), norm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(F.relu(x)))


BENCH_OPS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: Nothing(),
    "skip_connect": lambda channels: nn.Identity(),
    "nor_conv_1x1": lambda channels: ReluConvBn(channels, channels, 1),
    "nor_conv_3x3": lambda channels: ReluConvBn(channels, channels, 3),
    "avg_pool_3x3": lambda channels: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
}


class BenchCell(nn.Module):
    """A cell of NAS-Bench-201's searches (`forward` of SearchCell in the authors' code)."""

    def __init__(self, space: Bench201Space, channels: int):
        super().__init__()
        self.edges = space.edges
        self.candidates = nn.ModuleList(
            nn.ModuleList(BENCH_OPS[name](channels) for name in space.candidates) for _ in space.edges
        )

    def forward(self, x: Tensor, gates: Tensor) -> Tensor:
        states = [x]
        for node in range(1, 4):
            states.append(arrived(self, node, states, gates))
        return states[-1]


class Reduction(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.module = nn.ModuleDict(
            {
                "conv_1": ReluConvBn(channels, 2 * channels, 3, 2),
                "conv_2": ReluConvBn(2 * channels, 2 * channels, 3),
                "pool": nn.AvgPool2d(2, 2),
                "shortcut": nn.Conv2d(channels, 2 * channels, 1, bias=False),
            }
        )

    def forward(self, x: Tensor, gates: Tensor) -> Tensor:
        part = self.module
        return part["shortcut"](part["pool"](x)) + part["conv_2"](part["conv_1"](x))


class Bench(nn.Module):
    """NAS-Bench-201 with all candidates of all edges."""

    def __init__(self, space: Bench201Space, cells: int, channels: int, classes: int):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.stages = nn.ModuleList()
        for width in (channels, 2 * channels, 4 * channels):
            self.stages.extend([Reduction(width // 2)] if width > channels else [])
            self.stages.extend(BenchCell(space, width) for _ in range(cells))
        pool = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.tail = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), *pool, nn.Linear(width, classes))

    def forward(self, x: Tensor, gates: dict[str, Tensor]) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x, gates["edges"])
        return self.tail(x)


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), nn.ReLU6())


def bottleneck(c_in: int, c_out: int, expansion: int, kernel: int, stride: int, affine: bool = False) -> nn.Sequential:
    wide = expansion * c_in
    widen = [nn.Conv2d(c_in, wide, 1, bias=False), nn.BatchNorm2d(wide, affine=affine), nn.ReLU6()]
    spread = nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False)
    narrow = [nn.Conv2d(wide, c_out, 1, bias=False), nn.BatchNorm2d(c_out, affine=affine)]
    return nn.Sequential(
        *(widen if expansion > 1 else []), spread, nn.BatchNorm2d(wide, affine=affine), nn.ReLU6(), *narrow
    )


class Projection(nn.Sequential):
    def __init__(self, layer: Layer, affine: bool):
        conv = nn.Conv2d(layer.c_in, layer.c_out, 1, bias=False)
        super().__init__(conv, nn.BatchNorm2d(layer.c_out, affine=affine))
        self.stride = layer.stride

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, :, :: self.stride, :: self.stride])


class Residual(nn.Module):
    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


def choice(name: str, layer: Layer, affine: bool) -> nn.Module:
    if name == "skip_connect":
        return nn.Identity() if layer.keeps_shape else Projection(layer, affine)
    block = bottleneck(layer.c_in, layer.c_out, int(name[-3]), int(name[-1]), layer.stride, affine)
    return Residual(block) if name.startswith("MB") and layer.keeps_shape else block


class Choices(nn.Module):
    def __init__(self, names: tuple[str, ...], layer: Layer, affine: bool = False):
        super().__init__()
        self.candidates = nn.ModuleList(choice(name, layer, affine) for name in names)

    def forward(self, x: Tensor, gates: Tensor) -> Tensor:
        return gated(self.candidates, x, gates)


class Chain(nn.Module):
    """A supernet of a chain under gates."""

    def __init__(self, space: ChainSpace, classes: int, affine: bool = False):
        super().__init__()
        stem = [conv_bn(3, space.stem.channels, 3, space.stem.stride)]
        if space.stem.separable:
            stem.append(bottleneck(space.stem.channels, space.stem.separable, 1, 3, 1, affine=True))
        self.stem = nn.Sequential(*stem)
        layers = zip(space.choices, space.layers, strict=True)
        self.stages = nn.ModuleList(Choices(names, layer, affine) for names, layer in layers)
        head, classifier = conv_bn(space.layers[-1].c_out, space.head, 1, 1), nn.Linear(space.head, classes)
        self.tail = nn.ModuleDict({"head": head, "classifier": classifier})

    def forward(self, x: Tensor, gates: dict[str, Tensor]) -> Tensor:
        x = self.stem(x)
        for layer, row in zip(self.stages, gates["layers"], strict=True):
            x = layer(x, row)
        return self.ended(x)

    def ended(self, x: Tensor) -> Tensor:
        return self.tail["classifier"](F.adaptive_avg_pool2d(self.tail["head"](x), 1).flatten(1))


class PathNetwork(Chain):
    """A supernet of a chain that runs a path, whole: one index a layer."""

    def __init__(self, space: ChainSpace, classes: int):
        super().__init__(space, classes, affine=True)

    def forward(self, x: Tensor, path: tuple[int, ...]) -> Tensor:
        x = self.stem(x)
        for layer, index in zip(self.stages, path, strict=True):
            x = layer.candidates[index](x)
        return self.ended(x)


class PathStep:
    """The m passes of FairNAS' Algorithm 1 in turn, each through the whole network, its loss read at once."""

    def __init__(self, network: PathNetwork, weights: object):
        self.network = network
        self.optimizer = torch.optim.SGD(
            network.parameters(), weights.lr, weights.momentum, weight_decay=weights.weight_decay, foreach=False
        )

    def __call__(self, paths: list[tuple[int, ...]], batch: tuple[Tensor, Tensor]) -> float:
        images, labels = batch
        self.optimizer.zero_grad()
        total = 0.0
        for path in paths:
            loss = F.cross_entropy(self.network(images, path), labels)
            loss.backward()
            total += loss.item()
        self.optimizer.step()
        return total / len(paths)


def lower(network: nn.Module, device: torch.device) -> None:
    """From now on the network runs in bfloat16 by autocast, as anyone may wrap it; its logits are float32."""
    forward = network.forward

    def lowered(*given: object) -> Tensor:
        with autocast(device, "bfloat16"):
            return forward(*given).float()

    network.forward = lowered


class PlainStep:
    """The first-order step of DARTS and FairDARTS: α on the held-out batch, then the weights on the training batch."""

    def __init__(self, network: Network | Bench | Chain, alphas: dict[str, Tensor], settings: object):
        weights, architect = settings.weights, settings.architect
        self.network, self.alphas, self.settings = network, alphas, settings
        self.weight_optimizer = torch.optim.SGD(
            network.parameters(),
            weights.lr,
            weights.momentum,
            weight_decay=weights.weight_decay,
            nesterov=weights.nesterov,
            foreach=False,
        )
        self.alpha_optimizer = torch.optim.Adam(
            alphas.values(), architect.lr, architect.betas, weight_decay=architect.weight_decay, foreach=False
        )

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        kind = self.settings.relaxation
        gates = {cell: a.sigmoid() if kind == "sigmoid" else a.softmax(-1) for cell, a in self.alphas.items()}
        push = -((torch.cat(list(gates.values())) - 0.5) ** 2).mean()
        return F.cross_entropy(self.network(images, gates), labels) + self.settings.zero_one.weight * push

    def __call__(self, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor]) -> None:
        self.alpha_optimizer.zero_grad()
        self.loss(valid).backward()  # leaves gradients on the weights too, which the next line but one clears
        self.alpha_optimizer.step()
        self.weight_optimizer.zero_grad()
        self.loss(train).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.weights.clip)
        self.weight_optimizer.step()
