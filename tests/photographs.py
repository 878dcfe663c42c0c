"""What tests of segmentation share: small pictures with a class for every pixel, in the folders of VOC and CamVid."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fairdarts.data.masks import write_mask
from fairdarts.data.settings import IGNORED

CLASSES = ("ground", "disc", "bar")
SIZE = (24, 36)  # height and width


def picture(seed: int, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """(image [H, W, 3], mask [H, W]): red ground, a green disc whose border has no class, a blue bar."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices(size)
    row, column = generator.uniform(0.3, 0.7, 2) * size
    distance, radius = np.hypot(rows - row, columns - column), min(size) / 4
    mask = np.where(distance < radius, 1, np.where(distance < radius + 1, IGNORED, 0))
    bar = int(generator.integers(size[1] - 4))
    mask[:, bar : bar + 3] = 2
    colours = np.asarray([(200, 40, 40), (40, 200, 40), (40, 40, 200)])
    image = colours[np.where(mask == IGNORED, 0, mask)] + generator.integers(-20, 20, (*size, 3))
    return image.astype(np.uint8), mask.astype(np.uint8)


def voc_folder(root: Path, train: int = 6, val: int = 2) -> Path:
    """JPEGImages/, SegmentationClass/, ImageSets/Segmentation/train.txt and val.txt."""
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for split, numbers in (("train", range(train)), ("val", range(train, train + val))):
        for number in numbers:
            image, mask = picture(number, (SIZE[0], SIZE[1] + number))
            Image.fromarray(image).save(root / "JPEGImages" / f"p{number}.jpg", quality=95)
            write_mask(root / "SegmentationClass" / f"p{number}.png", mask)
        names = "".join(f"p{number}\n" for number in numbers)
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(names)
    return root


def recipe(root: Path) -> dict[str, Any]:
    """A training of 3 epochs of 3 steps, for a chain whose features have stride 8."""
    return {
        "name": "tiny",
        "source": "tests",
        "device": "cpu",
        "epochs": 3,
        "data": {
            "root": str(root),
            "train": "train",
            "val": "val",
            "classes": list(CLASSES),
            "crop": 16,
            "scale": [0.5, 1.5],
            "batch_size": 2,
            "workers": 0,
        },
        "deeplab": {"output_stride": 8},
        "optimizer": {"kind": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"kind": "poly", "power": 0.9},
    }
