"""What an .npz file holds: images and labels, and perhaps those of a test set."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairdarts.config import UserError, nearest
from fairdarts.reading import open_regular

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
        with open_regular(path) as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                raise UserError(f"{path}: is an .npy file; should be an .npz file, with images and labels")
            training, test = _pair(path, content, TRAINING), _pair(path, content, TEST)
            keys = content.files
    except UserError:
        raise
    except Exception as error:  # a damaged file shows as one of many: ValueError, BadZipFile, zlib.error, EOFError, …
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"{path}: {error.strerror}") from None
        pickled = "holds pickled objects, which are never loaded; should hold arrays of numbers"
        damaged = "is damaged, or no .npz file"
        raise UserError(f"{path}: {pickled if 'allow_pickle' in str(error) else damaged}") from None
    if training is None:
        pairs = ", or ".join(f"{images} and {labels}" for images, labels in TRAINING.items())
        has = f" (it has {', '.join(keys[:10])})" if keys else ""
        raise UserError(f"{path}: should have the keys {pairs}{has}")
    return training, test


def _pair(path: Path, content: Any, keys: dict[str, str]) -> Pair | None:
    for images, labels in keys.items():
        if images in content:
            if labels not in content:
                raise UserError(f"{path}: {images}: has no {labels} beside it{nearest(labels, content.files)}")
            return Pair(content[images], content[labels], f"{path}: {images}", f"{path}: {labels}")
    return None
