"""Somebody's data set, read item by item: (image, label) in the forms that torch and Hugging Face have."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from fairdarts.config import UserError, plain
from fairdarts.data.images import is_numeric, orientation, turned
from fairdarts.data.pixels import Range, array_of, as_uint8, channels_first

AGAIN = 3
"""times that the first item is read once more, to see whether it stays as it is"""
SPREAD = 64
"""items whose values are looked at where their range is not stated"""


class Items(Dataset):
    """Images as uint8 [C, H, W] and the numbers of their classes, each read from a data set when it is asked for."""

    def __init__(self, dataset: Any, limits: Range, channels: int, targets: list[int], place: str):
        self.dataset, self.limits, self.channels, self.targets, self.place = dataset, limits, channels, targets, place

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        place = f"{self.place}: item {index}"
        image = uint8_of(item_of(self.dataset, index, place)[0], self.limits, place)
        wanted = np.broadcast_to(image, (self.channels, *image.shape[1:]))  # of gray images among RGB
        return torch.from_numpy(np.array(wanted, order="C")), self.targets[index]

    def relabelled(self, numbers: Sequence[int]) -> "Items":
        """The same images, of which those of class n are of class numbers[n]."""
        targets = [numbers[label] for label in self.targets]
        return Items(self.dataset, self.limits, self.channels, targets, self.place)


class Columns(Dataset):
    """The rows of a Hugging Face data set as (image, label)."""

    def __init__(self, dataset: Any, image: str, label: str):
        self.dataset, self.image, self.label = dataset, image, label

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        row = self.dataset[index]
        return row[self.image], row[self.label]


def columns_of(dataset: Any, place: str) -> tuple[Any, tuple[str, ...] | None]:
    """A data set whose items are (image, label), and the names of its classes, or None where it does not say them.

    A Hugging Face data set is known by its `features`. Raises UserError where not exactly one of them is an Image and
    one a ClassLabel.
    """
    features = getattr(dataset, "features", None)
    if not isinstance(features, Mapping):
        names = getattr(dataset, "classes", None)
        return dataset, _shown(names) if isinstance(names, list | tuple) else None
    found = []
    for kind in ("Image", "ClassLabel"):
        named = [name for name, feature in features.items() if type(feature).__name__ == kind]
        if len(named) != 1:
            has = f"{len(named) or 'no'} {kind} columns ({', '.join(named or features)})"
            how = "remove_columns leaves others out" if named else "cast_column makes one"
            raise UserError(f"{place}: has {has}; should have one: {how}")
        found += named
    return Columns(dataset, *found), _shown(features[found[1]].names)


def _shown(names: Sequence[Any]) -> tuple[str, ...] | None:
    """Names of classes, where they can be shown and told apart."""
    words = tuple(map(str, names))
    return words if len(set(map(plain, words))) == len(words) > 1 and words == tuple(map(plain, words)) else None


def item_of(dataset: Any, index: int, place: str) -> tuple[Any, Any]:
    """An item. Raises UserError where it is no (image, label)."""
    item = dataset[index]
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise UserError(f"{place}: {type(item).__name__}; should be (image, label)")
    return item[0], item[1]


def uint8_of(image: Any, limits: Range, place: str) -> np.ndarray:
    """An image as uint8 [C, H, W]. One of PIL is turned as it is shown (EXIF), and of 8 bits it is gray or becomes RGB;
    limits are those of other values."""
    if isinstance(image, Image.Image):
        image = turned(image, orientation(image))
    if isinstance(image, Image.Image) and not is_numeric(image):
        found = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
        return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)
    values = array_of(np.asarray(image) if isinstance(image, Image.Image) else image, place, "biuf")
    if values.ndim not in (2, 3):
        shape = f"[{', '.join(map(str, values.shape))}]"
        raise UserError(f"{place}: an image of shape {shape}; should be [C, H, W], [H, W, C], or [H, W] of gray images")
    return as_uint8(channels_first(values[None], place), limits, place)[0]


def read_items(dataset: Any, limits: Range, labels: list[Any], place: str) -> Iterator[np.ndarray]:
    """Every image of a data set once, as uint8 [1, C, H, W]; their labels are appended to `labels` on the way.

    Raises UserError where items are no images and labels, have no stated range, or change from time to time.
    """
    for index in range(len(dataset)):
        at = f"{place}: item {index}"
        image, label = item_of(dataset, index, at)
        if index == 0:
            _check_range(dataset, limits, place)
        pixels = uint8_of(image, limits, at)
        for _ in range(AGAIN if index == 0 else 0):
            again = uint8_of(item_of(dataset, 0, at)[0], limits, at)
            if again.shape != pixels.shape or (again != pixels).any():
                should = "should have no random transform: training augments images itself"
                raise UserError(f"{at}: is another image each time it is read; {should}")
        labels.append(label.tolist() if isinstance(label, Tensor | np.ndarray | np.generic) else label)
        yield pixels[None]


def _check_range(dataset: Any, limits: Range, place: str) -> None:
    """Raises UserError where values are other than uint8 and nothing says what is white, with those of some items."""
    few = range(0, len(dataset), -(-len(dataset) // SPREAD)) if limits is None else range(0)
    images = [item_of(dataset, index, f"{place}: item {index}")[0] for index in few]
    images = [image for image in images if not isinstance(image, Image.Image) or is_numeric(image)]
    arrays = [np.asarray(image) if isinstance(image, Image.Image) else image for image in images]
    found = [array_of(array, f"{place}: images", "biuf") for array in arrays]
    wide = [array for array in found if array.size and array.dtype != np.uint8]
    if wide:
        as_uint8(np.stack([[array.min(), array.max()] for array in wide]), limits, f"{place}: images")
