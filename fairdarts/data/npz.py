"""What an .npz file holds: images and labels, and perhaps those of a test set."""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairdarts.config import UserError, nearest, open_regular

TRAINING = {"images": "labels", "train_images": "train_labels", "x_train": "y_train"}
"""key of the images → key of their labels: plain, as MedMNIST has them, as Keras has them"""
TEST = {"test_images": "test_labels", "x_test": "y_test"}


class Pair(NamedTuple):
    """Images and labels, as they were found."""

    images: Any
    labels: Any
    place: str
    """what they are called in an error"""
    label_place: str


def read_npz(path: Path) -> tuple[Pair, Pair | None]:
    """The training images of a file, and its test images or None. Raises UserError where it is damaged or lacks some.

    Nothing that is pickled in it is loaded.
    """
    try:
        with open_regular(path) as file, np.load(file, allow_pickle=False) as content:
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise UserError(f"{path}: is no .npz file, which np.savez writes")
            training, test = _pair(path, content, TRAINING), _pair(path, content, TEST)
            if training is None:
                keys = ", or ".join(f"{images} and {labels}" for images, labels in TRAINING.items())
                has = f" (it has {', '.join(content.files[:10])})" if content.files else ""
                raise UserError(f"{path}: should have the keys {keys}{has}")
            return training, test
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError, zipfile.LargeZipFile) as error:
        pickled = "holds pickled objects, which are never loaded; should hold arrays of numbers"
        raise UserError(
            f"{path}: {pickled if 'allow_pickle' in str(error) else 'is damaged, or no .npz file'}"
        ) from None


def _pair(path: Path, content: Any, keys: dict[str, str]) -> Pair | None:
    for images, labels in keys.items():
        if images in content:
            if labels not in content:
                raise UserError(f"{path}: {images}: has no {labels} beside it{nearest(labels, content.files)}")
            return Pair(content[images], content[labels], f"{path}: {images}", f"{path}: {labels}")
    return None
