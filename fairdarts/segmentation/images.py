"""Images with a class for every pixel: where they lie, how they are read, and what a network sees of them."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from fairdarts.config import UserError, nearest
from fairdarts.data.images import is_hidden, opened, read_image
from fairdarts.data.loader import Augmented, loaded
from fairdarts.data.settings import IGNORED
from fairdarts.data.sources import IMAGENET_STATISTICS
from fairdarts.reading import read_text
from fairdarts.segmentation.settings import Photographs

MEAN, STD = IMAGENET_STATISTICS
"""per channel, of the images that encoders are trained on before"""
NUMBERED = ("P", "L", "1", "I", "I;16")
"""PIL's modes of pictures whose pixels are numbers"""


class Pairs(Dataset):
    """Images and their masks: items are (RGB image, mask [H, W] of uint8 labels, IGNORED where there is no class)."""

    def __init__(self, name: str, images: Sequence[Path], masks: Sequence[Path], settings: Photographs):
        self.name, self.images, self.masks, self.classes = name, images, masks, settings.classes
        self.white = settings.white
        self.labels = np.full(65536, -1)  # what a pixel value means
        self.labels[: len(self.classes)] = range(len(self.classes))
        self.labels[list(settings.void)] = IGNORED
        void = f", or {' or '.join(map(str, settings.void))} for no class" if settings.void else ""
        self.allowed = f"from 0 to {len(self.classes) - 1}{void}"

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Image.Image, np.ndarray]:
        image, mask = read_image(self.images[index], self.white), self.read_mask(self.masks[index])
        if image.size[::-1] != mask.shape:
            width, height = image.size
            should = f"should be {width}×{height}, as {self.images[index].name} is shown"
            raise UserError(f"{self.masks[index]}: is of {mask.shape[1]}×{mask.shape[0]} pixels; {should}")
        return image, mask

    def read_mask(self, path: Path) -> np.ndarray:
        """The mask of a file. Raises UserError where it is none, or has a value that is no class."""
        with opened(path) as image:
            if image.mode not in NUMBERED:
                problem = f"its pixels are no class numbers ({image.mode})"
                raise UserError(f"{path}: {problem}; should be a palette or gray PNG")
            values = np.asarray(image).astype(np.int64)
        labels = np.where(values < 0, -1, self.labels[values.clip(0, len(self.labels) - 1)])
        if (labels < 0).any():
            raise UserError(f"{path}: holds the value {values[labels < 0].max()}; should be {self.allowed}")
        return labels.astype(np.uint8)

    def fingerprint(self) -> str:
        """What tells these images from others: their number, and a hash of their names."""
        names = "\n".join(path.name for path in self.masks)
        return f"{len(self)}, {hashlib.sha256(os.fsencode(names)).hexdigest()[:16]}"


class AugmentedPairs(Augmented):
    """Pairs under a random transform of image and mask together, whose randomness the sampler decides."""

    def augment(self, image: Image.Image, mask: np.ndarray) -> tuple[Tensor, Tensor]:
        return self.transform(image, mask)


def open_pairs(settings: Photographs, split: str, key: str) -> Pairs:
    """The images of a split, which the settings name under `key`. Raises UserError naming what is missing."""
    root = Path(settings.root)
    if not root.is_dir():
        raise UserError(f"data.root: {root}: no such folder")
    if settings.layout == "voc":
        names = _listed(root / "ImageSets" / "Segmentation", split, key)
        images = [_picture(root / "JPEGImages", name) for name in names]
        masks = [root / settings.masks / f"{name}.png" for name in names]
    else:
        for folder in (root / split, root / f"{split}annot"):
            if not folder.is_dir():
                raise UserError(f"data.{key}: {split}: there is no folder {folder}")
        images = sorted(path for path in (root / split).iterdir() if path.suffix == ".png" and not is_hidden(path.name))
        masks = [root / f"{split}annot" / path.name for path in images]
    if not images:
        raise UserError(f"data.{key}: {split}: has no images in {root}")
    for path in (*images, *masks):
        if not path.is_file():
            raise UserError(f"{path}: no such file, but data.{key} '{split}' needs it")
    return Pairs(split, images, masks, settings)


def _listed(folder: Path, split: str, key: str) -> list[str]:
    path = folder / f"{split}.txt"
    if not path.is_file():
        there = sorted(found.stem for found in folder.glob("*.txt") if not is_hidden(found.name))
        raise UserError(f"data.{key}: {split}: there is no file {path}{nearest(split, there)}")
    return [line.strip() for line in read_text(path).removeprefix("\ufeff").splitlines() if line.strip()]


def _picture(folder: Path, name: str) -> Path:
    """NAME.jpg, as VOC's pictures are called, or what else there is of that name."""
    first, *others = (folder / f"{name}{suffix}" for suffix in (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"))
    return first if first.is_file() else next((path for path in others if path.is_file()), first)


class TrainingTransform:
    """A random scale, a random crop, a mirror, and the image normalized (DeepLabv3, arXiv:1706.05587, section 4):
    (image, mask [H, W]) → float32 [3, crop, crop], int64 [crop, crop].

    Where the scaled image is smaller than the crop it is filled up with the mean and with IGNORED.
    """

    def __init__(self, crop: int, scale: tuple[float, float]):
        self.scale = scale
        fill = {tv_tensors.Image: [round(255 * value) for value in MEAN], tv_tensors.Mask: IGNORED}
        crops = [v2.RandomCrop(crop, pad_if_needed=True, fill=fill), v2.RandomHorizontalFlip()]
        self.rest = v2.Compose([*crops, *_normalize()])

    def __call__(self, image: Image.Image, mask: np.ndarray) -> tuple[Tensor, Tensor]:
        factor = float(torch.empty(()).uniform_(*self.scale))
        size = [max(1, round(side * factor)) for side in mask.shape]
        scaled = v2.functional.resize(v2.functional.to_image(image), size, antialias=True)
        # torchvision takes the nearest pixel by its corner, which shifts a mask by half a pixel against its image.
        labels = F.interpolate(torch.from_numpy(mask)[None, None], size, mode="nearest-exact")[0, 0]
        return self.rest(scaled, tv_tensors.Mask(labels))


class StillTransform:
    """The whole image, normalized, and its mask: no flips, no scales (FairNAS, arXiv:1907.01845, section 4.5)."""

    def __init__(self) -> None:
        self.rest = v2.Compose(_normalize())

    def __call__(self, image: Image.Image, mask: np.ndarray) -> tuple[Tensor, Tensor]:
        return self.rest(v2.functional.to_image(image), tv_tensors.Mask(mask))


def _normalize() -> list[v2.Transform]:
    kinds = {tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64}
    return [v2.ToDtype(kinds, scale=True), v2.Normalize(MEAN, STD), v2.ToPureTensor()]


def still_pairs(
    pairs: Pairs,
    indices: Sequence[int],
    workers: int,
    device: torch.device,
    layout: torch.memory_format = torch.channels_last,
) -> Iterator[tuple[Tensor, Tensor]]:
    """(image [1, 3, H, W] in the layout, mask [1, H, W]) on the device, one after another, as large as they are.

    Raises UserError where one cannot be read, naming its file.
    """
    items = [[(index, 0)] for index in indices]
    return loaded(AugmentedPairs(pairs, StillTransform()), items, workers, device, layout)
