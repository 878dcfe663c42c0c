"""What happens to an image before a network sees it."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from fairdarts.data.settings import DataSettings, ImageNet
from fairdarts.data.sources import Source, as_imagenet, check_pixels

GREY = 128
"""what AutoAugment shows where it moves an image away, as its usual code does; torchvision's default is black"""

AUTO_AUGMENT: dict[str, tuple[nn.Module, ...]] = {
    "none": (),
    "cifar10": (v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10, fill=GREY),),
    "imagenet": (v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET, fill=GREY),),
}
"""a policy's name → what does it"""

INCEPTION_CROPS = (0.08, 1.0)
"""the shares of an image's area that crops of Inception (arXiv:1409.4842) take, and so fine-tuning on small images"""


class Cutout(nn.Module):
    """Blanks a square around a random pixel, cut at the border (DeVries and Taylor, arXiv:1708.04552).

    It works on the normalized image [C, H, W], where zero is the mean.
    """

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        top = int(torch.randint(height, ())) - self.side // 2
        left = int(torch.randint(width, ())) - self.side // 2
        image = image.clone()
        image[..., max(0, top) : max(0, top + self.side), max(0, left) : max(0, left + self.side)] = 0
        return image


def training_transform(source: Source, settings: DataSettings) -> v2.Compose:
    """What the settings do to an image of their source: (PIL image or uint8 [C, H, W]) → float32 [C, size, size]."""
    augment = AUTO_AUGMENT[settings.auto_augment]
    if isinstance(settings, ImageNet):
        return resized_crop(source, settings.crop_scale, settings.color_jitter, augment)
    if as_imagenet(settings):
        return resized_crop(source, INCEPTION_CROPS, (0, 0, 0, 0), augment)
    return padded_crop(source, settings.cutout, augment)


def evaluation_transform(source: Source, settings: DataSettings) -> v2.Compose:
    """The same image every time: (PIL image or uint8 [C, H, W]) → float32 [C, size, size], normalized.

    The shorter side is resized, and the centre is taken, so that things have the shape that they have in training. Of
    ImageNet's images the shorter side becomes 8/7 of the size (224: 256).
    """
    large = isinstance(settings, ImageNet) or as_imagenet(settings)
    resize = v2.Resize(source.image * 8 // 7 if large else source.image, antialias=True)
    return v2.Compose([v2.ToImage(), resize, v2.CenterCrop(source.image), *_normalize(source)])


def padded_crop(source: Source, cutout: int, augment: Sequence[nn.Module] = ()) -> v2.Compose:
    """Resize, random crop, flip, AutoAugment, normalize, cutout: as for CIFAR in DARTS, with padding in proportion (32
    px: 4)."""
    steps = [v2.ToImage(), v2.Resize(source.image, antialias=True), v2.RandomCrop(source.image, source.image // 8)]
    steps += [*_flip(source), *augment, *_normalize(source)]
    return v2.Compose([*steps, Cutout(cutout)] if cutout else steps)


def resized_crop(
    source: Source,
    scale: tuple[float, float],
    jitter: tuple[float, float, float, float],
    augment: Sequence[nn.Module] = (),
) -> v2.Compose:
    """A random part of the image, resized (Inception, arXiv:1409.4842), flip, colour jitter, AutoAugment, normalize:
    for ImageNet.

    The part has a share of the area from `scale` and an aspect ratio from 3/4 to 4/3. `jitter` is that of brightness,
    contrast, saturation and hue, in random order. All of it is done by PIL, the crop first, so that nothing is computed
    for pixels that the network does not see.
    """
    steps = [v2.RandomResizedCrop(source.image, scale, ratio=(3 / 4, 4 / 3), antialias=True), *_flip(source)]
    steps += [v2.ColorJitter(*jitter)] if any(jitter) else []
    return v2.Compose([*steps, *augment, v2.ToImage(), *_normalize(source)])


def _flip(source: Source) -> list[nn.Module]:
    return [v2.RandomHorizontalFlip()] if source.flip else []


def _normalize(source: Source) -> list[nn.Module]:
    check = v2.Lambda(partial(check_pixels, channels=len(source.mean)))
    return [check, v2.ToDtype(torch.float32, scale=True), v2.Normalize(source.mean, source.std), v2.ToPureTensor()]
