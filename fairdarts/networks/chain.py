"""The stand-alone network of a chain genotype."""

import torch
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.genotype import ChainGenotype
from fairdarts.networks.backbone import Backbone, Point
from fairdarts.ops.mbconv import ACTIVATIONS, bottleneck, choice
from fairdarts.ops.recompute import recompute
from fairdarts.spaces.chain import ChainSpace, Stem


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int, activation: str) -> nn.Sequential:
    """Convolution, BatchNorm, activation."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), ACTIVATIONS[activation]())


def stem(space_stem: Stem, in_channels: int, activation: str = "relu6") -> nn.Sequential:
    """3×3 convolution, then a depthwise-separable one: a bottleneck without expansion (FairDARTS, Fig. 6)."""
    parts = [conv_bn(in_channels, space_stem.channels, 3, space_stem.stride, activation)]
    if space_stem.separable:
        parts.append(bottleneck(space_stem.channels, space_stem.separable, 1, 3, 1, affine=True, activation=activation))
    return nn.Sequential(*parts)


class Summed(nn.Module):
    """A layer: the sum of its choices.

    A bottleneck alone has no residual (IBE in FairDARTS, Fig. 6); with skip_connect it is the ordinary residual block
    (MBE).
    """

    def __init__(self, choices: dict[str, nn.Module]):
        super().__init__()
        self.choices = nn.ModuleDict(choices)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor | None = None
        for module in self.choices.values():
            out = module(x)
            total = out if total is None else total + out
        assert total is not None  # torch.jit.script does not know that there is a choice
        return total


class ChainNetwork(Backbone):
    """x [B, in, H, W] → logits [B, classes].

    `se_ratio` is the width of squeeze-and-excitation as a share of a block's input (0: none), `activation` that of the
    layers; FairNAS and FairDARTS take swish together with squeeze-and-excitation. Before and behind the layers stands
    `outer_activation`; None takes the layers'. `dropout` stands before the classifier; None takes the space's.
    Raises UserError where an option is out of range.
    """

    def __init__(
        self,
        genotype: ChainGenotype,
        space: ChainSpace,
        classes: int,
        in_channels: int = 3,
        dropout: float | None = None,
        se_ratio: float = 0.0,
        activation: str = "relu6",
        outer_activation: str | None = None,
    ):
        super().__init__()
        outer_activation = outer_activation or activation
        for key, name in (("activation", activation), ("outer_activation", outer_activation)):
            if name not in ACTIVATIONS:
                raise UserError(f"{key}: '{name}': should be one of {', '.join(ACTIVATIONS)}")
        if not 0 <= se_ratio <= 1:
            raise UserError(f"se_ratio: {se_ratio}: should be from 0 to 1")
        dropout = space.network.dropout if dropout is None else dropout
        if not 0 <= dropout < 1:
            raise UserError(f"dropout: {dropout}: should be from 0 to below 1")
        self.activations = activation, outer_activation
        self.stem = stem(space.stem, in_channels, outer_activation)
        self.layers = nn.ModuleList()
        points = [Point("stem", space.layers[0].c_in, space.stem.stride)]
        for number, (choices, layer) in enumerate(zip(genotype.layers, space.layers, strict=True)):
            built = {name: choice(name, *layer, True, activation, se_ratio) for name in choices}
            self.layers.append(Summed(built) if built else nn.Identity())
            points.append(Point(f"layers.{number}", layer.c_out, points[-1].stride * layer.stride))
        self.head: nn.Module = conv_bn(space.layers[-1].c_out, space.head, 1, 1, outer_activation)
        self.finish(points, space.head, in_channels, classes, dropout)

    def run(self, x: Tensor, last: int, points: list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        """As `Backbone.run`: point 0 is the stem, 1 the first layer."""
        taken: list[Tensor] = []
        x = self.stem(x)
        if points is not None and 0 in points:
            taken.append(x)
        for number, layer in enumerate(self.layers, 1):
            if number <= last:
                x = recompute(layer, x) if self.grad_checkpointing and not torch.jit.is_scripting() else layer(x)
                if points is not None and number in points:
                    taken.append(x)
        return x, taken

    def cut(self, last: int) -> None:
        """Remove the layers behind point `last`, and the head."""
        self.layers = self.layers[:last]
        self.head = nn.Identity()

    def end(self, x: Tensor) -> Tensor:
        """The 1×1 convolution behind the layers."""
        return self.head(x)
