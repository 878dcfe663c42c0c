"""The stand-alone CIFAR and ImageNet networks of a cell genotype, as in DARTS (arXiv:1806.09055, section 3)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype, Edge, live
from fairdarts.networks.backbone import Backbone, Point
from fairdarts.ops.cell import OPS, FactorizedReduce, relu_conv_bn
from fairdarts.ops.drop_path import drop_path
from fairdarts.ops.recompute import recompute
from fairdarts.spaces.cell import CellSpace


class Cell(nn.Module):
    """One cell of a genotype: reads s0 and s1, the outputs of the two cells before, and concatenates its nodes: those
    of `concat`, by default all that are fed."""

    def __init__(
        self,
        edges: tuple[Edge, ...],
        c_prev_prev: int,
        c_prev: int,
        channels: int,
        reduction: bool,
        reduction_prev: bool,
        concat: tuple[int, ...] | None = None,
    ):
        super().__init__()
        self.edges, self.nodes = live(edges)
        self.concat = concat or self.nodes
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
        # Lists that torch.jit.script can read, too: of every operation where it reads and writes among the states (the
        # two inputs and the live nodes), and whether drop path may drop it; and of the output, where its nodes stand.
        places = {state: place for place, state in enumerate((0, 1, *self.nodes))}
        self.outputs = [places[node] for node in self.concat]
        self.sources = [places[source] for _, _, source in self.edges]
        self.targets = [places[node] for _, node, _ in self.edges]
        self.droppable = [not isinstance(op, nn.Identity) for op in self.ops]

    def forward(self, s0: Tensor, s1: Tensor, drop_probability: float) -> Tensor:
        states = [s0, s1]
        for key, module in self.preprocess.items():
            states[int(key)] = module(states[int(key)])
        for index, op in enumerate(self.ops):
            out = op(states[self.sources[index]])
            if self.training and self.droppable[index]:
                out = drop_path(out, drop_probability)
            target = self.targets[index]
            if target < len(states):
                states[target] = states[target] + out
            else:  # nodes come in their order, each with its first operation
                states.append(out)
        return torch.cat([states[place] for place in self.outputs], dim=1)


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
        conv = nn.Conv2d(c_out, c_out, 3, 2, 1, bias=False)
        self.stem1: nn.Module = nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        s0 = self.stem0(x)
        return s0, self.stem1(s0)

    def cut(self) -> None:
        """Keep the first output alone, and give it twice."""
        self.stem1 = nn.Identity()


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


class CellNetwork(Backbone):
    """A network of stacked cells, of one of two sizes: DARTS' has 20 cells of 36 channels for small images, and 14
    of 48 for large ones.

    `forward` gives logits [B, classes]; in training, with an auxiliary head, (logits, auxiliary logits). The head wants
    images of 32×32 pixels, or 224×224. `drop_probability` is that of drop path, and may be raised while training.
    Raises UserError where a cell has no operation.
    """

    def __init__(
        self,
        size: str,
        genotype: CellGenotype,
        space: CellSpace,
        cells: int,
        channels: int,
        classes: int,
        in_channels: int = 3,
        auxiliary: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.drop_probability = 0.0
        if size == "cifar":
            self.stem: CifarStem | ImageNetStem = CifarStem(in_channels, space.stem_multiplier * channels)
            points = [Point("stem", space.stem_multiplier * channels, 1)] * 2
        else:
            self.stem = ImageNetStem(in_channels, channels)
            points = [Point("stem.stem0", channels, 4), Point("stem.stem1", channels, 8)]
        stacked: list[Cell] = []
        reductions = space.reduction_cells(cells)
        self.auxiliary_at = 2 * cells // 3
        for index in range(cells):
            before, last = points[-2:]
            reduction = index in reductions
            channels *= 2 if reduction else 1
            kind = "reduce" if reduction else "normal"
            reduction_prev = before.stride < last.stride
            edges, concat = getattr(genotype, kind), getattr(genotype, f"{kind}_concat")
            cell = Cell(edges, before.channels, last.channels, channels, reduction, reduction_prev, concat)
            if not cell.concat:
                advice = "derive another by --method argmax or a lower threshold"
                raise UserError(f"{genotype.name}: the {kind} cell has no operation, so it makes no network; {advice}")
            stacked.append(cell)
            points.append(Point(f"cells.{index}", cell.channels, last.stride * (2 if reduction else 1)))
        self.cells = cast("Sequence[Cell]", nn.ModuleList(stacked))
        self.auxiliary: nn.Sequential | None = None
        self.finish(points, points[-1].channels, in_channels, classes, dropout)
        if auxiliary:
            width = stacked[self.auxiliary_at].channels
            self.auxiliary = auxiliary_head(width, classes, 3 if size == "cifar" else 2, last_norm=size == "cifar")

    def run(self, x: Tensor, last: int, points: list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        """As `Backbone.run`: points 0 and 1 are the stem's, 2 is the first cell."""
        taken: list[Tensor] = []
        s0, s1 = self.stem(x)
        if points is not None and 0 in points:
            taken.append(s0)
        if points is not None and 1 in points:
            taken.append(s1)
        for number, cell in enumerate(self.cells, 2):
            if number <= last:
                if self.grad_checkpointing and not torch.jit.is_scripting():
                    out = recompute(cell, s0, s1, self.drop_probability)
                else:
                    out = cell(s0, s1, self.drop_probability)
                s0, s1 = s1, out
                if points is not None and number in points:
                    taken.append(out)
        return s0 if last == 0 else s1, taken

    def cut(self, last: int) -> None:
        """Remove the cells behind point `last`, and of the stem what is behind it."""
        self.cells = self.cells[: max(0, last - 1)]
        self.auxiliary = None
        if last == 0 and isinstance(self.stem, ImageNetStem):  # the other stem gives one output twice
            self.stem.cut()

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """As `Backbone.reset_classifier`; the auxiliary head follows."""
        super().reset_classifier(num_classes, global_pool)
        if not num_classes:
            self.auxiliary = None
        elif self.auxiliary is not None:
            old = cast(nn.Linear, self.auxiliary[-1])
            self.auxiliary[-1] = nn.Linear(
                old.in_features, num_classes, device=old.weight.device, dtype=old.weight.dtype
            )

    # An auxiliary head alone makes a tuple. Behind the next comment torch.jit.script bears no other.
    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:  # type: ignore[override]
        if self.auxiliary is not None and self.training:
            x, taken = self.run(x, self.feature_points[-1], [self.auxiliary_at + 2])
            auxiliary = self.auxiliary(taken[0])
            return self.forward_head(x), auxiliary
        return self.forward_head(self.forward_features(x))
