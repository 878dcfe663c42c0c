"""The stand-alone network of a chain genotype."""

from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.genotype import ChainGenotype
from fairdarts.ops.mbconv import ACTIVATIONS, bottleneck, choice
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
        first, *others = self.choices.values()
        total = first(x)
        for module in others:
            total = total + module(x)
        return total


class ChainNetwork(nn.Module):
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
        self.stem = stem(space.stem, in_channels, outer_activation)
        self.layers = nn.ModuleList()
        for choices, layer in zip(genotype.layers, space.layers, strict=True):
            built = {name: choice(name, *layer, True, activation, se_ratio) for name in choices}
            self.layers.append(Summed(built) if built else nn.Identity())
        self.head = conv_bn(space.layers[-1].c_out, space.head, 1, 1, outer_activation)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(space.head, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        x = self.head(x).mean((2, 3))
        return self.classifier(self.dropout(x))
