"""On which images a trained network is judged: those of a test set, or held-out ones."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import TensorDataset

from fairdarts.config import UserError, nearest
from fairdarts.data.settings import Cifar10, Cifar100, Csv, DataSettings, Folder, ImageNet
from fairdarts.data.sources import Source, cifar, csv, folder, kept, measured
from fairdarts.data.split import halves


class Images(NamedTuple):
    """Some images of a source."""

    source: Source
    indices: list[int]
    name: str
    """what they are: test, held-out or training"""


def images_of_test_set(settings: DataSettings, source: Source) -> Images | None:
    """The images of the test set that comes with a training set; None where there is none.

    CIFAR has one; of class folders it is root/test or root/val, unless that is itself a class, and of ImageNet
    root/val; a CSV file's is that of data.test_root; arrays bring their own. Its classes are numbered as the training
    set's. Raises UserError naming a folder or label that is no class of the training set.
    """
    match settings:
        case Cifar10() | Cifar100():
            test = cifar(settings, False)
        case Folder() | ImageNet():
            names = ("val",) if isinstance(settings, ImageNet) else ("test", "val")
            roots = [Path(settings.root) / name for name in names if name not in source.classes]
            root = next((root for root in roots if root.is_dir()), None)
            if root is None:
                return None
            test = folder(root, settings.image_size, settings.white, least=1)
            test = numbered_as(test, source.classes, f"data.root: {root}")
            test = kept(test, settings) if isinstance(settings, Folder) else test
        case Csv():
            if settings.test_root is None:
                return None
            told = measured(settings, source)
            test = kept(csv(Path(settings.test_root), told, least=1), told)
        case _:
            if source.test is None:
                return None
            test = source.test
    return Images(test, list(range(len(test.dataset))), "test")


def held_out_images(settings: DataSettings, source: Source, seed: int) -> Images | None:
    """The training set's images that training leaves out; None where it leaves out none."""
    indices = halves(settings, source, seed)[1]
    return Images(source, indices, "held-out") if indices else None


def other_images(settings: DataSettings, source: Source, classes: tuple[str, ...]) -> Images:
    """The images of a set that a network has nothing to do with: its test set, or where there is none all of them.

    They are numbered as the network's classes, of which they may lack some. Raises UserError naming one that the
    network does not know.
    """
    images = images_of_test_set(settings, source) or Images(source, list(range(len(source.dataset))), "other")
    place = f"data.root: {getattr(settings, 'root', settings.kind)}"
    return images._replace(source=numbered_as(images.source, classes, place), name="other")


def numbered_as(source: Source, classes: tuple[str, ...], place: str) -> Source:
    """Images whose labels are the numbers of these classes, of which they may lack some. Raises UserError naming a
    class that is none of them."""
    for name in source.classes:
        if name not in classes:
            raise UserError(f"{place}: {name}: is none of the {len(classes)} classes known{nearest(name, classes)}")
    labels = [classes.index(name) for name in source.classes]
    if isinstance(source.dataset, TensorDataset):
        images, numbers = source.dataset.tensors
        return source._replace(dataset=TensorDataset(images, torch.tensor(labels)[numbers]), classes=classes)
    return source._replace(dataset=source.dataset.relabelled(labels), classes=classes)
