"""What happens to an image before a network sees it."""

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from fairdarts.data.sources import Source


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


def training_transform(source: Source, cutout: int) -> v2.Compose:
    """Resize, random crop, flip, normalize, cutout: as for CIFAR in DARTS, with padding in proportion (32 px: 4)."""
    steps = [v2.ToImage(), v2.Resize(source.image, antialias=True), v2.RandomCrop(source.image, source.image // 8)]
    if source.flip:
        steps.append(v2.RandomHorizontalFlip())
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(source.mean, source.std), v2.ToPureTensor()]
    if cutout:
        steps.append(Cutout(cutout))
    return v2.Compose(steps)
