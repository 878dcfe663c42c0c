"""Semantic segmentation: DeepLabv3+ (arXiv:1802.02611) over a network of the zoo.

Widths and rates are those of DeepLab's papers: branches of 256 channels, rates 6, 12 and 18 at output stride 16 and
twice these at 8 (DeepLabv3, arXiv:1706.05587, section 3.3); 48 channels of low-level features, two 3×3 convolutions of
256 behind them (DeepLabv3+, Tables 1 and 2). segmentation_models_pytorch has this network too, but it refuses images
whose sides are not divisible by 16, and cannot leave the pyramid out.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.genotype import Genotype
from fairdarts.networks.atrous import set_output_stride
from fairdarts.networks.blueprint import NetworkSettings, build_backbone
from fairdarts.networks.chain import conv_bn
from fairdarts.networks.features import Features
from fairdarts.networks.settings import DeepLabSettings
from fairdarts.networks.sizes import for_large_images
from fairdarts.ops.depthwise import depthwise_conv
from fairdarts.spaces.space import Space

WIDTH, LOW_WIDTH, LOW_STRIDE = 256, 48, 4
"""channels of the branches; channels and stride of the low-level features"""
RATES = {16: (6, 12, 18), 8: (12, 24, 36)}
"""output stride → dilations of the pyramid"""


def separable(c_in: int, c_out: int, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3×3 and 1×1 convolution, BatchNorm and ReLU behind each (DeepLabv3+, section 3.2)."""
    depthwise = (depthwise_conv(c_in, 3, 1, dilation), nn.BatchNorm2d(c_in), nn.ReLU(inplace=True))
    return nn.Sequential(*depthwise, *conv_bn(c_in, c_out, 1, 1, "relu"))


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear: x [B, C, h, w] → [B, C, H, W], the height and width of `like`."""
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


class DeepLab(nn.Module):
    """x [B, in, H, W] → logits [B, classes, H, W], for images of any size.

    `encoder` gives its last features or, for a decoder, low-level ones and the last. In training a batch needs two
    images or more, as torch's BatchNorm has nothing to normalize in the mean of one.
    """

    def __init__(self, encoder: Features, settings: DeepLabSettings, classes: int):
        super().__init__()
        *low, deep = encoder.feature_info.channels()
        self.encoder = encoder
        self.pool = conv_bn(deep, WIDTH, 1, 1, "relu")
        self.branches = nn.ModuleList([conv_bn(deep, WIDTH, 1, 1, "relu")])
        if settings.aspp:
            self.branches.extend(separable(deep, WIDTH, rate) for rate in RATES[settings.output_stride])
        self.project = conv_bn(WIDTH * (1 + len(self.branches)), WIDTH, 1, 1, "relu")
        self.dropout = nn.Dropout(settings.dropout)
        if settings.decoder:
            self.low = conv_bn(low[0], LOW_WIDTH, 1, 1, "relu")
            self.refine = nn.Sequential(separable(WIDTH + LOW_WIDTH, WIDTH), separable(WIDTH, WIDTH))
        self.classifier = nn.Conv2d(WIDTH, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        *low, deep = self.encoder(x)
        mean = self.pool(deep.mean((2, 3), keepdim=True)).expand(-1, -1, *deep.shape[2:])
        y = self.dropout(self.project(torch.cat([mean, *(branch(deep) for branch in self.branches)], 1)))
        if low:
            y = self.refine(torch.cat([resize(y, low[0]), self.low(low[0])], 1))
        return resize(self.classifier(y), x)


def build_deeplab(
    genotype: Genotype,
    space: Space,
    network: NetworkSettings,
    settings: DeepLabSettings,
    classes: int,
    in_channels: int = 3,
) -> DeepLab:
    """DeepLab over the network of a genotype, which has the size for large images where `network` says nothing else.

    Raises UserError where the network gives no features, or has no such output stride.
    """
    backbone = build_backbone(genotype, space, for_large_images(network, space), in_channels=in_channels)
    strides = [level["reduction"] for level in backbone.feature_info]
    if settings.output_stride not in strides:
        wrong, have = settings.output_stride, ", ".join(map(str, strides))
        raise UserError(f"output_stride: {wrong}: should be a stride of the network, but {genotype.name} has {have}")
    set_output_stride(backbone, settings.output_stride)
    levels = [strides.index(LOW_STRIDE), -1] if settings.decoder else [-1]  # on the way to 8 a network has 4
    return DeepLab(Features(backbone, levels), settings, classes)
