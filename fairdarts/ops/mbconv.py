"""The choices of a chain's layer: inverted bottlenecks (MobileNetV2, arXiv:1801.04381, section 3.3) and the skip.

Every choice takes x [B, C, H, W] and gives [B, C', ⌈H/stride⌉, ⌈W/stride⌉]. The bottlenecks ExKy have no skip
connection of their own, as that is a choice beside them (FairDARTS, supplementary 3.2); MBExKy has one, where it keeps
the shape (FairNAS, supplementary, Fig. 2). `affine` is the BatchNorm's: False where gates scale the choices, True in a
stand-alone network and in a supernet that runs one path.
"""

from collections.abc import Callable

from torch import Tensor, nn

from fairdarts.genotype import SKIP
from fairdarts.ops.depthwise import depthwise_conv
from fairdarts.ops.names import BOTTLENECK

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu6": lambda: nn.ReLU6(inplace=True),
    "relu": lambda: nn.ReLU(inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
}
"""name → builder of what follows a BatchNorm; in place, as the BatchNorm does not need its own output"""

OWN_CHOICES: dict[str, Callable[[int, int, int, bool], nn.Module]] = {}
"""name → builder(c_in, c_out, stride, affine) of operations of a user's own"""


class SqueezeExcite(nn.Module):
    """Scales channels by a function of their means (Hu et al., arXiv:1709.01507)."""

    def __init__(self, channels: int, squeezed: int, activation: str):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.activation = ACTIVATIONS[activation]()
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excite(self.activation(self.squeeze(x.mean((2, 3), keepdim=True)))).sigmoid()


class Bottleneck(nn.Sequential):
    """An inverted bottleneck. It runs as its modules do; its name says that a supernet may run it otherwise."""


def bottleneck(
    c_in: int,
    c_out: int,
    expansion: int,
    kernel: int,
    stride: int,
    affine: bool,
    activation: str = "relu6",
    se_ratio: float = 0.0,
) -> Bottleneck:
    """1×1 convolution to expansion · c_in channels (none for expansion 1), depthwise convolution, 1×1 convolution.

    Behind each is a BatchNorm, behind the first two an activation. `se_ratio` is the squeezed width as a share of c_in;
    0 for no squeeze-and-excitation, which otherwise stands before the last convolution.
    """
    wide = expansion * c_in
    parts: list[nn.Module] = []
    if expansion > 1:
        parts += [nn.Conv2d(c_in, wide, 1, bias=False), nn.BatchNorm2d(wide, affine=affine), ACTIVATIONS[activation]()]
    parts += [depthwise_conv(wide, kernel, stride), nn.BatchNorm2d(wide, affine=affine), ACTIVATIONS[activation]()]
    if se_ratio:
        parts.append(SqueezeExcite(wide, max(1, int(se_ratio * c_in)), activation))
    return Bottleneck(*parts, nn.Conv2d(wide, c_out, 1, bias=False), nn.BatchNorm2d(c_out, affine=affine))


class Residual(nn.Module):
    """x + block(x)."""

    def __init__(self, block: Bottleneck):
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class Projection(nn.Sequential):
    """A 1×1 convolution of every `stride`-th pixel, and a BatchNorm.

    The pixels are taken before the convolution, for the reason that ops/cell.py gives of its FactorizedReduce.
    """

    def __init__(self, c_in: int, c_out: int, stride: int, affine: bool):
        super().__init__(nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out, affine=affine))
        self.stride = stride

    def taken(self, x: Tensor) -> Tensor:
        """The pixels that the convolution reads [B, C, ⌈H/stride⌉, ⌈W/stride⌉]."""
        return x[:, :, :: self.stride, :: self.stride]

    def forward(self, x: Tensor) -> Tensor:
        x = self.taken(x)
        for module in self:
            x = module(x)
        return x


def skip(c_in: int, c_out: int, stride: int, affine: bool) -> nn.Module:
    """The identity; where width or resolution change, a projection.

    The paper does not say what a skip is there. This is the projection shortcut of ResNet (arXiv:1512.03385, option B),
    linear as the end of an inverted bottleneck is, and the least that fits.
    """
    if c_in == c_out and stride == 1:
        return nn.Identity()
    return Projection(c_in, c_out, stride, affine)


def choice(
    name: str, c_in: int, c_out: int, stride: int, affine: bool, activation: str = "relu6", se_ratio: float = 0.0
) -> nn.Module:
    """The module of a choice's name (see `names.is_choice`); `activation` and `se_ratio` are those of bottlenecks."""
    if name == SKIP:
        return skip(c_in, c_out, stride, affine)
    if name in OWN_CHOICES:
        return OWN_CHOICES[name](c_in, c_out, stride, affine)
    form = BOTTLENECK.fullmatch(name)
    assert form is not None, f"{name} is no choice"
    residual, expansion, kernel = form.groups()
    block = bottleneck(c_in, c_out, int(expansion), int(kernel), stride, affine, activation, se_ratio)
    return Residual(block) if residual and c_in == c_out and stride == 1 else block
