"""The stand-alone CIFAR and ImageNet networks of a cell genotype, as in DARTS (arXiv:1806.09055, section 3)."""

from typing import Self

import torch
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype, Edge, live
from fairdarts.ops.cell import OPS, FactorizedReduce, relu_conv_bn
from fairdarts.ops.drop_path import drop_path
from fairdarts.spaces.cell import CellSpace


class Cell(nn.Module):
    """One cell of a genotype: reads s0 and s1, the outputs of the two cells before, and concatenates its live nodes."""

    def __init__(
        self,
        edges: tuple[Edge, ...],
        c_prev_prev: int,
        c_prev: int,
        channels: int,
        reduction: bool,
        reduction_prev: bool,
    ):
        super().__init__()
        self.edges, self.concat = live(edges)
        self.channels = channels * len(self.concat)
        read = {source for _, _, source in self.edges}
        self.preprocess = nn.ModuleDict()  # an input that no operation reads needs no preprocessing
        if 0 in read:
            narrow = FactorizedReduce if reduction_prev else relu_conv_bn
            self.preprocess["0"] = narrow(c_prev_prev, channels)
        if 1 in read:
            self.preprocess["1"] = relu_conv_bn(c_prev, channels)
        self.ops = nn.ModuleList(
            OPS[op](channels, 2 if reduction and source < 2 else 1, True) for op, _, source in self.edges
        )

    def forward(self, s0: Tensor, s1: Tensor, drop_probability: float) -> Tensor:
        states = {int(key): module((s0, s1)[int(key)]) for key, module in self.preprocess.items()}
        for op, (_, node, source) in zip(self.ops, self.edges, strict=True):
            out = op(states[source])
            if self.training and not isinstance(op, nn.Identity):
                out = drop_path(out, drop_probability)
            states[node] = states[node] + out if node in states else out
        return torch.cat([states[node] for node in self.concat], dim=1)


class CifarStem(nn.Module):
    """One 3×3 convolution: x [B, in, H, W] → twice [B, out, H, W]."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv(x)
        return x, x


class ImageNetStem(nn.Module):
    """Three 3×3 convolutions of stride 2: x [B, in, H, W] → [B, out, H/4, W/4] and [B, out, H/8, W/8]."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.stem0 = nn.Sequential(
            nn.Conv2d(c_in, c_out // 2, 3, 2, 1, bias=False),
            nn.BatchNorm2d(c_out // 2),
            nn.ReLU(),
            nn.Conv2d(c_out // 2, c_out, 3, 2, 1, bias=False),
            nn.BatchNorm2d(c_out),
        )
        self.stem1 = nn.Sequential(nn.ReLU(), nn.Conv2d(c_out, c_out, 3, 2, 1, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        s0 = self.stem0(x)
        return s0, self.stem1(s0)


def auxiliary_head(channels: int, classes: int, stride: int, last_norm: bool) -> nn.Sequential:
    """Classifier after the second reduction, for training only: features [B, C, 8, 8] or [B, C, 7, 7] → logits.

    DARTS' ImageNet head lacks the last BatchNorm (`last_norm=False`), its CIFAR head has it.
    """
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride, count_include_pad=False),
        nn.Conv2d(channels, 128, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.Conv2d(128, 768, 2, bias=False),
        nn.BatchNorm2d(768) if last_norm else nn.Identity(),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(768, classes),
    )


class CellNetwork(nn.Module):
    """A network of stacked cells.

    `forward` gives logits [B, classes]; in training, with an auxiliary head, (logits, auxiliary logits).
    `drop_probability` is that of drop path, and may be raised while training.
    Raises UserError where a cell has no operation.
    """

    def __init__(
        self,
        genotype: CellGenotype,
        space: CellSpace,
        stem: nn.Module,
        stem_channels: int,
        cells: int,
        channels: int,
        classes: int,
        reduction_prev: bool,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.drop_probability = 0.0
        self.stem = stem
        self.cells = nn.ModuleList()
        reductions = space.reduction_cells(cells)
        self.auxiliary_at = 2 * cells // 3
        c_prev_prev = c_prev = stem_channels
        for index in range(cells):
            reduction = index in reductions
            channels *= 2 if reduction else 1
            kind = "reduce" if reduction else "normal"
            cell = Cell(getattr(genotype, kind), c_prev_prev, c_prev, channels, reduction, reduction_prev)
            if not cell.concat:
                raise UserError(f"{genotype.name}: the {kind} cell has no operation, so it makes no network")
            self.cells.append(cell)
            c_prev_prev, c_prev, reduction_prev = c_prev, cell.channels, reduction
        self.auxiliary: nn.Module | None = None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(c_prev, classes)

    def add_auxiliary(self, classes: int, stride: int, last_norm: bool) -> Self:
        """Put an auxiliary head (see `auxiliary_head`) behind the second reduction; gives the network itself."""
        self.auxiliary = auxiliary_head(self.cells[self.auxiliary_at].channels, classes, stride, last_norm)
        return self

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        s0, s1 = self.stem(x)
        auxiliary = None
        for index, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, self.drop_probability)
            if index == self.auxiliary_at and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(s1)
        logits = self.classifier(self.dropout(s1.mean((2, 3))))
        return logits if auxiliary is None else (logits, auxiliary)


def cifar_network(
    genotype: CellGenotype,
    space: CellSpace,
    cells: int,
    channels: int,
    classes: int,
    in_channels: int = 3,
    auxiliary: bool = False,
    dropout: float = 0.0,
) -> CellNetwork:
    """The network for small images (DARTS: 20 cells, 36 channels); the auxiliary head wants 32×32 images."""
    width = space.stem_multiplier * channels
    stem = CifarStem(in_channels, width)
    network = CellNetwork(genotype, space, stem, width, cells, channels, classes, False, dropout)
    return network.add_auxiliary(classes, stride=3, last_norm=True) if auxiliary else network


def imagenet_network(
    genotype: CellGenotype,
    space: CellSpace,
    cells: int,
    channels: int,
    classes: int,
    in_channels: int = 3,
    auxiliary: bool = False,
    dropout: float = 0.0,
) -> CellNetwork:
    """The network for large images (DARTS: 14 cells, 48 channels); the auxiliary head wants 224×224 images."""
    stem = ImageNetStem(in_channels, channels)
    network = CellNetwork(genotype, space, stem, channels, cells, channels, classes, True, dropout)
    return network.add_auxiliary(classes, stride=2, last_norm=False) if auxiliary else network


NETWORKS = {"cifar": cifar_network, "imagenet": imagenet_network}
