"""What happens to an image before a network sees it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from fairdarts.data.geometry import covering
from fairdarts.data.settings import DataSettings, ImageNet
from fairdarts.data.sources import Source, as_imagenet, check_pixels, judged_size
from fairdarts.runtime.shape import Size, sides

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


class Cover(nn.Module):
    """Resizes an image, PIL's or [..., C, H, W], to just cover a size, keeping its shape."""

    def __init__(self, image: Size):
        super().__init__()
        self.image = image

    def forward(self, image: Any) -> Any:
        height, width = functional.get_size(image)
        return functional.resize(image, list(covering(height, width, self.image)), antialias=True)


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
    """What the settings do to an image of their source: (PIL image or uint8 [C, H, W]) → float32 [C, *image]."""
    augment = AUTO_AUGMENT[settings.auto_augment]
    if isinstance(settings, ImageNet):
        return resized_crop(source, settings.crop_scale, settings.color_jitter, augment)
    if as_imagenet(settings):
        return resized_crop(source, INCEPTION_CROPS, (0, 0, 0, 0), augment)
    return padded_crop(source, settings.cutout, augment)


def evaluation_transform(source: Source, settings: DataSettings) -> v2.Compose:
    """The same image every time: (PIL image or uint8 [C, H, W]) → float32 [C, *image], normalized.

    It is resized to cover what the source or else the settings say, and the centre is taken, so that things have the
    shape that they have in training. PIL resizes its own images, as `geometry.centre` does, which predicts without
    torch.
    """
    cover = Cover(source.resize or judged_size(settings, source.image))
    return v2.Compose([cover, v2.CenterCrop(sides(source.image)), v2.ToImage(), *_normalize(source)])


def padded_crop(source: Source, cutout: int, augment: Sequence[nn.Module] = ()) -> v2.Compose:
    """Resize, random crop, flip, AutoAugment, normalize, cutout: as for CIFAR in DARTS, with padding in proportion (32
    px: 4)."""
    height, width = sides(source.image)
    crop = v2.RandomCrop((height, width), (width // 8, height // 8))
    steps = [v2.ToImage(), Cover(source.image), crop, *_flip(source), *augment, *_normalize(source)]
    return v2.Compose([*steps, Cutout(cutout)] if cutout else steps)


def resized_crop(
    source: Source,
    scale: tuple[float, float],
    jitter: tuple[float, float, float, float],
    augment: Sequence[nn.Module] = (),
) -> v2.Compose:
    """A random part of the image, resized (Inception, arXiv:1409.4842), flip, colour jitter, AutoAugment, normalize:
    for ImageNet.

    The part has a share of the area from `scale` and, next to the shape that the network sees, an aspect ratio from 3/4
    to 4/3. `jitter` is that of brightness, contrast, saturation and hue, in random order. All of it is done by PIL, the
    crop first, so that nothing is computed for pixels that the network does not see.
    """
    height, width = sides(source.image)
    ratio = (3 / 4 * (width / height), 4 / 3 * (width / height))
    steps = [v2.RandomResizedCrop((height, width), scale, ratio, antialias=True), *_flip(source)]
    steps += [v2.ColorJitter(*jitter)] if any(jitter) else []
    return v2.Compose([*steps, *augment, v2.ToImage(), *_normalize(source)])


def _flip(source: Source) -> list[nn.Module]:
    return [v2.RandomHorizontalFlip()] if source.flip else []


def _normalize(source: Source) -> list[nn.Module]:
    check = v2.Lambda(partial(check_pixels, channels=len(source.mean)))
    return [check, v2.ToDtype(torch.float32, scale=True), v2.Normalize(source.mean, source.std), v2.ToPureTensor()]
