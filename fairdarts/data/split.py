"""Which images train the weights, and which are held out to train the architecture."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from fairdarts.config import UserError
from fairdarts.data.examine import NAMED, notice
from fairdarts.data.settings import DataSettings, Fake, ImageNet
from fairdarts.data.sources import Source
from fairdarts.runtime.seed import fold

SPLIT_SEED = 0  # all seeds of a recipe share one split, as DARTS' first half and second half do


def halves(settings: DataSettings, source: Source, seed: int) -> tuple[list[int], list[int]]:
    """Indices of training and of held-out images: disjoint, and all of them together.

    Of ImageNet, so many of every class are held out as the settings say; which ones is decided by the seed, the class's
    name and the names of its files, whatever other classes there are. Of other sets it is a portion, of all images or
    of every class, the same for all seeds. Raises UserError naming the folder of a class that would have no image left
    to train with.
    """
    if not isinstance(settings, ImageNet):
        if settings.split == "stratified":
            return stratified(labels_of(source), settings.train_portion)
        return split(len(source.dataset), settings.train_portion)
    samples = source.dataset.samples
    of_class: list[list[int]] = [[] for _ in source.classes]
    for index, (_, label) in enumerate(samples):
        of_class[label].append(index)
    held_out: set[int] = set()
    for name, indices in zip(source.classes, of_class, strict=True):
        if len(indices) <= settings.held_out:
            count = f"{len(indices)} images, should be at least {settings.held_out + 1}"
            why = f"data.held_out {settings.held_out}, and one to train with"
            raise UserError(f"data.root: {Path(source.dataset.root) / name}: {count} ({why})")
        indices.sort(key=lambda index: samples[index][0])
        generator = torch.Generator().manual_seed(fold(seed, zlib.crc32(os.fsencode(name))))
        chosen = torch.randperm(len(indices), generator=generator)[: settings.held_out].tolist()
        held_out.update(indices[position] for position in chosen)
    return [index for index in range(len(samples)) if index not in held_out], sorted(held_out)


def held_out_names(source: Source, indices: Sequence[int]) -> list[str]:
    """Sorted paths CLASS/…/IMAGE of images of class folders, as they lie in the folder of the classes."""
    dataset = source.dataset
    return sorted(Path(dataset.samples[index][0]).relative_to(dataset.root).as_posix() for index in indices)


def fingerprint(source: Source) -> str:
    """What tells one set of images from another: their number, and of class folders a hash of classes and files."""
    return f"{len(source.dataset)}, {source.listing}" if source.listing else str(len(source.dataset))


def split(size: int, portion: float) -> tuple[list[int], list[int]]:
    """Shuffled indices of two disjoint parts of `size` images, the first with that portion."""
    order = torch.randperm(size, generator=torch.Generator().manual_seed(SPLIT_SEED)).tolist()
    cut = int(size * portion)
    return order[:cut], order[cut:]


def stratified(labels: Sequence[int], portion: float) -> tuple[list[int], list[int]]:
    """Shuffled indices of two disjoint parts of images with these labels, the first with that portion of every class.

    It has of every class an image; so has the second, but of a class with one image, and where the portion is all. All
    other shares are whole numbers next to the portion's, so that those of all classes together make it.
    """
    order, _ = split(len(labels), 1)
    of_class: dict[int, list[int]] = {label: [] for label in sorted(set(labels))}
    for index in order:
        of_class[labels[index]].append(index)
    before, first = 0, set()
    for indices in of_class.values():
        count = int((before + len(indices)) * portion) - int(before * portion)
        before += len(indices)
        most = max(1, len(indices) - 1) if portion < 1 else len(indices)
        first.update(indices[: min(max(count, 1), most)])
    return [index for index in order if index in first], [index for index in order if index not in first]


def labels_of(source: Source) -> list[int]:
    """The number of every image's class."""
    dataset = source.dataset
    if isinstance(dataset, TensorDataset):
        return dataset.tensors[1].tolist()
    return dataset.targets if hasattr(dataset, "targets") else [int(label) for _, label in dataset]


def tell_split(settings: DataSettings, source: Source) -> None:
    """A Notice of classes that have no image in one of the halves."""
    if isinstance(settings, ImageNet | Fake) or settings.train_portion == 1:
        return
    labels, place = labels_of(source), f"data.train_portion: {settings.train_portion:g} ({settings.split})"
    for part, what in zip(halves(settings, source, 0), ("trains", "is held out"), strict=True):
        there = {labels[index] for index in part}
        missing = [name for label, name in enumerate(source.classes) if label not in there]
        if missing:
            which = ", ".join(missing[:NAMED]) + (f", … ({len(missing)} classes)" if len(missing) > NAMED else "")
            notice(f"{place}: no image {what} of {which}")
